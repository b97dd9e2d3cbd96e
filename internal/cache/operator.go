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

// What operators do to single keys. Of fragments and responses it sees L2 alone, and
// promises nothing about the copies and flights of any process, this one included. Pages
// are in L1 only, so of them it sees this process. To withdraw what is wrong, move its
// tags.

// An Inspection is what is held under a key: in L2, or in this process if it is a page's.
type Inspection struct {
	Key   string
	State string        // fresh, expired, changed or revoked; of a page fresh, expired or overtaken
	Age   time.Duration // since its tags were read; of a page, those of its oldest fragment
	Fresh time.Duration // of it from age zero, jitter included
	Left  time.Duration // until it is forgotten; a page is expired then
	Cost  time.Duration // what the load took; a page has none
	Tags  []Tag
	Bytes int    // of Body; of a page, what it takes in L1
	Body  []byte // not of a page

	Process   bool     // it is a page's key, and says nothing of other processes
	Fragments []string // the keys of what the page is composed of, the first to expire first
}

// Inspect returns what is held under a rendered key, whatever has become of it and
// whether L2 is trusted or not. found is false when that is nothing; Process says also
// then where it was looked for.
func (c *Cache) Inspect(ctx context.Context, key string) (i Inspection, found bool, err error) {
	o, k, err := c.parse(key)
	switch {
	case err != nil:
		return i, false, err
	case o == nil:
		i, found = c.inspectPage(k)
		return i, found, nil
	case c.l2 == nil:
		return i, false, nil
	}
	tags := o.tags(k)
	r, err := c.l2.read(ctx, k.text, tags, false)
	if err != nil || r.entry == nil {
		return i, false, err
	}
	return Inspection{
		Key: k.text, State: r.state().String(), Age: r.age(), Fresh: r.entry.fresh, Left: r.left, Cost: r.entry.cost,
		Tags: tags, Bytes: len(r.entry.body), Body: r.entry.body,
	}, true, nil
}

// inspectPage is Inspect of a page.
func (c *Cache) inspectPage(k Key) (i Inspection, found bool) {
	copied, size := c.l1.peek(k.text)
	if copied == nil {
		return Inspection{Process: true}, false
	}
	now := c.now()
	i = Inspection{
		Key: k.text, State: fresh.String(), Age: now - copied.filled, Fresh: copied.expires - copied.filled, Left: max(0, copied.until-now),
		Tags: copied.snap.tags, Bytes: int(size), Process: true,
	}
	for _, part := range copied.parts {
		i.Fragments = append(i.Fragments, part.key.text)
	}
	switch {
	case !c.heard.counts(&copied.snap):
		i.State = "overtaken" // the process does not know by which of a change and a revocation
	case now >= copied.until:
		i.State = expired.String()
	}
	return i, true
}

// ErrUnknownKey is the error of a text that is not a key of any source or page.
var ErrUnknownKey = errors.New("cache: not a key of this program")

// parse finds the source of a rendered key. It is nil if the key is a page's.
func (c *Cache) parse(text string) (*origin, Key, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var o *origin
	var s *spec
	head, _, _ := strings.Cut(text, "|")
	if i := slices.IndexFunc(c.sources, func(o *origin) bool { return o.spec.head == head }); i >= 0 {
		o = c.sources[i]
		s = o.spec
	} else if i := slices.IndexFunc(c.pages, func(p *page) bool { return p.spec.head == head }); i >= 0 {
		s = c.pages[i].spec
	} else {
		return nil, Key{}, fmt.Errorf("%w: %q", ErrUnknownKey, text)
	}
	k, err := s.parse(text)
	if err != nil {
		return nil, Key{}, fmt.Errorf("%w: %q", ErrUnknownKey, text)
	}
	return o, k, nil
}

// Delete removes what L2 holds under rendered keys, and what this process holds under
// those of pages. It returns how many there were. It voids the keys' leases: a fill under
// way stores nothing. A page that is being composed is kept.
func (c *Cache) Delete(ctx context.Context, keys ...string) (deleted int, err error) {
	var stored []string
	for _, key := range keys {
		if o, _, err := c.parse(key); err != nil || o != nil {
			stored = append(stored, key) // also another version's: Redis may hold it
		} else {
			deleted += c.l1.deletePages(func(kept string) bool { return kept == key })
		}
	}
	if c.l2 == nil || len(stored) == 0 {
		return deleted, nil
	}
	n, err := c.l2.unlink(ctx, stored)
	return deleted + n, err
}

// DeletePattern is [Cache.Delete] for every key that a pattern of Redis's SCAN fits
// ("feed.page/1|id=12|*"). It begins with the pages of this process. Then it walks
// through all of Redis page by page, each within the budget of L2, so it takes as long as
// that takes; ctx ends it. With an error, it returns what it had deleted by then.
func (c *Cache) DeletePattern(ctx context.Context, pattern string) (deleted int, err error) {
	// The brace ends the key in Redis, where an escape or a class without an end takes it in.
	deleted = c.l1.deletePages(func(key string) bool { return fits(pattern+"}", key+"}") })
	if c.l2 == nil {
		return deleted, nil
	}
	err = c.l2.scan(ctx, pattern, func(keys []string) error {
		n, err := c.l2.unlink(ctx, keys)
		deleted += n
		return err
	})
	return deleted, err
}

// peek returns the copy under a key, or nil, and what it takes. It is not marked as used.
func (m *memory) peek(key string) (c *l1Copy, size int64) {
	if m == nil {
		return nil, 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if c, _ = m.index.Load(key); c != nil {
		size = c.size
	}
	return c, size
}

// deletePages removes the pages whose keys fit, and returns how many there were.
func (m *memory) deletePages(fit func(key string) bool) (n int) {
	if m == nil {
		return 0
	}
	var keys []string
	for key, c := range m.index.All() { // without the lock: readers need it to keep what they have
		if c.parts != nil && fit(key) {
			keys = append(keys, key)
		}
	}
	for _, key := range keys {
		if m.delete(key) {
			n++
		}
	}
	return n
}

// delete removes the copy under a key, and reports whether there was one.
func (m *memory) delete(key string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.index.Load(key)
	return ok && m.class(c).list.Remove(key)
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
