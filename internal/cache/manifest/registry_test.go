package manifest

import (
	"context"
	"maps"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"example.com/communityfeed/internal/cache/remote"
	"example.com/communityfeed/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// open returns a registry, and what it is in.
func open(t *testing.T, url, prefix string) (*Registry, *remote.Redis) {
	t.Helper()
	tier, err := remote.Open(url, remote.Options{Prefix: prefix, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tier.Close() })
	return NewRegistry(tier), tier
}

func reopened(t *testing.T, url, prefix string) *Registry {
	r, _ := open(t, url, prefix)
	return r
}

// client returns the client behind a tier.
func client(t *testing.T, tier *remote.Redis) (c redis.UniversalClient) {
	if err := tier.Do(t.Context(), func(_ context.Context, its redis.UniversalClient) error { c = its; return nil }); err != nil {
		t.Fatal(err)
	}
	return c
}

func entryKey(tier *remote.Redis, key string) string { return tier.Key("e:{" + key + "}") }

func TestKeysAreRegisteredAllOrNone(t *testing.T) {
	old := Manifest{"feed/1": "|id=", "list/1": ""}
	for name, c := range map[string]struct {
		record, keys Manifest
		admit        bool
		want         Manifest // the registry afterwards, where it is another
	}{
		"a new installation":        {Manifest{}, old, false, old},
		"the same again":            {old, old, false, old},
		"fewer":                     {old, Manifest{"feed/1": "|id="}, false, old},
		"a new version":             {old, Manifest{"feed/2": "|user="}, false, nil},
		"a new version, admitted":   {old, Manifest{"feed/2": "|user="}, true, Manifest{"feed/1": "|id=", "list/1": "", "feed/2": "|user="}},
		"another composition":       {old, Manifest{"feed/1": "|user="}, false, nil},
		"one that may, one may not": {old, Manifest{"feed/1": "|user=", "feed/2": ""}, true, nil},
		"no dimension any more":     {old, Manifest{"feed/1": ""}, true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, tier := open(t, testenv.Redis(t), testenv.Prefix(t))
			for h, dims := range c.record {
				if err := client(t, tier).HSet(t.Context(), r.key, h, dims).Err(); err != nil {
					t.Fatal(err)
				}
			}
			found, registered, err := r.Register(t.Context(), c.keys, c.admit)
			if err != nil {
				t.Fatal(err)
			}
			if want := c.want != nil; registered != want {
				t.Errorf("registered: %v, want %v", registered, want)
			}
			if !maps.Equal(found, c.record) {
				t.Errorf("found %q", found)
			}
			want := c.want
			if want == nil {
				want = c.record
			}
			if now, err := r.Read(t.Context()); err != nil || !maps.Equal(now, want) {
				t.Errorf("the registry is %q, %v, want %q", now, err, want)
			}
		})
	}
}

// Two programs of one name/version and different dimensions start at the same time, on
// a record that is empty: as many processes of each as there are here.
func TestOfTwoCompositionsAtTheSameTimeOneIsRegistered(t *testing.T) {
	t.Parallel()
	url := testenv.Redis(t)
	for range 10 {
		prefix := testenv.Prefix(t)
		programs := [2]Manifest{
			{"feed/1": "|id=", "a/1": "", "b/1": "|x="},
			{"feed/1": "|id=|user=", "c/1": "", "d/1": "|y="},
		}
		var registered [8]bool
		var all sync.WaitGroup
		start := make(chan struct{})
		for i := range registered {
			r, tier := open(t, url, prefix)
			if err := tier.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			all.Go(func() {
				<-start
				var err error
				_, registered[i], err = r.Register(t.Context(), programs[i%2], true)
				if err != nil {
					t.Error(err)
				}
			})
		}
		close(start)
		all.Wait()
		now, err := reopened(t, url, prefix).Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i, in := range registered {
			if in != maps.Equal(now, programs[i%2]) {
				t.Errorf("process %d was told %v, and the registry is %q", i, in, now)
			}
		}
		if !maps.Equal(now, programs[0]) && !maps.Equal(now, programs[1]) {
			t.Errorf("the registry is %q", now)
		}
	}
}

func TestAFullRaceOfOneProgramRegistersIt(t *testing.T) {
	t.Parallel()
	url, prefix := testenv.Redis(t), testenv.Prefix(t)
	var all sync.WaitGroup
	for i := range 8 {
		r, _ := open(t, url, prefix)
		all.Go(func() {
			keys := Manifest{"feed/1": "|id=", "own" + strconv.Itoa(i) + "/1": ""}
			if _, registered, err := r.Register(t.Context(), keys, true); !registered || err != nil {
				t.Errorf("process %d: registered %v, %v", i, registered, err)
			}
		})
	}
	all.Wait()
	if now, err := reopened(t, url, prefix).Read(t.Context()); err != nil || len(now) != 9 {
		t.Errorf("the registry is %q, %v", now, err)
	}
}

func TestForgettingAVersionDeletesItsEntriesAndNoOther(t *testing.T) {
	t.Parallel()
	r, tier := open(t, testenv.Redis(t), testenv.Prefix(t))
	ctx := t.Context()
	keys := Manifest{"feed/1": "|id=", "feed/11": "|id=", "feed.x/1": "", "all/1": ""}
	if _, _, err := r.Register(ctx, keys, false); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"feed/1|id=1", "feed/1|id=2", "feed/11|id=1", "feed.x/1", "all/1"} {
		if err := client(t, tier).Set(ctx, entryKey(tier, k), "", time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := client(t, tier).Set(ctx, tier.Key("l:{feed/1|id=1}"), "token", time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	deleted, err := r.Forget(ctx, "feed/1", "all/1", "*", "not/1")
	if err != nil {
		t.Fatal(err)
	}
	if want := 3; deleted != want {
		t.Errorf("deleted: %v, want %v", deleted, want)
	}
	left, err := client(t, tier).Keys(ctx, remote.Literal(tier.Key(""))+"*").Result()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, k := range left {
		got[k] = true
	}
	want := map[string]bool{r.key: true, entryKey(tier, "feed/11|id=1"): true, entryKey(tier, "feed.x/1"): true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("left in Redis (-want +got):\n%s", diff)
	}
	if now, err := r.Read(ctx); err != nil || !maps.Equal(now, Manifest{"feed/11": "|id=", "feed.x/1": ""}) {
		t.Errorf("the registry is %q, %v", now, err)
	}
}
