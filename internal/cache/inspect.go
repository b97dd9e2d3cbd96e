package cache

import (
	"context"
	"errors"
	"time"

	"example.com/communityfeed/internal/cache/fence"
	"example.com/communityfeed/internal/cache/remote"
)

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

// Inspect returns what is held under a rendered key, whatever has become of it and whether
// L2 is trusted or not. found is false when that is nothing. Then the Inspection still has
// the key, its tags (but a page's), and in Process where it was looked for.
func (c *Cache) Inspect(ctx context.Context, key string) (i Inspection, found bool, err error) {
	s, k, err := c.parse(key)
	switch {
	case err != nil:
		return i, false, err
	case s == nil:
		i, found = c.inspectPage(k)
		return i, found, nil
	}
	i = Inspection{Key: k.text, Tags: s.spec.tags(k)}
	r := c.l2.Tier.Lookup(ctx, nil, []remote.Query{{Key: k.text, Tags: i.Tags}}, false)[0]
	switch {
	case errors.Is(r.Err, remote.ErrNone):
		return i, false, nil
	case r.Err != nil || r.Entry == nil:
		return i, false, r.Err
	}
	return Inspection{
		Key: k.text, State: r.State().String(), Age: r.Age(), Fresh: r.Entry.Fresh, Left: r.Left, Cost: r.Entry.Cost,
		Tags: i.Tags, Bytes: len(r.Entry.Body), Body: r.Entry.Body,
	}, true, nil
}

// inspectPage is Inspect of a page.
func (p *inProcess) inspectPage(k Key) (i Inspection, found bool) {
	e, size := p.l1.Peek(k.text)
	if e == nil {
		return Inspection{Key: k.text, Process: true}, false
	}
	now, page := p.now(), &e.Value
	i = Inspection{
		Key: k.text, State: fence.Fresh.String(), Age: now - page.filled, Fresh: page.expires - page.filled, Left: max(0, e.Until-now),
		Tags: page.snapshot.Tags, Bytes: int(size), Process: true,
	}
	for _, fragment := range page.fragments {
		i.Fragments = append(i.Fragments, fragment.key.text)
	}
	switch {
	case !p.fence.Counts(&page.snapshot):
		i.State = "overtaken" // the process does not know by which of a change and a revocation
	case now >= e.Until:
		i.State = fence.Expired.String()
	}
	return i, true
}
