package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/communityfeed/internal/cache/fence"
)

// A Query is what a lookup asks for: a rendered key and its tags.
type Query struct {
	Key  string
	Tags []fence.Tag
}

// A Result is what one lookup saw of a query: the entry, if there is one, how much of its
// life is left, and the ids of the key's tags.
type Result struct {
	Entry *Entry
	Left  time.Duration
	IDs   []fence.IDs
	Err   error // why nothing is known
}

// State is what has become of the entry. There must be one.
func (r *Result) State() fence.State {
	s := fence.Since(r.Entry.IDs, r.IDs)
	if s == fence.Fresh && r.Age() >= r.Entry.Fresh {
		return fence.Expired
	}
	return s
}

// Is reports whether there is an entry in a state.
func (r *Result) Is(s fence.State) bool { return r.Entry != nil && r.State() == s }

// Age is how long ago the entry was at age zero. It follows from the time to live alone, so
// no two machines' clocks are ever compared.
func (r *Result) Age() time.Duration { return max(0, r.Entry.Retention-r.Left) }

// snapshotTag returns a tag's ids after creating what is missing of them, and makes the tag
// live for ARGV[2] milliseconds at least.
const snapshotTag = `
local was = redis.call('HMGET', KEYS[1], 'c', 'r')
local c, r = was[1] or ARGV[1], was[2] or ARGV[1]
if not (was[1] and was[2]) then redis.call('HSET', KEYS[1], 'c', c, 'r', r) end
if was[1] or was[2] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2], 'GT')
else
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return {c, r}`

// Lookup reads entries and the ids of their tags, all in one round trip. With create it
// makes the ids that are missing, as the snapshot for a later store needs. (A fill does that
// with its claim.) One result may fail
// alone; when the call fails, all of them have.
//
// A tag of several queries is read once. Its ids may then be older than the entry that they
// are compared with. As in Claim, that makes an entry look older, never younger.
func (r *Redis) Lookup(ctx context.Context, b *Budget, queries []Query, create bool) []Result {
	out := make([]Result, len(queries))
	err := r.call(ctx, b, func(ctx context.Context) error {
		pipe := r.client.Pipeline()
		replies := make([]func() (Result, error), len(queries))
		var asked map[fence.Tag]*redis.Cmd
		if len(queries) > 1 {
			asked = make(map[fence.Tag]*redis.Cmd)
		}
		for i, q := range queries {
			var made []fence.Tag
			if create {
				made = q.Tags
			}
			replies[i] = r.ask(ctx, pipe, q, made, asked)
		}
		_, _ = pipe.Exec(ctx) // reports the first failure of any command, and a missing entry is one
		for i, reply := range replies {
			var err error
			if out[i], err = reply(); !answered(err) {
				return err
			}
			out[i].Err = err
		}
		return nil
	})
	if err != nil {
		for i := range out {
			out[i] = Result{Err: err}
		}
	}
	return out
}

// ask puts the commands of one query into a pipeline, and returns what makes a result of
// the replies once it was executed. It creates the ids that the tags in create lack. asked,
// unless it is nil, has the tags that the pipeline reads already.
func (r *Redis) ask(ctx context.Context, pipe redis.Pipeliner, q Query, create []fence.Tag, asked map[fence.Tag]*redis.Cmd) (reply func() (Result, error)) {
	// In this order: an entry that is stored in between looks older than it is. The other
	// way round, an expired one would look as young as its successor.
	ttl := pipe.PTTL(ctx, r.entryKey(q.Key))
	get := pipe.Get(ctx, r.entryKey(q.Key))
	pairs := make([]*redis.Cmd, len(q.Tags))
	for i, t := range q.Tags {
		if pairs[i] = asked[t]; pairs[i] != nil {
			continue
		}
		if slices.Contains(create, t) {
			pairs[i] = pipe.Eval(ctx, snapshotTag, []string{r.tagKey(t)}, mint(), snapshotLife.Milliseconds())
		} else {
			pairs[i] = pipe.Do(ctx, "HMGET", r.tagKey(t), "c", "r")
		}
		if asked != nil {
			asked[t] = pairs[i]
		}
	}
	return func() (Result, error) {
		ids, err := idsOf(q.Tags, pairs)
		if err != nil {
			return Result{}, err
		}
		out := Result{IDs: ids}
		body, err := get.Bytes()
		if errors.Is(err, redis.Nil) {
			return out, nil
		}
		if err != nil {
			return Result{}, fmt.Errorf("cache: read entry: %w", err)
		}
		left, err := ttl.Result()
		if err != nil {
			return Result{}, fmt.Errorf("cache: read entry: %w", err)
		}
		if left <= 0 {
			return out, nil // not there yet at the first of the two commands
		}
		e, err := decodeEntry(body)
		if err != nil {
			r.log.Warn("cache: corrupt entry is a miss", "key", q.Key)
			return out, nil
		}
		out.Entry, out.Left = e, left
		return out, nil
	}
}

// LookupIDs returns the ids of tags as they are now.
func (r *Redis) LookupIDs(ctx context.Context, b *Budget, tags []fence.Tag) (now []fence.IDs, err error) {
	err = r.call(ctx, b, func(ctx context.Context) (err error) {
		pipe := r.client.Pipeline()
		pairs := make([]*redis.Cmd, len(tags))
		for i, t := range tags {
			pairs[i] = pipe.Do(ctx, "HMGET", r.tagKey(t), "c", "r")
		}
		_, _ = pipe.Exec(ctx)
		now, err = idsOf(tags, pairs)
		return err
	})
	return now, err
}

// idsOf reads the replies of commands that return the fields c and r of a tag each.
func idsOf(tags []fence.Tag, replies []*redis.Cmd) ([]fence.IDs, error) {
	ids := make([]fence.IDs, len(replies))
	for i, reply := range replies {
		pair, err := reply.Slice()
		if err == nil && len(pair) != 2 {
			err = fmt.Errorf("%d fields in the place of two", len(pair))
		}
		if err != nil {
			return nil, fmt.Errorf("cache: read tag %s: %w", tags[i], err)
		}
		ids[i].Change, _ = pair[0].(string)
		ids[i].Revoke, _ = pair[1].(string)
	}
	return ids, nil
}
