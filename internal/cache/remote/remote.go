// Package remote is L2: entries, tag ids and leases in Redis, and the messages about them.
//
// # Keys
//
// All of them begin with the prefix:
//
//	e:{KEY}   entry: a header with the ids of its tags, then the body
//	l:{KEY}   lease token
//	t:TAG     hash: c, the id of the last change; r, of the last revocation
//	inv       channel: invalidations, and the ends of fills
//	keys      hash: the dimensions of each key ever deployed (package manifest)
//	shapes    hash: the shape of what is under each of them
//
// The braces keep an entry and its lease in one Cluster slot. No command needs two slots but
// the transaction on the last two. Replicas are never read: they lag, and a fence that lags is none.
//
// # Calls
//
// A read has one [Budget] for all of its calls. A call without a budget queues for a
// connection for as long as its caller does, and ends within [Options].Timeout from then
// on. Calls that are not needed for correctness are not made while the breaker is open.
package remote

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/communityfeed/internal/cache/breaker"
	"example.com/communityfeed/internal/cache/fence"
)

// A Tier is L2, or its absence: a [Redis], or [None].
type Tier interface {
	// NewBudget returns the time that one read may give to the store.
	NewBudget() *Budget
	// Timeout bounds one call.
	Timeout() time.Duration

	// Lookup reads entries and the ids of their tags in one round trip.
	Lookup(ctx context.Context, b *Budget, queries []Query, create bool) []Result
	// LookupIDs reads the ids of tags.
	LookupIDs(ctx context.Context, b *Budget, tags []fence.Tag) ([]fence.IDs, error)

	// Claim asks for a lease and looks its key up, in one round trip.
	Claim(ctx context.Context, b *Budget, c Claim) (given bool, r Result, err error)
	// Lock asks for a lease and for nothing else.
	Lock(ctx context.Context, l Lease) (given bool, err error)
	// Store ends a lease with an entry that lives until a moment.
	Store(ctx context.Context, l Lease, e *Entry, tags []fence.Tag, until time.Time) (stored bool, err error)
	// Release ends a lease without an entry.
	Release(ctx context.Context, l Lease, how FillResult, unlink bool) error
	// Replace stores an entry in the place of one that has not changed.
	Replace(ctx context.Context, b *Budget, r Replacement) (replaced bool, err error)

	// Invalidate gives tags new ids and tells the fleet.
	Invalidate(ctx context.Context, tags []fence.Tag, revoke bool) ([]Renewed, error)
	// Listen tells l what the fleet is told, until ctx ends.
	Listen(ctx context.Context, l Listener)

	// Scan calls page with the keys of entries that match a pattern.
	Scan(ctx context.Context, pattern string, page func(keys []string) error) error
	// Unlink removes entries and voids their leases.
	Unlink(ctx context.Context, keys []string) (removed int, err error)

	// Stats is the state of the breaker in front of the store.
	Stats() breaker.Stats
}

// A tag must outlive every entry that has it: one that is lost reads as revoked, which is
// safe and costs the entry. An invalidation does not know which entries its tag has, so it
// renews the tag for the longest that an entry may live; a store renews it for as long as
// its entry lives. A lookup that creates ids keeps them only for as long as a fill may
// take, or requests for pages that do not exist would fill Redis with their tags.
const (
	MaxRetention = 48 * time.Hour // of a policy that is fresh for a day, with all else that it may have
	tagLife      = MaxRetention + time.Hour
	snapshotLife = time.Minute
)

// Options tunes the client. Zero values are the defaults.
type Options struct {
	Prefix   string        // of every key and channel; default "cf:"
	Timeout  time.Duration // the most that one read may give to Redis, and one other call may take; default 200 ms
	PoolSize int           // connections for reads, besides a few for fills and writes; default 64
	Log      *slog.Logger  // default: discard

	// Dial connects to the server. The default dials the URL's address.
	Dial func(context.Context) (net.Conn, error)
}

