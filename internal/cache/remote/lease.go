package remote

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/communityfeed/internal/cache/fence"
)

// LeaseLife bounds how long a key stays locked by a process that died while filling it. A
// load's timeout is shorter, so a living holder keeps its lease to the end, unless its load
// ignores its context.
const LeaseLife = 5 * time.Second

// A Lease is the right to fill one key, given to one process of the fleet at a time. It can
// be lost (to time, to an eviction, to a deletion of the key), so the store checks the
// token: of the fills that ever held a lease on a key, at most one can store under it.
type Lease struct{ Key, Token string }

// NewLease makes a lease that nothing holds yet.
func NewLease(key string) Lease { return Lease{key, mint()} }

// takeLease gives the lease to the token ARGV[1] if it is free, or held by one of the
// tokens from ARGV[3] on.
const takeLease = `
local holder = redis.call('GET', KEYS[1])
local free = not holder
for i = 3, #ARGV do free = free or holder == ARGV[i] end
if not free then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`

// Lock asks for the lease and for nothing else. It reports false when another one has
// it. With an error the answer is unknown: the server may have given the lease after the
// caller stopped listening. So the caller must release it, unless [NotGiven] says that it
// was not given.
func (r *Redis) Lock(ctx context.Context, l Lease) (given bool, err error) {
	err = r.call(ctx, nil, func(ctx context.Context) (err error) {
		given, err = r.request(ctx, r.client, l, nil)()
		return err
	})
	return given, err
}

// request sends the command that asks for a lease, also from the holders of tokens that it
// may be taken from, and returns what reads the reply.
func (r *Redis) request(ctx context.Context, to redis.Cmdable, l Lease, from []string) (given func() (bool, error)) {
	key := r.leaseKey(l.Key)
	if len(from) == 0 {
		reply := to.SetArgs(ctx, key, l.Token, redis.SetArgs{Mode: "NX", TTL: LeaseLife})
		return func() (bool, error) {
			err := reply.Err()
			if errors.Is(err, redis.Nil) { // another process has it
				return false, nil
			}
			return err == nil, err
		}
	}
	args := append([]any{l.Token, LeaseLife.Milliseconds()}, anys(from)...)
	return to.Eval(ctx, takeLease, []string{key}, args...).Bool
}

func anys(texts []string) (out []any) {
	for _, text := range texts {
		out = append(out, text)
	}
	return out
}

// A Claim is a request for the lease of a key, with a lookup of the key.
type Claim struct {
	Lease  Lease
	From   []string    // tokens that the lease may be taken from
	Tags   []fence.Tag // of the key
	Create []fence.Tag // those of them whose missing ids are created
}

// Claim asks for the lease and looks the key up, in one round trip. With an error the lease
// must be released, unless [NotGiven] says that it was not given.
//
// The commands of a pipeline are not one: those of others run between them, and on a
// Cluster the tags, which are in other slots, are read at any time of the round trip. The
// lease is asked for before the entry is read, in the same slot, and that order counts:
//
//   - A holder stores and releases before our request: the lookup finds its entry.
//   - It does so between the request and the lookup: we are refused, and the lookup finds
//     the entry. The other way round we would have read a miss, got the lease, and loaded
//     again.
//   - It does so after the lookup: we were refused, and hear how it ended.
//   - Our lease is lost after it was given (to time, to a deletion of the key, to a fill of
//     this process that took it): the store checks the token.
//
// The ids may be from before the lease or after it, and from before the entry or after it:
//
//   - An invalidation between two reads of a snapshot: each id was read before the load,
//     which is all that a snapshot needs. A store under the older ones is not fresh.
//   - An invalidation between the entry and its ids, in either order: they differ, and the
//     entry is not fresh. If both were read before it, the entry is as fresh as for any
//     other read that began before the invalidation; in this process the number, from
//     before the request, says so.
//   - An entry stored by others between its ids and it, after an invalidation: it has newer
//     ids than we have, and is not fresh to us. That costs a load, at the most.
//   - A tag that is lost after its ids were seen: the ids are absent and equal nothing, so
//     what is stored is not fresh, and the next read creates them.
//   - Ids that are created by a process that is then refused the lease: they are the same
//     for all, and go in a minute.
func (r *Redis) Claim(ctx context.Context, b *Budget, c Claim) (given bool, out Result, err error) {
	err = r.call(ctx, b, func(ctx context.Context) (err error) {
		pipe := r.client.Pipeline()
		lease := r.request(ctx, pipe, c.Lease, c.From)
		reply := r.ask(ctx, pipe, Query{c.Lease.Key, c.Tags}, c.Create, nil)
		_, _ = pipe.Exec(ctx) // reports the first failure of any command, and a refusal is one
		if given, err = lease(); err != nil {
			return err
		}
		if out, err = reply(); err != nil && !given {
			err = fmt.Errorf("%w: %w", errHeld, err)
		}
		return err
	})
	return given, out, err
}

