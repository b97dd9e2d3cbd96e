package manifest

import (
	"context"
	"errors"
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

// seed puts keys into Redis. The version before has no shapes.
func seed(t *testing.T, r *Registry, keys Manifest) {
	t.Helper()
	for h, c := range keys {
		if err := client(t, r.redis).HSet(t.Context(), r.dims, h, c.Dims).Err(); err != nil {
			t.Fatal(err)
		}
		if c.Shape == "" {
			continue
		}
		if err := client(t, r.redis).HSet(t.Context(), r.shapes, h, c.Shape).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func hash(t *testing.T, r *Registry, key string) map[string]string {
	t.Helper()
	h, err := client(t, r.redis).HGetAll(t.Context(), key).Result()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestKeysAreRegisteredAllOrNone(t *testing.T) {
	old := Manifest{"feed/1": {"|id=", "{id:integer}"}, "list/1": {"", "[string]"}}
	former := Manifest{"feed/1": {"|id=", ""}, "list/1": {"", ""}, "gone/1": {"|x=", ""}}
	with := func(m Manifest, head string, c Composition) Manifest {
		m = maps.Clone(m)
		m[head] = c
		return m
	}
	for name, c := range map[string]struct {
		registered, keys Manifest
		admit            bool
		want             Manifest // the registry afterwards; nil: the keys are refused
	}{
		"a new installation":          {Manifest{}, old, false, old},
		"the same again":              {old, old, false, old},
		"fewer":                       {old, Manifest{"feed/1": old["feed/1"]}, false, old},
		"a new version":               {old, Manifest{"feed/2": {"|user=", "any"}}, false, nil},
		"a new version, admitted":     {old, Manifest{"feed/2": {"|user=", "any"}}, true, with(old, "feed/2", Composition{"|user=", "any"})},
		"other dimensions":            {old, with(old, "feed/1", Composition{"|user=", "{id:integer}"}), false, nil},
		"one that may, one may not":   {old, Manifest{"feed/1": {"|user=", ""}, "feed/2": {}}, true, nil},
		"no dimension any more":       {old, Manifest{"feed/1": {"", "{id:integer}"}}, true, nil},
		"another shape":               {old, with(old, "feed/1", Composition{"|id=", "{id:string}"}), false, nil},
		"another shape, admitted":     {old, with(old, "feed/1", Composition{"|id=", "{id:string}"}), true, nil},
		"another shape of a new key":  {old, with(old, "feed/2", Composition{"|id=", "{id:string}"}), true, with(old, "feed/2", Composition{"|id=", "{id:string}"})},
		"without its shape":           {old, Manifest{"feed/1": {"|id=", ""}}, false, old},
		"the first that has shapes":   {former, old, false, with(old, "gone/1", Composition{"|x=", ""})},
		"a shape beside a new key":    {former, with(old, "feed/2", Composition{}), false, nil},
		"a shape, and one is refused": {with(former, "list/1", old["list/1"]), with(old, "list/1", Composition{"", "any"}), true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, _ := open(t, testenv.Redis(t), testenv.Prefix(t))
			seed(t, r, c.registered)
			before, err := r.Register(t.Context(), c.keys, c.admit)
			if _, refused := errors.AsType[*DiffError](err); refused != (c.want == nil) || !refused && err != nil {
				t.Errorf("got %v", err)
			}
			if !maps.Equal(before, c.registered) {
				t.Errorf("before there was %q", before)
			}
			want := c.want
			if want == nil {
				want = c.registered
			}
			if now, err := r.Read(t.Context()); err != nil || !maps.Equal(now, want) {
				t.Errorf("the registry is %q, %v, want %q", now, err, want)
			}
			// The version before compares this hash with its own keys, as text.
			dims := make(map[string]string)
			for h, c := range want {
				dims[h] = c.Dims
			}
			if diff := cmp.Diff(dims, hash(t, r, r.redis.Key("keys"))); diff != "" {
				t.Errorf("what the version before reads (-want +got):\n%s", diff)
			}
		})
	}
}

// A program of the version before removes keys and leaves their shapes behind.
func TestAShapeWithoutItsKeyDoesNotCount(t *testing.T) {
	t.Parallel()
	r, _ := open(t, testenv.Redis(t), testenv.Prefix(t))
	seed(t, r, Manifest{"feed/1": {"|id=", "string"}, "list/1": {"", "any"}})
	if err := client(t, r.redis).HDel(t.Context(), r.dims, "feed/1").Err(); err != nil {
		t.Fatal(err)
	}
	want := Manifest{"feed/1": {"|id=", "integer"}, "list/1": {"", "any"}}
	if before, err := r.Register(t.Context(), want, true); err != nil || len(before) != 1 {
		t.Errorf("before there was %q, %v", before, err)
	}
	if now, err := r.Read(t.Context()); err != nil || !maps.Equal(now, want) {
		t.Errorf("the registry is %q, %v, want %q", now, err, want)
	}
}

// Two programs of one name/version and different compositions start at the same time, as many
// processes of each as there are here: on a registry that is empty, and on one that has all
// dimensions and no shape.
func TestOfTwoCompositionsAtTheSameTimeOneIsRegistered(t *testing.T) {
	t.Parallel()
	url := testenv.Redis(t)
	for range 10 {
		raceFor(t, url, nil, [2]Manifest{
			{"feed/1": {"|id=", "any"}, "a/1": {}, "b/1": {Dims: "|x="}},
			{"feed/1": {"|id=|user=", "any"}, "c/1": {}, "d/1": {Dims: "|y="}},
		})
		raceFor(t, url, keys(map[string]string{"feed/1": "|id=", "list/1": ""}), [2]Manifest{
			{"feed/1": {"|id=", "string"}, "list/1": {"", "[any]"}},
			{"feed/1": {"|id=", "integer"}, "list/1": {"", "[any]"}},
		})
	}
}

func raceFor(t *testing.T, url string, registered Manifest, programs [2]Manifest) {
	t.Helper()
	prefix := testenv.Prefix(t)
	seed(t, reopened(t, url, prefix), registered)
	var refused [8]bool
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range refused {
		r, tier := open(t, url, prefix)
		if err := tier.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			<-start
			_, err := r.Register(t.Context(), programs[i%2], true)
			if _, refused[i] = errors.AsType[*DiffError](err); err != nil && !refused[i] {
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
	for i := range refused {
		if refused[i] == maps.Equal(now, programs[i%2]) {
			t.Errorf("process %d was refused: %v, and the registry is %q", i, refused[i], now)
		}
	}
	if !maps.Equal(now, programs[0]) && !maps.Equal(now, programs[1]) {
		t.Errorf("the registry is %q", now)
	}
}

func TestAFullRaceOfOneProgramRegistersIt(t *testing.T) {
	t.Parallel()
	url, prefix := testenv.Redis(t), testenv.Prefix(t)
	var all sync.WaitGroup
	for i := range 8 {
		r, _ := open(t, url, prefix)
		all.Go(func() {
			keys := Manifest{"feed/1": {"|id=", "any"}, "own" + strconv.Itoa(i) + "/1": {}}
			if _, err := r.Register(t.Context(), keys, true); err != nil {
				t.Errorf("process %d: %v", i, err)
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
	keys := Manifest{"feed/1": {"|id=", "any"}, "feed/11": {"|id=", "any"}, "feed.x/1": {}, "all/1": {"", "any"}}
	if _, err := r.Register(ctx, keys, false); err != nil {
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
	want := map[string]bool{r.dims: true, r.shapes: true, entryKey(tier, "feed/11|id=1"): true, entryKey(tier, "feed.x/1"): true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("left in Redis (-want +got):\n%s", diff)
	}
	if left := hash(t, r, r.shapes); len(left) != 1 {
		t.Errorf("the shapes are %q", left)
	}
	if now, err := r.Read(ctx); err != nil || !maps.Equal(now, Manifest{"feed/11": {"|id=", "any"}, "feed.x/1": {}}) {
		t.Errorf("the registry is %q, %v", now, err)
	}
}
