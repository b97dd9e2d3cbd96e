package cache

import (
	"maps"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/communityfeed/internal/testenv"
)

func recordTier(t *testing.T, url, prefix string) *Redis {
	t.Helper()
	tier, err := NewRedis(url, RedisOptions{Prefix: prefix, Budget: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tier.Close() })
	return tier
}

func TestKeysAreEnteredAllOrNone(t *testing.T) {
	old := Manifest{"feed/1": "|id=", "list/1": ""}
	for name, c := range map[string]struct {
		record, keys Manifest
		admit        bool
		want         Manifest // the record afterwards, where it is another
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
			tier := recordTier(t, testenv.Redis(t), testenv.Prefix(t))
			for h, dims := range c.record {
				if err := tier.client.HSet(t.Context(), tier.recordKey(), h, dims).Err(); err != nil {
					t.Fatal(err)
				}
			}
			found, entered, err := tier.Enter(t.Context(), c.keys, c.admit)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "entered", entered, c.want != nil)
			if !maps.Equal(found, c.record) {
				t.Errorf("found %q", found)
			}
			want := c.want
			if want == nil {
				want = c.record
			}
			if now, err := tier.Record(t.Context()); err != nil || !maps.Equal(now, want) {
				t.Errorf("the record is %q, %v, want %q", now, err, want)
			}
		})
	}
}

// Two programs of one name/version and different dimensions start at the same time, on
// a record that is empty: as many processes of each as there are here.
func TestOfTwoCompositionsAtTheSameTimeOneIsEntered(t *testing.T) {
	t.Parallel()
	url := testenv.Redis(t)
	for range 10 {
		prefix := testenv.Prefix(t)
		programs := [2]Manifest{
			{"feed/1": "|id=", "a/1": "", "b/1": "|x="},
			{"feed/1": "|id=|user=", "c/1": "", "d/1": "|y="},
		}
		var entered [8]bool
		var all sync.WaitGroup
		start := make(chan struct{})
		for i := range entered {
			tier := recordTier(t, url, prefix)
			if err := tier.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			all.Go(func() {
				<-start
				var err error
				_, entered[i], err = tier.Enter(t.Context(), programs[i%2], true)
				if err != nil {
					t.Error(err)
				}
			})
		}
		close(start)
		all.Wait()
		now, err := recordTier(t, url, prefix).Record(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i, in := range entered {
			if in != maps.Equal(now, programs[i%2]) {
				t.Errorf("process %d was told %v, and the record is %q", i, in, now)
			}
		}
		if !maps.Equal(now, programs[0]) && !maps.Equal(now, programs[1]) {
			t.Errorf("the record is %q", now)
		}
	}
}

func TestAFullRaceOfOneProgramEntersIt(t *testing.T) {
	t.Parallel()
	url, prefix := testenv.Redis(t), testenv.Prefix(t)
	var all sync.WaitGroup
	for i := range 8 {
		tier := recordTier(t, url, prefix)
		all.Go(func() {
			keys := Manifest{"feed/1": "|id=", "own" + strconv.Itoa(i) + "/1": ""}
			if _, entered, err := tier.Enter(t.Context(), keys, true); !entered || err != nil {
				t.Errorf("process %d: entered %v, %v", i, entered, err)
			}
		})
	}
	all.Wait()
	if now, err := recordTier(t, url, prefix).Record(t.Context()); err != nil || len(now) != 9 {
		t.Errorf("the record is %q, %v", now, err)
	}
}

func TestForgettingAVersionDeletesItsEntriesAndNoOther(t *testing.T) {
	t.Parallel()
	tier := recordTier(t, testenv.Redis(t), testenv.Prefix(t))
	ctx := t.Context()
	keys := Manifest{"feed/1": "|id=", "feed/11": "|id=", "feed.x/1": "", "all/1": ""}
	if _, _, err := tier.Enter(ctx, keys, false); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"feed/1|id=1", "feed/1|id=2", "feed/11|id=1", "feed.x/1", "all/1"} {
		if err := tier.client.Set(ctx, tier.entryKey(k), "", time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := tier.client.Set(ctx, tier.leaseKey("feed/1|id=1"), "token", time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	deleted, err := tier.Forget(ctx, "feed/1", "all/1", "*", "not/1")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "deleted", deleted, 3)
	left, err := tier.client.Keys(ctx, literal.Replace(tier.prefix)+"*").Result()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, k := range left {
		got[k] = true
	}
	want := map[string]bool{tier.recordKey(): true, tier.entryKey("feed/11|id=1"): true, tier.entryKey("feed.x/1"): true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("left in Redis (-want +got):\n%s", diff)
	}
	if now, err := tier.Record(ctx); err != nil || !maps.Equal(now, Manifest{"feed/11": "|id=", "feed.x/1": ""}) {
		t.Errorf("the record is %q, %v", now, err)
	}
}
