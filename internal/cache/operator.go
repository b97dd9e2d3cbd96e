package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// What operators do to single entries. It sees L2 alone and promises nothing about the
// copies and flights of any process, this one included. To withdraw what is wrong,
// move its tags.

// An Inspection is what L2 holds under a key.
type Inspection struct {
	Key   string
	State string        // fresh, expired, changed or revoked
	Age   time.Duration // since its tags were read
	Fresh time.Duration // of it from age zero, jitter included
	Left  time.Duration // until Redis forgets it
	Cost  time.Duration // what the load took
	Tags  []Tag
	Body  []byte
}

// Inspect returns what L2 holds under a rendered key, whatever has become of it and
// whether L2 is trusted or not. found is false when that is nothing.
func (c *Cache) Inspect(ctx context.Context, key string) (i Inspection, found bool, err error) {
	o, k, err := c.parse(key)
	if err != nil || c.l2 == nil {
		return i, false, err
	}
	tags := o.tags(k)
	r, err := c.l2.read(ctx, k.text, tags, false)
	if err != nil || r.entry == nil {
		return i, false, err
	}
	return Inspection{
		Key: k.text, State: r.state().String(), Age: r.age(), Fresh: r.entry.fresh, Left: r.left, Cost: r.entry.cost,
		Tags: tags, Body: r.entry.body,
	}, true, nil
}

// ErrUnknownKey is the error of a text that is not a key of any source.
var ErrUnknownKey = errors.New("cache: not a key of this program")

// parse finds the source of a rendered key.
func (c *Cache) parse(text string) (*origin, Key, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	head, _, _ := strings.Cut(text, "|")
	i := slices.IndexFunc(c.sources, func(o *origin) bool { return o.spec.head == head })
	if i < 0 {
		return nil, Key{}, fmt.Errorf("%w: %q", ErrUnknownKey, text)
	}
	k, err := c.sources[i].spec.parse(text)
	if err != nil {
		return nil, Key{}, fmt.Errorf("%w: %q", ErrUnknownKey, text)
	}
	return c.sources[i], k, nil
}

// Delete removes what L2 holds under rendered keys and returns how many entries there
// were. It voids the keys' leases: a fill under way stores nothing.
func (c *Cache) Delete(ctx context.Context, keys ...string) (deleted int, err error) {
	if c.l2 == nil || len(keys) == 0 {
		return 0, nil
	}
	return c.l2.unlink(ctx, keys)
}

// DeletePattern is [Cache.Delete] for every key with an entry that a pattern of
// Redis's SCAN fits ("feed.page/1|id=12|*"). It walks through all of Redis page by
// page, each within the budget of L2, so it takes as long as that takes; ctx ends it.
func (c *Cache) DeletePattern(ctx context.Context, pattern string) (deleted int, err error) {
	if c.l2 == nil {
		return 0, nil
	}
	err = c.l2.scan(ctx, pattern, func(keys []string) error {
		n, err := c.l2.unlink(ctx, keys)
		deleted += n
		return err
	})
	return deleted, err
}

// scanPage is about how many keys Redis looks at in one step of a scan.
const scanPage = 1000

// scan calls page with the keys of entries that fit a pattern. It may name one twice.
func (r *Redis) scan(ctx context.Context, pattern string, page func(keys []string) error) error {
	head, tail := r.entryKey("\x00"), ""
	head, tail, _ = strings.Cut(head, "\x00")
	match := literal.Replace(head) + pattern + tail
	for cursor := uint64(0); ; {
		var found []string
		err := r.call(ctx, func(ctx context.Context) (err error) {
			found, cursor, err = r.client.Scan(ctx, cursor, match, scanPage).Result()
			return err
		})
		if err != nil {
			return fmt.Errorf("cache: scan: %w", err)
		}
		for i, k := range found {
			found[i] = strings.TrimSuffix(strings.TrimPrefix(k, head), tail)
		}
		if len(found) > 0 {
			if err := page(found); err != nil {
				return err
			}
		}
		if cursor == 0 {
			return nil
		}
	}
}

// literal escapes what means something in a pattern.
var literal = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)

// unlink removes leases, then entries: the other way round, a fill could store in
// between.
func (r *Redis) unlink(ctx context.Context, keys []string) (n int, err error) {
	err = r.call(ctx, func(ctx context.Context) error {
		pipe := r.client.Pipeline()
		removed := make([]*redis.IntCmd, len(keys))
		for i, k := range keys {
			pipe.Unlink(ctx, r.leaseKey(k))
			removed[i] = pipe.Unlink(ctx, r.entryKey(k))
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return fmt.Errorf("cache: delete: %w", err)
		}
		for _, cmd := range removed {
			n += int(cmd.Val())
		}
		return nil
	})
	return n, err
}
