package cache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// leaseLife bounds how long a key stays locked by a process that died while
// filling it. A load's timeout is shorter, so a living holder keeps its lease to
// the end, unless its load ignores its context.
const leaseLife = 5 * time.Second

// A lease is the right to fill one key, given to one process of the fleet at a
// time. It can be lost (to time, to an eviction, to a delete of the key), so the
// store checks the token: at most one fill of those that ever held a lease on a
// key can store under it.
type lease struct {
	tier  *Redis
	key   string
	token string
}

// takeLease gives the lease to the token ARGV[1] if nobody has it, or who has one of
// the tokens from ARGV[3] on.
const takeLease = `
local holder = redis.call('GET', KEYS[1])
local free = not holder
for i = 3, #ARGV do free = free or holder == ARGV[i] end
if not free then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`

// lease makes a lease that nobody has yet.
func (r *Redis) lease(key string) *lease { return &lease{tier: r, key: key, token: mint()} }

// take asks for the lease and for nothing else. It reports false when somebody else has
// it. With an error the answer is unknown: the server may have given the lease after the
// caller stopped listening, so it must be given back, unless it was not given for certain.
func (l *lease) take(ctx context.Context) (taken bool, err error) {
	err = l.tier.call(ctx, func(ctx context.Context) (err error) {
		taken, err = l.request(ctx, l.tier.client, nil)()
		return err
	})
	return taken, err
}

// request sends the command that asks for the lease, also from the holders of tokens
// that it may be taken from, and returns what reads the reply.
func (l *lease) request(ctx context.Context, to redis.Cmdable, from []string) (taken func() (bool, error)) {
	key := l.tier.leaseKey(l.key)
	if len(from) == 0 {
		reply := to.SetArgs(ctx, key, l.token, redis.SetArgs{Mode: "NX", TTL: leaseLife})
		return func() (bool, error) {
			err := reply.Err()
			if errors.Is(err, redis.Nil) { // somebody else has it
				return false, nil
			}
			return err == nil, err
		}
	}
	args := []any{l.token, leaseLife.Milliseconds()}
	for _, token := range from {
		args = append(args, token)
	}
	return to.Eval(ctx, takeLease, []string{key}, args...).Bool
}

// claim asks for the lease of a question's key and reads what L2 has, in one round trip.
// With an error the lease must be given back, unless it was not given for certain.
//
// The commands of a pipeline are not one: those of others run between them, and on a
// Cluster the tags, which are in other slots, are read at any time of the round trip. The
// lease is asked for before the entry is read, in the same slot, and that order counts:
//
//   - A holder stores and gives back before our request: the read finds its entry.
//   - It does so between the request and the read: we are refused, and the read finds the
//     entry. The other way round we would have read a miss, got the lease, and loaded again.
//   - It does so after the read: we were refused, and hear how it ended.
//   - Our lease is lost after it was given (to time, to a deletion of the key, to a fill of
//     this process that took it): the store checks the token.
//
// The ids may be from before the lease or after it, and from before the entry or after it:
//
//   - A move between two reads of a snapshot: each id was read before the load, which is
//     all that a snapshot needs. A store under the older ones is not fresh.
//   - A move between the entry and its ids, in either order: they differ, and the entry is
//     not fresh. If both were read before it, the entry is as fresh as for any other read
//     that began before the move; in this process the number, from before the request, says
//     so.
//   - An entry stored by others between its ids and it, after a move: it has newer ids than
//     we have, and is not fresh to us. That costs a load, at the most.
//   - A tag that is lost after its ids were seen: the ids are absent and equal nothing, so
//     what is stored is not fresh, and the next read creates them.
//   - Ids that are created by who is then refused the lease: they are the same for all, and
//     go in a minute.
func (r *Redis) claim(ctx context.Context, l *lease, from []string, q question, create []Tag) (taken bool, out reading, err error) {
	err = r.call(ctx, func(ctx context.Context) (err error) {
		pipe := r.client.Pipeline()
		lease := l.request(ctx, pipe, from)
		reply := r.ask(ctx, pipe, q, create, nil)
		_, _ = pipe.Exec(ctx) // reports the first failure of any command, and a refusal is one
		if taken, err = lease(); err != nil {
			return err
		}
		if out, err = reply(); err != nil && !taken {
			err = fmt.Errorf("%w: %w", errHeld, err)
		}
		return err
	})
	return taken, out, err
}

// errHeld is part of a claim's error when somebody else has the lease all the same.
var errHeld = errors.New("cache: somebody else has the lease")

// notGiven reports that a lease was not given for certain: the call was not made, or the
// server has said so.
func notGiven(err error) bool {
	return errors.Is(err, errOpen) || errors.Is(err, errSpent) || errors.Is(err, errHeld)
}

// storeEntry writes an entry if the token still holds the lease, gives the lease
// back, and tells the waiters.
const storeEntry = `
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 1`

// store ends the lease with an entry that lives until a moment, and keeps its tags
// alive for longer. It reports false when the lease was lost and nothing was stored.
func (l *lease) store(ctx context.Context, e *entry, tags []Tag, until time.Time) (bool, error) {
	r := l.tier
	var stored bool
	err := r.conclude(ctx, func(ctx context.Context) (err error) {
		left := time.Until(until) // now that it is our turn
		if left < time.Millisecond {
			return nil
		}
		pipe := r.client.Pipeline()
		reply := pipe.Eval(ctx, storeEntry,
			[]string{r.entryKey(l.key), r.leaseKey(l.key)},
			l.token, e.encode(), left.Milliseconds(), r.channel(), encodeFill(landed, l.key))
		renew := func(t Tag, life time.Duration) *redis.Cmd {
			return pipe.Do(ctx, "PEXPIRE", r.tagKey(t), life.Milliseconds(), "GT")
		}
		renewed := func() {}
		for i, t := range tags {
			switch {
			case t != Everything:
				renew(t, left+snapshotLife)
			case !r.everything.lives(e.ids[i], left+snapshotLife):
				reply := renew(t, tagLife)
				renewed = func() { r.everything.renewed(e.ids[i], reply.Err()) }
			}
		}
		_, _ = pipe.Exec(ctx) // a tag that is not renewed is lost early, no more
		renewed()
		stored, err = reply.Bool()
		return err
	})
	return stored, err
}

