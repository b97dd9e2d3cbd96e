package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// A question is what L2 is asked about: a rendered key and its tags.
type question struct {
	key  string
	tags []Tag
}

// A reading is what one round trip to L2 saw of a question: the entry, if any, how
// much of its life is left, and the ids of the key's tags.
type reading struct {
	entry *entry
	left  time.Duration
	ids   []ids
	err   error // why nothing is known
}

// state is what has become of the entry.
func (r *reading) state() state {
	s := stateOf(r.entry.ids, r.ids)
	if s == fresh && r.age() >= r.entry.fresh {
		return expired
	}
	return s
}

// age is how long ago the entry was at age zero. It follows from the time to live
// alone, so no two machines' clocks are ever compared.
func (r *reading) age() time.Duration { return max(0, r.entry.retention-r.left) }

// snapshotTag returns a tag's ids after creating what is missing of them, and sees
// to it that the tag lives for ARGV[2] milliseconds at least.
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

// read answers one question.
func (r *Redis) read(ctx context.Context, key string, tags []Tag, create bool) (reading, error) {
	out := r.readMany(ctx, []question{{key, tags}}, create)[0]
	return out, out.err
}

// readMany looks up entries and the ids of their tags, all in one round trip. With
// create it makes the ids that are missing, which a snapshot for a fill needs. One
// answer may fail alone; when the call fails, all of them have.
//
// A tag of several questions is asked about once. Its ids may then be older than the
// entry that they are compared with: as in claim, that makes an entry look older, never
// younger.
func (r *Redis) readMany(ctx context.Context, questions []question, create bool) []reading {
	out := make([]reading, len(questions))
	err := r.call(ctx, func(ctx context.Context) error {
		pipe := r.client.Pipeline()
		replies := make([]func() (reading, error), len(questions))
		var asked map[Tag]*redis.Cmd
		if len(questions) > 1 {
			asked = make(map[Tag]*redis.Cmd)
		}
		for i, q := range questions {
			var made []Tag
			if create {
				made = q.tags
			}
			replies[i] = r.ask(ctx, pipe, q, made, asked)
		}
		_, _ = pipe.Exec(ctx) // reports the first failure of any command, and a missing entry is one
		for i, reply := range replies {
			var err error
			if out[i], err = reply(); !answered(err) {
				return err
			}
			out[i].err = err
		}
		return nil
	})
	if err != nil {
		for i := range out {
			out[i] = reading{err: err}
		}
	}
	return out
}

// ask puts the commands of one question into a pipeline, and returns what makes a
// reading of the replies once it has been executed. Of the tags in create it makes the ids
// that are missing. asked, unless it is nil, has the tags that the pipeline asks about.
func (r *Redis) ask(ctx context.Context, pipe redis.Pipeliner, q question, create []Tag, asked map[Tag]*redis.Cmd) (reply func() (reading, error)) {
	// In this order: should an entry be stored in between, it looks older than it
	// is. The other way round, an expired one would look as young as its successor.
	ttl := pipe.PTTL(ctx, r.entryKey(q.key))
	get := pipe.Get(ctx, r.entryKey(q.key))
	pairs := make([]*redis.Cmd, len(q.tags))
	for i, t := range q.tags {
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
	return func() (reading, error) {
		out := reading{ids: make([]ids, len(q.tags))}
		for i, cmd := range pairs {
			var err error
			if out.ids[i], err = idsOf(cmd); err != nil {
				return reading{}, fmt.Errorf("cache: read tag %s: %w", q.tags[i], err)
			}
		}
		body, err := get.Bytes()
		if errors.Is(err, redis.Nil) {
			return out, nil
		}
		if err != nil {
			return reading{}, fmt.Errorf("cache: read entry: %w", err)
		}
		left, err := ttl.Result()
		if err != nil {
			return reading{}, fmt.Errorf("cache: read entry: %w", err)
		}
		if left <= 0 {
			return out, nil // not there yet at the first of the two commands
		}
		e, err := decodeEntry(body)
		if err != nil {
			r.log.Warn("cache: corrupt entry is a miss", "key", q.key)
			return out, nil
		}
		out.entry, out.left = e, left
		return out, nil
	}
}

// readIDs returns the ids of tags as they are now.
func (r *Redis) readIDs(ctx context.Context, tags []Tag) ([]ids, error) {
	now := make([]ids, len(tags))
	err := r.call(ctx, func(ctx context.Context) error {
		pipe := r.client.Pipeline()
		pairs := make([]*redis.Cmd, len(tags))
		for i, t := range tags {
			pairs[i] = pipe.Do(ctx, "HMGET", r.tagKey(t), "c", "r")
		}
		_, _ = pipe.Exec(ctx)
		for i, cmd := range pairs {
			var err error
			if now[i], err = idsOf(cmd); err != nil {
				return fmt.Errorf("cache: read tag %s: %w", tags[i], err)
			}
		}
		return nil
	})
	return now, err
}

// idsOf reads the reply of a command that returns the fields c and r of a tag.
func idsOf(reply *redis.Cmd) (ids, error) {
	pair, err := reply.Slice()
	if err != nil {
		return ids{}, err
	}
	if len(pair) != 2 {
		return ids{}, fmt.Errorf("%d fields in the place of two", len(pair))
	}
	var out ids
	out.change, _ = pair[0].(string)
	out.revoke, _ = pair[1].(string)
	return out, nil
}
