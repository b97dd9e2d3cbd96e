package cache

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/communityfeed/internal/testenv"

	"example.com/communityfeed/internal/cache/remote"
)

// What a read past L1 and a move cost on a real Redis, beside the bare round trip that
// a hit in L2 asks for. Entries are of 8 KB and have three tags.

const (
	benchBody = 8 << 10
	benchSet  = 512 // keys that are read in turn, so that reads in parallel share few flights
)

// benchCache is a cache without L1 whose keys from 0 to benchSet are in L2.
func benchCache(b *testing.B) *Source[*benchPage] {
	tier, err := remote.Open(testenv.Redis(b), remote.Options{
		Prefix:  testenv.Prefix(b),
		Timeout: 5 * time.Second, // a machine that is busy must not make a miss of a hit
	})
	if err != nil {
		b.Fatal(err)
	}
	c := New(tier, Options{L1Entries: -1})
	b.Cleanup(func() { c.Close(); tier.Close() })
	page := &benchPage{bytes.Repeat([]byte("x"), benchBody)}
	s := NewSource(c, benchSpec, verbatim{}, func(context.Context, Key) (*benchPage, error) { return page, nil })
	for i := range benchSet {
		if _, err := s.Fetch(b.Context(), fmt.Sprint(i), "42", "de"); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

// BenchmarkRawPipeline is one round trip with what a hit in L2 asks of Redis, and with
// what a hundred of them ask.
func BenchmarkRawPipeline(b *testing.B) {
	for _, n := range []int{1, benchMany} {
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) { rawPipeline(b, n) })
	}
}

func rawPipeline(b *testing.B, n int) {
	options, err := redis.ParseURL(testenv.Redis(b))
	if err != nil {
		b.Fatal(err)
	}
	client := redis.NewClient(options)
	defer client.Close()
	ctx := b.Context()
	client.Set(ctx, "e", bytes.Repeat([]byte("x"), benchBody), 0)
	for _, tag := range []string{"t1", "t2", "t3"} {
		client.HSet(ctx, tag, "c", rand.Text(), "r", rand.Text())
	}
	onKeys(b, benchSet, func(int) {
		pipe := client.Pipeline()
		var body *redis.StringCmd
		for range n {
			pipe.PTTL(ctx, "e")
			body = pipe.Get(ctx, "e")
			for _, tag := range []string{"t1", "t2", "t3"} {
				pipe.HMGet(ctx, tag, "c", "r")
			}
		}
		if _, err := pipe.Exec(ctx); err != nil || len(body.Val()) != benchBody {
			b.Error(err)
		}
	})
}

// benchMany is how many keys GetMany reads.
const benchMany = 100

func BenchmarkGetMany(b *testing.B) {
	s := benchCache(b)
	var keys [][]string
	for _, id := range numbered(benchMany) {
		keys = append(keys, []string{id, "42", "de"})
	}
	onKeys(b, 1, func(int) {
		if results, errs := s.GetMany(b.Context(), keys); errs != nil || results[0].Outcome == Miss {
			b.Error(errs)
		}
	})
}

func BenchmarkHitL2(b *testing.B) {
	s := benchCache(b)
	ids := numbered(benchSet)
	onKeys(b, benchSet, func(i int) {
		if r, err := s.Fetch(b.Context(), ids[i], "42", "de"); err != nil || r.Outcome != HitL2 {
			b.Error(r.Outcome, err)
		}
	})
}

// A miss asks three times: for the entry, for the lease with the entry again, and to
// store. The load takes no time.
func BenchmarkMiss(b *testing.B) {
	s := benchCache(b)
	ids := numbered(benchSet)
	onKeys(b, benchSet, func(i int) {
		// A user nobody is, so that every read is of a key of its own.
		if r, err := s.Fetch(b.Context(), ids[i], rand.Text(), "de"); err != nil || r.Outcome != Miss {
			b.Error(r.Outcome, err)
		}
	})
}

func BenchmarkMove(b *testing.B) {
	s := benchCache(b)
	move := Changed("community:1")
	onKeys(b, benchSet, func(int) {
		if err := s.source.cache.Invalidate(b.Context(), move); err != nil {
			b.Error(err)
		}
	})
}

func numbered(n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprint(i))
	}
	return ids
}