// replaceEntry writes an entry in the place of one that lies under the ids ARGV[1], which
// follow three numbers in it. Nobody else may have the lease but one of the tokens from
// ARGV[6] on: that fill stores nothing then, and those who wait for it are told.
const replaceEntry = `
local was = redis.call('GETRANGE', KEYS[1], 0, 36 + #ARGV[1])
local at = 8
for _ = 1, 3 do
  while (was:byte(at) or 0) >= 128 do at = at + 1 end
  at = at + 1
end
if was:sub(at, at + #ARGV[1] - 1) ~= ARGV[1] then return 0 end
local holder = redis.call('GET', KEYS[2])
local free = not holder
for i = 6, #ARGV do free = free or holder == ARGV[i] end
if not free then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
if holder then
  redis.call('DEL', KEYS[2])
  redis.call('PUBLISH', ARGV[4], ARGV[5])
end
return 1`

// replace puts an entry, which lives until a moment, into the place of one that lies under
// ids and is as old. It reports false when that is not there, or when somebody has the
// lease of the key that is not among the tokens from. The tags are not renewed: they live
// for as long as the entry that was there.
func (r *Redis) replace(ctx context.Context, key string, under []ids, e *entry, until time.Time, from []string) (replaced bool, err error) {
	err = r.call(ctx, func(ctx context.Context) (err error) {
		left := time.Until(until)
		if left < time.Millisecond {
			return nil
		}
		args := []any{appendIDs(nil, under), e.encode(), left.Milliseconds(), r.channel(), encodeFill(landed, key)}
		for _, token := range from {
			args = append(args, token)
		}
		replaced, err = r.client.Eval(ctx, replaceEntry, []string{r.entryKey(key), r.leaseKey(key)}, args...).Bool()
		return err
	})
	return replaced, err
}

// releaseLease gives the lease back if the token still holds it, removing the
// entry when ARGV[2] says so, and tells the waiters whether it did or not: they wait
// for this fill, whoever holds the lease now.
const releaseLease = `
if redis.call('GET', KEYS[2]) == ARGV[1] then
  redis.call('DEL', KEYS[2])
  if ARGV[2] == '1' then redis.call('UNLINK', KEYS[1]) end
end
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 1`

// release ends the lease without an entry. With unlink, what lies under the key goes
// too: the origin has nothing there any more.
func (l *lease) release(ctx context.Context, how ending, unlink bool) error {
	r := l.tier
	return r.conclude(ctx, func(ctx context.Context) error {
		return r.client.Eval(ctx, releaseLease,
			[]string{r.entryKey(l.key), r.leaseKey(l.key)},
			l.token, unlink, r.channel(), encodeFill(how, l.key)).Err()
	})
}

// WithLock runs do while no other process of the fleet runs one under the same name,
// and reports whether it ran: it does not wait. The lock is a lease: do's context ends
// before it does, after some four seconds. It is advisory: it spares the fleet the same
// work twice and protects nothing, since when Redis cannot say who has the lock, or
// there is no Redis, do runs.
func (c *Cache) WithLock(ctx context.Context, name string, do func(context.Context) error) (ran bool, err error) {
	if c.l2 == nil {
		return true, do(ctx)
	}
	l := c.l2.lease("lock:" + name) // no key of a source has a colon before its first value
	switch taken, err := l.take(ctx); {
	case notGiven(err):
	case !taken && err == nil:
		return false, nil
	default:
		defer c.release(ctx, l, refused, false)
	}
	ctx, cancel := context.WithTimeout(ctx, leaseLife-500*time.Millisecond)
	defer cancel()
	return true, do(ctx)
}

// An ending is how a fill ended, as its waiters in other processes are told.
type ending byte

const (
	landed  ending = 'L' // an entry was stored
	refused ending = 'R' // nothing was stored: look for yourself
	failed  ending = 'F' // the load failed
	unheard ending = '?' // the subscription was lost, or nothing was said: look for yourself
)

// waiters are the fills of this process that wait for another process's fill.
type waiters struct {
	mu    sync.Mutex
	byKey map[string]map[chan ending]struct{}
}

// wait registers for the end of the next fill of key. Register before trying for
// the lease, or the end may fall between the two. The channel gets one value.
func (w *waiters) wait(key string) (told <-chan ending, leave func()) {
	ch := make(chan ending, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byKey == nil {
		w.byKey = make(map[string]map[chan ending]struct{})
	}
	if w.byKey[key] == nil {
		w.byKey[key] = make(map[chan ending]struct{})
	}
	w.byKey[key][ch] = struct{}{}
	return ch, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if delete(w.byKey[key], ch); len(w.byKey[key]) == 0 {
			delete(w.byKey, key)
		}
	}
}

// tell passes on how a fill of key ended.
func (w *waiters) tell(key string, how ending) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for ch := range w.byKey[key] {
		select {
		case ch <- how:
		default: // told already
		}
	}
}

// tellAll wakes everybody up.
func (w *waiters) tellAll(how ending) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, chans := range w.byKey {
		for ch := range chans {
			select {
			case ch <- how:
			default:
			}
		}
	}
}
