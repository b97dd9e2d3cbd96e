package cache

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// A tag must outlive every entry that lies under it: one that is lost reads as
// revoked, which is safe and costs the entry. A move does not know what lies under
// its tag, so it renews it for the longest that an entry may live; a store for as
// long as its entry does. A snapshot keeps a tag only for as long as a fill may take,
// or asking for pages that do not exist would fill Redis with their tags.
const (
	maxRetention = 2 * Day // of a policy that is fresh for a day, with all else that it may have
	tagLife      = maxRetention + time.Hour
	snapshotLife = time.Minute
)

// RedisOptions tunes the client. Zero values are the defaults.
type RedisOptions struct {
	Prefix   string        // of every key and channel; default "cf:"
	Budget   time.Duration // the most that one read may give to Redis, and one other call may take; default 200 ms
	PoolSize int           // connections for reads, besides a few for moves; default 64
	Log      *slog.Logger  // default: discard

	// Dial connects to the server. The default dials the URL's address.
	Dial func(context.Context) (net.Conn, error)
}

func (o RedisOptions) withDefaults() RedisOptions {
	o.Prefix = cmp.Or(o.Prefix, "cf:")
	o.Budget = cmp.Or(o.Budget, 200*time.Millisecond)
	o.PoolSize = cmp.Or(o.PoolSize, 64)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Redis is L2. Its keys, under the prefix:
//
//	e:{KEY}   entry: header with the tags' ids, then the body
//	l:{KEY}   lease token
//	t:TAG     hash: c, the id of the last change; r, of the last revocation
//	inv       channel: moves, and the ends of fills
//	keys      hash: the composition of each key ever deployed (record.go)
//
// The braces keep an entry and its lease in one cluster slot, and no command
// needs two slots. Replicas are never read: they lag, and a fence that lags is
// none.
//
// A read has one budget for all of its calls (allowance.go). Another call waits its
// turn for as long as its caller does, and ends within the budget from then on.
// Calls that can be done without are not made while the breaker is open.
type Redis struct {
	client redis.UniversalClient
	prefix string
	budget time.Duration
	turns  chan struct{} // of reads and leases: those wait in line
	ends   chan struct{} // of fills that end: the fleet waits for them
	moves  chan struct{} // of moves: writers wait for them, and one that fails costs all trust in L2
	calls  breaker
	log    *slog.Logger

	everything renewal
}

// A renewal is how long the tag of everything is known to live. Every store needs that
// tag, and to renew it once in a while is enough. What is known holds for the ids that
// the tag had: one that was lost and made anew has others, and is renewed again.
type renewal struct {
	mu    sync.Mutex
	of    ids
	until time.Time
}

// lives reports whether the tag lives for so long, if it has these ids.
func (r *renewal) lives(has ids, life time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.of == has && time.Until(r.until) >= life
}

// renewed notes that the tag was renewed for as long as a tag lives, unless that failed.
func (r *renewal) renewed(has ids, err error) {
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.of, r.until = has, time.Now().Add(tagLife)
}

// NewRedis makes the tier. It does not connect: a server that is away is a
// degraded cache, not a reason to refuse to start.
func NewRedis(url string, o RedisOptions) (*Redis, error) {
	o = o.withDefaults()
	opts, err := redis.ParseURL(url)
	if err != nil {
		return nil, fmt.Errorf("cache: Redis URL: %w", err)
	}
	// One try within the caller's deadline. The library's defaults would retry a
	// dead server for 1.7 s and ignore the context's deadline on a silent one.
	opts.ContextTimeoutEnabled = true
	opts.MaxRetries, opts.DialerRetries = -1, 1
	opts.PoolSize = o.PoolSize + urgentTurns
	if o.Dial != nil {
		opts.Dialer = func(ctx context.Context, _, _ string) (net.Conn, error) { return o.Dial(ctx) }
	}
	return newRedis(redis.NewClient(opts), o), nil
}

func newRedis(client redis.UniversalClient, o RedisOptions) *Redis {
	return &Redis{
		client: client, prefix: o.Prefix, budget: o.Budget, log: o.Log, calls: breaker{most: l2Most},
		turns: make(chan struct{}, o.PoolSize), ends: make(chan struct{}, endTurns), moves: make(chan struct{}, moveTurns),
	}
}

// Close closes the connections. Call it after the Cache is closed.
func (r *Redis) Close() error { return r.client.Close() }

// Ping asks the server for a sign of life, within the budget.
func (r *Redis) Ping(ctx context.Context) error {
	return r.call(ctx, func(ctx context.Context) error { return r.client.Ping(ctx).Err() })
}

// PoolStats reports on the connections.
func (r *Redis) PoolStats() *redis.PoolStats { return r.client.PoolStats() }

func (r *Redis) entryKey(k string) string { return r.prefix + "e:{" + k + "}" }
func (r *Redis) leaseKey(k string) string { return r.prefix + "l:{" + k + "}" }
func (r *Redis) tagKey(t Tag) string      { return r.prefix + "t:" + string(t) }
func (r *Redis) channel() string          { return r.prefix + "inv" }

// mint returns an id that was never used before.
func mint() string { return rand.Text() }

// Connections that are kept for what others wait for. What is urgent does not wait
// behind reads, and moves do not wait behind the many fills that end at once when
// much has been missed.
const (
	endTurns    = 8
	moveTurns   = 4
	urgentTurns = endTurns + moveTurns
)

// errOpen is the error of a call that was not made, because calls have been failing.
var errOpen = errors.New("cache: Redis does not answer")

// call makes a call that can be done without: not while the breaker is open, which
// is asked again when it is the call's turn. Those who stood in line behind a server
// that fell silent would otherwise try it one after the other.
func (r *Redis) call(ctx context.Context, do func(context.Context) error) error {
	if r.calls.refuses() {
		return errOpen
	}
	return r.attempt(ctx, r.turns, func(ctx context.Context) error {
		if !r.calls.allow(nil) {
			return errOpen
		}
		err := do(ctx)
		if !answered(err) {
			r.calls.because(err)
		}
		r.calls.done(answered(err))
		return err
	})
}

// urge makes a call that a writer waits for, whatever became of the calls before it.
func (r *Redis) urge(ctx context.Context, do func(context.Context) error) error {
	return r.attempt(ctx, r.moves, do)
}

// conclude makes a call that ends a fill, whatever became of the calls before it.
func (r *Redis) conclude(ctx context.Context, do func(context.Context) error) error {
	return r.attempt(ctx, r.ends, do)
}

// answered reports whether the server said anything. An error reply is an answer,
// and a caller who left says nothing about the server.
func answered(err error) bool {
	var reply redis.Error
	return err == nil || errors.As(err, &reply) || errors.Is(err, context.Canceled)
}

// attempt runs one round trip: a turn first, the deadline from then on, so that a
// burst of our own does not look like a slow server.
func (r *Redis) attempt(ctx context.Context, turns chan struct{}, do func(context.Context) error) error {
	a := allowanceOf(ctx)
	if err := a.queue(ctx, turns); err != nil {
		return err
	}
	defer func() { <-turns }()
	return a.spend(ctx, r.budget, do)
}

// allow gives a read its time for L2.
func (r *Redis) allow(ctx context.Context) context.Context {
	return withAllowance(ctx, &allowance{left: r.budget, line: r.budget / 2})
}

// moveTag gives a tag a new id in field ARGV[1], and in the other one too where it
// is missing: a tag with half its ids would let a copy be stored that no
// revocation could reach. It returns the ids that there were.
const moveTag = `
local was = redis.call('HMGET', KEYS[1], 'c', 'r')
local now = {c = was[1] or ARGV[2], r = was[2] or ARGV[2]}
now[ARGV[1]] = ARGV[2]
redis.call('HSET', KEYS[1], 'c', now.c, 'r', now.r)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PUBLISH', ARGV[4], ARGV[5])
return was`

// move moves tags, one command each, in one round trip, and returns what that did to
// the ids of each. Moves commute, so half a move that is repeated later is no harm.
func (r *Redis) move(ctx context.Context, m Move) (did []replacement, err error) {
	field := "c"
	if m.Revoke {
		field = "r"
	}
	err = r.urge(ctx, func(ctx context.Context) error {
		pipe := r.client.Pipeline()
		minted := make([]string, len(m.Tags))
		replies := make([]*redis.Cmd, len(m.Tags))
		for i, t := range m.Tags {
			minted[i] = mint()
			replies[i] = pipe.Eval(ctx, moveTag, []string{r.tagKey(t)},
				field, minted[i], tagLife.Milliseconds(), r.channel(), encodeMoved(t))
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return fmt.Errorf("cache: move tags: %w", err)
		}
		did = make([]replacement, len(m.Tags))
		for i, reply := range replies {
			was, err := idsOf(reply)
			if err != nil {
				return fmt.Errorf("cache: move tag %s: %w", m.Tags[i], err)
			}
			did[i] = replacement{was, was.after(m.Revoke, minted[i])}
		}
		return nil
	})
	return did, err
}
