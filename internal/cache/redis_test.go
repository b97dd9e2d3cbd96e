package cache

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"example.com/communityfeed/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// The rules that lean on Redis itself (scripts, times to live, messages), on a real
// server. The other tests speak to the same tier over a server in the bubble.

// A member is a process on a real Redis that tells the test what it hears.
type member struct {
	*Cache
	row   *Source[string]
	heard chan string
}

func join(t *testing.T, url, prefix string, policy Policy, load func(context.Context, Key) (string, error)) *member {
	t.Helper()
	tier, err := NewRedis(url, RedisOptions{Prefix: prefix, Budget: 5 * time.Second, Log: testenv.Log(t)})
	if err != nil {
		t.Fatal(err)
	}
	m := &member{Cache: newCache(tier, Options{Log: testenv.Log(t)}), heard: make(chan string, 100)}
	spec := rowSpec("row")
	spec.Policy = policy
	m.row = NewSource(m.Cache, spec, JSON[string]{}, load)
	subscribed := make(chan struct{})
	var once sync.Once
	m.spawn(func(ctx context.Context) {
		tier.listen(ctx, func(message string) {
			m.heed(message)
			select {
			case m.heard <- message:
			case <-ctx.Done():
			}
		}, m.cutOff, func() {
			m.deafen()
			once.Do(func() { close(subscribed) })
		})
	})
	<-subscribed
	t.Cleanup(func() { m.Close(); tier.Close() })
	return m
}

func (m *member) read(t *testing.T, name string) Result[string] {
	t.Helper()
	r, err := m.row.Fetch(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestMoveReachesAnotherProcessOnRealRedis(t *testing.T) {
	origin := &rows{values: map[string]string{"a": "old"}, failing: make(map[string]error)}
	url, prefix := testenv.Redis(t), testenv.Prefix(t)
	p := join(t, url, prefix, testPolicy, origin.load)
	other := join(t, url, prefix, testPolicy, origin.load)

	equal(t, "first read", p.read(t, "a").Outcome, Miss)
	equal(t, "the other's read", other.read(t, "a").Outcome, HitL2)
	equal(t, "the other's second", other.read(t, "a").Outcome, HitL1)

	for _, m := range moves {
		origin.set("a", m.name)
		if err := p.Move(t.Context(), m.move(rowTag("a"))); err != nil {
			t.Fatal(err)
		}
		equal(t, "the writer's read", p.read(t, "a").Value, m.name)
		for message := range other.heard {
			if message == encodeMoved(rowTag("a")) {
				break
			}
		}
		equal(t, "the other's read once it has heard", other.read(t, "a").Value, m.name)
	}

	origin.fail("a", errBroken)
	if err := p.Move(t.Context(), Changed(rowTag("a"))); err != nil {
		t.Fatal(err)
	}
	equal(t, "a changed copy on error", p.read(t, "a").Outcome, Stale)
	if err := p.Move(t.Context(), Revoked(rowTag("a"))); err != nil {
		t.Fatal(err)
	}
	if r, err := p.row.Fetch(t.Context(), "a"); !errors.Is(err, errBroken) {
		t.Errorf("a revoked copy on error: %q, %v", r.Value, err)
	}
}

func TestOneLoadServesTheFleetOnRealRedis(t *testing.T) {
	origin := &rows{values: map[string]string{"a": "v"}, failing: make(map[string]error)}
	url, prefix := testenv.Redis(t), testenv.Prefix(t)
	atLoad := origin.hold("a")
	loading := make(chan struct{})
	var once sync.Once
	load := func(ctx context.Context, k Key) (string, error) {
		once.Do(func() { close(loading) })
		return origin.load(ctx, k)
	}
	var reads sync.WaitGroup
	for range 3 {
		p := join(t, url, prefix, testPolicy, load)
		for range 100 {
			reads.Go(func() {
				if v, err := p.row.GetOrSet(t.Context(), "a"); err != nil || v != "v" {
					t.Errorf("got %q, %v", v, err)
				}
			})
		}
	}
	<-loading
	atLoad.release()
	reads.Wait()
	equal(t, "loads", origin.count(), 1)
}

func TestFillWithoutItsLeaseStoresNothingOnRealRedis(t *testing.T) {
	origin := &rows{values: map[string]string{"a": "v"}, failing: make(map[string]error)}
	p := join(t, testenv.Redis(t), testenv.Prefix(t), testPolicy, origin.load)
	ctx := t.Context()
	first, l := p.l2.lease("k"), p.l2.lease("k")
	for _, try := range []struct {
		lease *lease
		from  []string
		want  bool
	}{
		{first, nil, true},
		{l, nil, false},
		{l, []string{"another's"}, false},
		{l, []string{"another's", first.token}, true},
		{first, nil, false},
	} {
		if taken, _, err := p.l2.claim(ctx, try.lease, try.from, question{key: "k"}, nil); taken != try.want || err != nil {
			t.Fatalf("taking the lease, also from %q: %v, %v", try.from, taken, err)
		}
	}
	e := &entry{retention: time.Minute, fresh: time.Minute, ids: []ids{{"c", "r"}}, body: []byte("v")}
	other := &lease{tier: p.l2, key: "k", token: mint()}
	if stored, err := other.store(ctx, e, nil, time.Now().Add(time.Minute)); stored || err != nil {
		t.Errorf("stored without the lease: %v, %v", stored, err)
	}
	if err := other.release(ctx, failed, false); err != nil {
		t.Error(err)
	}
	if stored, err := l.store(ctx, e, []Tag{"t"}, time.Now().Add(time.Minute)); !stored || err != nil {
		t.Errorf("refused with the lease: %v, %v", stored, err)
	}
	r, err := p.l2.read(ctx, "k", []Tag{"t"}, false)
	if err != nil || r.entry == nil || string(r.entry.body) != "v" || r.age() > 30*time.Second || r.ids[0] != (ids{}) {
		t.Errorf("read back %+v, %v", r, err)
	}
	if r, err = p.l2.read(ctx, "k", []Tag{"t"}, true); err != nil || r.ids[0].change == "" || r.ids[0].revoke == "" {
		t.Errorf("a snapshot creates what is missing: %+v, %v", r, err)
	}
}