// errHeld is part of a claim's error when another process has the lease all the same.
var errHeld = errors.New("cache: another process has the lease")

// NotGiven reports that a lease was certainly not given: the call was not made, or the
// server has said so.
func NotGiven(err error) bool {
	return errors.Is(err, errOpen) || errors.Is(err, errSpent) || errors.Is(err, errHeld) || errors.Is(err, ErrNone)
}

// A FillResult is how a fill ended, as the processes that wait for it are told.
type FillResult byte

const (
	Stored    FillResult = 'L' // an entry was stored, or is about to be
	NotStored FillResult = 'R' // nothing was stored: look for yourself
	Failed    FillResult = 'F' // the load failed
	Unknown   FillResult = '?' // the subscription was lost, or nothing was said: look for yourself
)

// storeEntry writes an entry if the token still holds the lease, releases the lease, and
// tells those who wait.
const storeEntry = `
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 1`

// Store ends the lease with an entry that lives until a moment, and keeps its tags alive
// for longer. It reports false when the lease was lost and nothing was stored.
func (r *Redis) Store(ctx context.Context, l Lease, e *Entry, tags []fence.Tag, until time.Time) (stored bool, err error) {
	err = r.conclude(ctx, func(ctx context.Context) (err error) {
		left := time.Until(until) // now that the call has its connection
		if left < time.Millisecond {
			return nil
		}
		pipe := r.client.Pipeline()
		reply := pipe.Eval(ctx, storeEntry,
			[]string{r.entryKey(l.Key), r.leaseKey(l.Key)},
			l.Token, e.encode(), left.Milliseconds(), r.channel(), fillMessage(Stored, l.Key))
		renew := func(t fence.Tag, life time.Duration) *redis.Cmd {
			return pipe.Do(ctx, "PEXPIRE", r.tagKey(t), life.Milliseconds(), "GT")
		}
		renewed := func() {}
		for i, t := range tags {
			switch {
			case t != fence.Everything:
				renew(t, left+snapshotLife)
			case !r.everything.lives(e.IDs[i], left+snapshotLife):
				reply := renew(t, tagLife)
				renewed = func() { r.everything.renewed(e.IDs[i], reply.Err()) }
			}
		}
		_, _ = pipe.Exec(ctx) // a tag that is not renewed is lost early, no more
		renewed()
		stored, err = reply.Bool()
		return err
	})
	return stored, err
}

// conclude makes a call that ends a fill, whatever became of the calls before it.
func (r *Redis) conclude(ctx context.Context, do func(context.Context) error) error {
	return r.attempt(ctx, nil, r.fills, do)
}

// replaceEntry writes an entry in the place of one that has the ids ARGV[1], which follow
// three numbers in it. Only the tokens from ARGV[6] on may hold the lease: their fill
// stores nothing then, and those who wait for it are told.
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

// A Replacement is an entry for the place of another one.
type Replacement struct {
	Key   string
	Old   []fence.IDs // of the entry that is there, which is as old
	Entry *Entry
	Until time.Time
	From  []string // tokens of fills that may have the lease, and store nothing then
}

// Replace makes a replacement. It reports false when the old entry is not there, or when a
// fill that is not among From has the lease. It renews no tag: they live for as long as the
// old entry.
func (r *Redis) Replace(ctx context.Context, b *Budget, p Replacement) (replaced bool, err error) {
	err = r.call(ctx, b, func(ctx context.Context) (err error) {
		left := time.Until(p.Until)
		if left < time.Millisecond {
			return nil
		}
		args := append([]any{
			appendIDs(nil, p.Old), p.Entry.encode(), left.Milliseconds(), r.channel(), fillMessage(Stored, p.Key),
		}, anys(p.From)...)
		replaced, err = r.client.Eval(ctx, replaceEntry, []string{r.entryKey(p.Key), r.leaseKey(p.Key)}, args...).Bool()
		return err
	})
	return replaced, err
}

// releaseLease gives the lease back if the token still holds it, removing the entry when
// ARGV[2] says so. It tells those who wait in either case: they wait for this fill,
// whatever holds the lease now.
const releaseLease = `
if redis.call('GET', KEYS[2]) == ARGV[1] then
  redis.call('DEL', KEYS[2])
  if ARGV[2] == '1' then redis.call('UNLINK', KEYS[1]) end
end
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 1`

// Release ends the lease without an entry. With unlink, the entry under the key goes too:
// the origin has nothing there any more.
func (r *Redis) Release(ctx context.Context, l Lease, how FillResult, unlink bool) error {
	return r.conclude(ctx, func(ctx context.Context) error {
		return r.client.Eval(ctx, releaseLease,
			[]string{r.entryKey(l.Key), r.leaseKey(l.Key)},
			l.Token, unlink, r.channel(), fillMessage(how, l.Key)).Err()
	})
}