func (o Options) withDefaults() Options {
	o.Prefix = cmp.Or(o.Prefix, "cf:")
	o.Timeout = cmp.Or(o.Timeout, 200*time.Millisecond)
	o.PoolSize = cmp.Or(o.PoolSize, 64)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Redis is L2.
type Redis struct {
	client  redis.UniversalClient
	prefix  string
	timeout time.Duration
	reads   slots // of reads and leases: these queue
	fills   slots // of fills that end: the fleet waits for them
	writes  slots // of invalidations: writers wait for them, and one that fails costs all trust in L2
	breaker *breaker.Breaker
	log     *slog.Logger

	everything renewal
}

// slots are connections that may be in use at the same time. Connections for fills and
// writes are kept apart: they do not queue behind reads, and invalidations do not queue
// behind the many fills that end at once when much was missed.
type slots chan struct{}

const (
	fillSlots  = 8
	writeSlots = 4
)

// breakerMost is the longest that the breaker keeps calls back.
const breakerMost = 5 * time.Second

// Open makes the tier. It does not connect: a server that is away is a degraded cache, not
// a reason to refuse to start.
func Open(url string, o Options) (*Redis, error) {
	o = o.withDefaults()
	client, err := ClientOptions(url, o)
	if err != nil {
		return nil, err
	}
	return New(redis.NewClient(client), o), nil
}

// ClientOptions are the options of the client that [Open] makes.
func ClientOptions(url string, o Options) (*redis.Options, error) {
	o = o.withDefaults()
	client, err := redis.ParseURL(url)
	if err != nil {
		return nil, fmt.Errorf("cache: Redis URL: %w", err)
	}
	// One try within the caller's deadline. The library's defaults would retry a dead
	// server for 1.7 s and ignore the context's deadline on a silent one.
	client.ContextTimeoutEnabled = true
	client.MaxRetries, client.DialerRetries = -1, 1
	client.PoolSize = o.PoolSize + fillSlots + writeSlots
	if o.Dial != nil {
		client.Dialer = func(ctx context.Context, _, _ string) (net.Conn, error) { return o.Dial(ctx) }
	}
	return client, nil
}

// New makes the tier over a client, which must be made by the rules of [ClientOptions].
func New(client redis.UniversalClient, o Options) *Redis {
	o = o.withDefaults()
	return &Redis{
		client: client, prefix: o.Prefix, timeout: o.Timeout, log: o.Log, breaker: breaker.New(0, breakerMost),
		reads: make(slots, o.PoolSize), fills: make(slots, fillSlots), writes: make(slots, writeSlots),
	}
}

// Close closes the connections. Call it after the cache is closed.
func (r *Redis) Close() error { return r.client.Close() }

// Ping asks the server for a sign of life, within the timeout.
func (r *Redis) Ping(ctx context.Context) error {
	return r.Do(ctx, func(ctx context.Context, client redis.UniversalClient) error { return client.Ping(ctx).Err() })
}

// PoolStats reports on the connections.
func (r *Redis) PoolStats() *redis.PoolStats { return r.client.PoolStats() }

// Stats returns the state of the breaker.
func (r *Redis) Stats() breaker.Stats { return r.breaker.Stats() }

// Timeout bounds one call.
func (r *Redis) Timeout() time.Duration { return r.timeout }

// Key returns the name of a key or channel under the prefix.
func (r *Redis) Key(name string) string { return r.prefix + name }

func (r *Redis) entryKey(k string) string  { return r.Key("e:{" + k + "}") }
func (r *Redis) leaseKey(k string) string  { return r.Key("l:{" + k + "}") }
func (r *Redis) tagKey(t fence.Tag) string { return r.Key("t:" + string(t)) }
func (r *Redis) channel() string           { return r.Key("inv") }

// mint returns an id that was never used before.
func mint() string { return rand.Text() }

// Why a call was not made.
var (
	// ErrNone is the error of every call to None.
	ErrNone = errors.New("cache: there is no L2")

	errOpen = errors.New("cache: Redis does not answer")
)

// Do makes calls that belong to no read, as one: within the timeout, and not while the
// breaker is open.
func (r *Redis) Do(ctx context.Context, do func(context.Context, redis.UniversalClient) error) error {
	return r.call(ctx, nil, func(ctx context.Context) error { return do(ctx, r.client) })
}

// call makes a call that is not needed for correctness: not while the breaker is open. The
// breaker is asked again when the call has its connection. Otherwise the calls that have
// queued behind a server that fell silent would try it one after the other.
func (r *Redis) call(ctx context.Context, b *Budget, do func(context.Context) error) error {
	if r.breaker.Refuses() {
		return errOpen
	}
	return r.attempt(ctx, b, r.reads, func(ctx context.Context) error {
		if !r.breaker.Allow(nil) {
			return errOpen
		}
		err := do(ctx)
		if answered(err) {
			r.breaker.Done(nil)
		} else {
			r.breaker.Done(err)
		}
		return err
	})
}

// answered reports whether the server said anything. An error reply is an answer, and a
// caller that left says nothing about the server.
func answered(err error) bool {
	var reply redis.Error
	return err == nil || errors.As(err, &reply) || errors.Is(err, context.Canceled)
}

// attempt runs one round trip. The deadline begins when the call has a connection, so a
// burst of our own does not look like a slow server.
func (r *Redis) attempt(ctx context.Context, b *Budget, of slots, do func(context.Context) error) error {
	if err := b.queue(ctx, of); err != nil {
		return err
	}
	defer func() { <-of }()
	return b.spend(ctx, r.timeout, do)
}
