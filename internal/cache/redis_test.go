package cache

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"example.com/communityfeed/internal/testenv"

	"example.com/communityfeed/internal/cache/remote"

	"example.com/communityfeed/internal/cache/fence"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// The rules that lean on Redis itself (scripts, times to live, messages), on a real
// server. The other tests speak to the same tier over a server in the bubble.

// A member is a process on a real Redis that tells the test what it hears.
type member struct {
	*Cache
	tier       *remote.Redis
	row        *Source[string]
	heard      chan Tag
	once       sync.Once
	subscribed chan struct{}
}

func join(t *testing.T, url, prefix string, policy Policy, load func(context.Context, Key) (string, error)) *member {
	t.Helper()
	tier, err := remote.Open(url, remote.Options{Prefix: prefix, Timeout: 5 * time.Second, Log: testenv.Log(t)})
	if err != nil {
		t.Fatal(err)
	}
	m := &member{
		Cache: newCache(tier, Options{Log: testenv.Log(t)}), tier: tier,
		heard: make(chan Tag, 100), subscribed: make(chan struct{}),
	}
	spec := rowSpec("row")
	spec.Policy = policy
	m.row = NewSource(m.Cache, spec, JSON[string]{}, load)
	m.spawn(func(ctx context.Context) { tier.Listen(ctx, m) })
	<-m.subscribed
	t.Cleanup(func() { m.Close(); tier.Close() })
	return m
}

func (m *member) Invalidated(tag Tag) {
	listener{m.Cache}.Invalidated(tag)
	select {
	case m.heard <- tag:
	case <-m.root.Done():
	}
}

func (m *member) FillEnded(key string, how remote.FillResult) { listener{m.Cache}.FillEnded(key, how) }
func (m *member) Lost()                                       { listener{m.Cache}.Lost() }

func (m *member) Subscribed() {
	listener{m.Cache}.Subscribed()
	m.once.Do(func() { close(m.subscribed) })
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
		if err := p.Invalidate(t.Context(), m.move(rowTag("a"))); err != nil {
			t.Fatal(err)
		}
		equal(t, "the writer's read", p.read(t, "a").Value, m.name)
		for tag := range other.heard {
			if tag == rowTag("a") {
				break
			}
		}
		equal(t, "the other's read once it has heard", other.read(t, "a").Value, m.name)
	}

	origin.fail("a", errBroken)
	if err := p.Invalidate(t.Context(), Changed(rowTag("a"))); err != nil {
		t.Fatal(err)
	}
	equal(t, "a changed copy on error", p.read(t, "a").Outcome, Stale)
	if err := p.Invalidate(t.Context(), Revoked(rowTag("a"))); err != nil {
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
	first, l, other := remote.NewLease("k"), remote.NewLease("k"), remote.NewLease("k")
	for _, try := range []struct {
		lease remote.Lease
		from  []string
		want  bool
	}{
		{first, nil, true},
		{l, nil, false},
		{l, []string{"another's"}, false},
		{l, []string{"another's", first.Token}, true},
		{first, nil, false},
	} {
		if given, _, err := p.l2.Claim(ctx, nil, remote.Claim{Lease: try.lease, From: try.from}); given != try.want || err != nil {
			t.Fatalf("taking the lease, also from %q: %v, %v", try.from, given, err)
		}
	}
	e := &remote.Entry{Retention: time.Minute, Fresh: time.Minute, IDs: []fence.IDs{{Change: "c", Revoke: "r"}}, Body: []byte("v")}
	if stored, err := p.l2.Store(ctx, other, e, nil, time.Now().Add(time.Minute)); stored || err != nil {
		t.Errorf("stored without the lease: %v, %v", stored, err)
	}
	if err := p.l2.Release(ctx, other, remote.Failed, false); err != nil {
		t.Error(err)
	}
	if stored, err := p.l2.Store(ctx, l, e, []Tag{"t"}, time.Now().Add(time.Minute)); !stored || err != nil {
		t.Errorf("refused with the lease: %v, %v", stored, err)
	}
	lookup := func(create bool) remote.Result {
		return p.l2.Lookup(ctx, nil, []remote.Query{{Key: "k", Tags: []Tag{"t"}}}, create)[0]
	}
	if r := lookup(false); r.Err != nil || r.Entry == nil || string(r.Entry.Body) != "v" || r.Age() > 30*time.Second || r.IDs[0] != (fence.IDs{}) {
		t.Errorf("read back %+v", r)
	}
	if r := lookup(true); r.Err != nil || r.IDs[0].Change == "" || r.IDs[0].Revoke == "" {
		t.Errorf("a snapshot creates what is missing: %+v", r)
	}
}
