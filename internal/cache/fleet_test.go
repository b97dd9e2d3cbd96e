package cache

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"example.com/communityfeed/internal/cache/remote"
)

// A fleet is some processes over one origin and one Redis, inside a synctest
// bubble: time passes only when everybody waits, and synctest.Wait is the barrier
// that says that everybody does. Redis is the production tier with its scripts,
// spoken to over in-memory connections.
type fleet struct {
	t      *testing.T
	redis  *miniredis.Miniredis
	origin *rows
}

func inFleet(t *testing.T, test func(*testing.T, *fleet)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := miniredis.NewMiniRedis()
		m.ClockTTL(true)
		t.Cleanup(m.Close)
		test(t, &fleet{t: t, redis: m, origin: &rows{values: make(map[string]string), failing: make(map[string]error)}})
	})
}

// A process is one cache of the fleet, with two kinds of fragment, and pages that are
// composed of one of each.
type process struct {
	*Cache
	t      *testing.T
	tier   *remote.Redis
	client *redis.Client
	gate   *gate
	row    *Source[string] // key: name; tag: row:NAME
	own    *Source[string] // key: name, viewer; tag: own:NAME/VIEWER; it is the viewer's
	page   *Page[string]   // key: name, viewer; the row, a plus and the viewer's own

	mu      sync.Mutex
	post    post
	mailbox []Tag // messages that are late
}

// A post says what becomes of the messages that tell a process of moves.
type post int

const (
	punctual post = iota
	late          // kept until they are delivered
	lost
)

var testPolicy = Policy{TTL: 30 * time.Second, StaleWhileRevalidate: time.Minute, StaleIfError: time.Hour}

func rowTag(name string) Tag { return Tag("row:" + name) }

func ownTag(name, viewer string) Tag { return Tag("own:" + name + "/" + viewer) }

func rowSpec(name string) Spec {
	return Spec{
		Name: name, Version: 1, Dims: []string{"name"}, Policy: testPolicy,
		Tags: func(k Key) []Tag { return []Tag{rowTag(k.Get("name"))} },
	}
}

func ownSpec(name string) Spec {
	return Spec{
		Name: name, Version: 1, Dims: []string{"name", "viewer"}, Owner: "viewer", Policy: testPolicy,
		Tags: func(k Key) []Tag { return []Tag{ownTag(k.Get("name"), k.Get("viewer"))} },
	}
}

func pageSpec(name string) PageSpec {
	return PageSpec{Name: name, Version: 1, Dims: []string{"name", "viewer"}}
}

func textSize(v string) int { return len(v) }

// compose composes a page of p's fragments. Both are named before either is waited for.
func (p *process) compose(m *Composition) (string, error) {
	name := m.Key().Get("name")
	row, own := p.row.Want(m, name), p.own.Want(m, name, m.Key().Get("viewer"))
	shared, err := row.Get()
	if err != nil {
		return "", err
	}
	mine, err := own.Get()
	return shared + "+" + mine, err
}

// process starts a process with both tiers.
func (f *fleet) process() *process { return f.through(f.dial) }

// through starts a process that connects to Redis in a way of its own.
func (f *fleet) through(dial func() (net.Conn, error)) *process {
	o := remote.Options{
		Prefix: "cf:", Timeout: 200 * time.Millisecond, PoolSize: testConnections,
		Dial: func(context.Context) (net.Conn, error) { return dial() },
	}
	// The address is never dialled; a name would be looked up outside the bubble.
	options, err := remote.ClientOptions("redis://127.0.0.1:1", o)
	if err != nil {
		f.t.Fatal(err)
	}
	gate, client := &gate{}, redis.NewClient(options)
	client.AddHook(gate)
	tier := remote.New(client, o)
	p := f.start(tier)
	p.tier, p.client, p.gate = tier, client, gate
	p.spawn(func(ctx context.Context) { tier.Listen(ctx, p) })
	f.t.Cleanup(func() { p.Close(); tier.Close() })
	synctest.Wait() // until it is subscribed
	return p
}

// testConnections are what a process has for reads.
const testConnections = 20

// occupy takes all connections for reads until release is called.
func (p *process) occupy() (release func()) {
	released := make(chan struct{})
	for range testConnections {
		go p.tier.Do(context.Background(), func(context.Context, redis.UniversalClient) error { <-released; return nil })
	}
	synctest.Wait()
	return func() { close(released) }
}

// dial connects to Redis.
func (f *fleet) dial() (net.Conn, error) {
	conn, err := f.redis.Dial()
	if err != nil {
		return nil, err
	}
	return buffered(conn), nil
}

// alone starts a process without L2.
func (f *fleet) alone() *process {
	p := f.start(remote.None{})
	f.t.Cleanup(p.Close)
	return p
}

func (f *fleet) start(tier remote.Tier) *process {
	p := &process{t: f.t, Cache: newCache(tier, Options{Answer: func(err error) bool { return errors.Is(err, errNothing) }})}
	p.row = NewSource(p.Cache, rowSpec("row"), JSON[string]{}, f.origin.load)
	p.own = NewSource(p.Cache, ownSpec("own"), JSON[string]{}, f.origin.load)
	p.page = NewPage(p.Cache, pageSpec("page"), textSize, p.compose)
	return p
}

// A process hears of invalidations as the test's post has it, and of all else at once.

func (p *process) Invalidated(t Tag) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.post {
	case punctual:
		listener{p.Cache}.Invalidated(t)
	case late:
		p.mailbox = append(p.mailbox, t)
	}
}

func (p *process) FillEnded(key string, how remote.FillResult) { listener{p.Cache}.FillEnded(key, how) }
func (p *process) Lost()                                       { listener{p.Cache}.Lost() }
func (p *process) Subscribed()                                 { listener{p.Cache}.Subscribed() }

// invalidationMessage is what the fleet is told of an invalidation.
func invalidationMessage(t Tag) string { return "M" + string(t) }

// send says what becomes of the news of moves from now on.
func (p *process) send(how post) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.post = how
}

// delayMessages keeps the news of moves from the process until they are delivered.
func (p *process) delayMessages() { p.send(late) }

// deliver lets the process hear what was late.
func (p *process) deliver() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.mailbox {
		listener{p.Cache}.Invalidated(t)
	}
	p.post, p.mailbox = punctual, nil
}

// read returns what the process reads under a row's name, and how.
func (p *process) read(name string) (string, Outcome) {
	p.t.Helper()
	r, err := p.row.Fetch(p.t.Context(), name)
	if err != nil {
		p.t.Errorf("read %s: %v", name, err)
	}
	return r.Value, r.Outcome
}

// readPage returns what the process reads of a row's page for a viewer, and how.
func (p *process) readPage(name, viewer string) (string, Outcome) {
	p.t.Helper()
	r, err := p.page.Fetch(p.t.Context(), name, viewer)
	if err != nil {
		p.t.Errorf("read the page %s of %s: %v", name, viewer, err)
	}
	return r.Value, r.Outcome
}

// write changes a row and tells p, as a writer does: commit, move, answer.
func (f *fleet) write(p *process, name, value string, m func(...Tag) Invalidation) {
	f.t.Helper()
	f.origin.set(name, value)
	if err := p.Invalidate(f.t.Context(), m(rowTag(name))); err != nil {
		f.t.Errorf("move: %v", err)
	}
	synctest.Wait() // until everybody who hears has heard
}

// writeUnmoved changes a row and fails to tell anybody but p.
func (f *fleet) writeUnmoved(p *process, name, value string, m func(...Tag) Invalidation) {
	f.t.Helper()
	f.origin.set(name, value)
	p.gate.refuse(invalidationMessage(rowTag(name)))
	if err := p.Invalidate(f.t.Context(), m(rowTag(name))); err == nil {
		f.t.Error("the move was to fail")
	}
}

// drain repeats the moves of the given rows, as the outbox does, and reports whether
// L2 is trusted after it.
func (p *process) drain(rows ...string) bool {
	_, end, _ := p.BeginDrain()
	for _, name := range rows {
		if p.Invalidate(p.t.Context(), Changed(rowTag(name))) != nil {
			return false
		}
	}
	end()
	synctest.Wait()
	return p.l2.trust.holds()
}

// A fetcher is a source or a page.
type fetcher[T any] interface {
	Fetch(ctx context.Context, values ...string) (Result[T], error)
}

// later starts a read and returns a function that waits for what it got.
func later[T any](s fetcher[T], values ...string) func() (Result[T], error) {
	type outcome struct {
		r   Result[T]
		err error
	}
	ch := make(chan outcome, 1)
	go func() {
		r, err := s.Fetch(context.Background(), values...)
		ch <- outcome{r, err}
	}()
	synctest.Wait() // until it is held or done
	return func() (Result[T], error) { o := <-ch; return o.r, o.err }
}

// equal fails the test unless got is want.
func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// What the other rooms keep to themselves.
const (
	testBreakerStep = 200 * time.Millisecond
	testTagLife     = remote.MaxRetention + time.Hour
)
