package cachetest

import (
	"context"

	"example.com/communityfeed/internal/cache"
)

// A composer makes a page of the fragments that it names.
type composer struct {
	p *process
	m *cache.Composition
	v value
}

// named is a fragment that a page has named.
type named struct {
	key  string
	want cache.Wanted[value]
}

func (c *composer) want(shape string, values ...string) named {
	return named{keyOf(shape, values), c.p.sources[shape].Want(c.m, values...)}
}

// get waits for a fragment and adds it to the page.
func (c *composer) get(n named) (value, error) {
	v, err := n.want.Get()
	select {
	case <-c.p.stop: // what ends first then, the page's context or the fragment, nobody can say
	default:
		c.p.s.inTurn(c.p, " goes on with "+c.m.Key().String())
	}
	if err == nil {
		c.v.add(n.key, v)
	}
	return v, err
}

// composePage makes a page of two fragments. Whether there is anything follows from the
// first, which is looked at while the other one may still be loading.
func (p *process) composePage(m *cache.Composition) (value, error) {
	c := composer{p: p, m: m}
	name := m.Key().Get("name")
	row, viewer := c.want("row", name), c.want("viewer", m.Key().Get("viewer"))
	v, err := c.get(row)
	switch {
	case err != nil:
		return value{}, err
	case hidden(v.Saw[name]):
		return value{}, nothing{c.v}
	}
	if _, err := c.get(viewer); err != nil {
		return value{}, err
	}
	return c.v, nil
}

// composePair makes a page of two rows, and would do with the first.
func (p *process) composePair(m *cache.Composition) (value, error) {
	c := composer{p: p, m: m}
	one, other := c.want("row", m.Key().Get("name")), c.want("row", m.Key().Get("other"))
	if _, err := c.get(one); err != nil {
		return value{}, err
	}
	_, _ = c.get(other)
	return c.v, nil
}

// composeSite makes a page of which two fragments are named only after the others were
// seen. It shows one row by two of its fragments.
func (p *process) composeSite(m *cache.Composition) (value, error) {
	c := composer{p: p, m: m}
	name, viewer := m.Key().Get("name"), m.Key().Get("viewer")
	always, member := c.want("row", quiet), c.want("member", name, viewer)
	if _, err := c.get(always); err != nil {
		return value{}, err
	}
	v, err := c.get(member)
	switch {
	case err != nil:
		return value{}, err
	case hidden(v.Saw[name]):
		return value{}, nothing{c.v}
	}
	row, own := c.want("row", name), c.want("viewer", viewer)
	if _, err := c.get(own); err != nil {
		return value{}, err
	}
	if _, err := c.get(row); err != nil {
		return value{}, err
	}
	return c.v, nil
}

// declare declares the fragments and pages of a process.
func (p *process) declare() {
	for _, sh := range shapes {
		if sh.page != nil {
			page := cache.NewPage(p.cache, cache.PageSpec{Name: sh.name, Version: 1, Dims: sh.dims},
				func(v value) int { return len(v.text()) },
				func(m *cache.Composition) (value, error) { return sh.page(p, m) })
			p.fetch[sh.name] = page.Fetch
			continue
		}
		source := cache.NewSource(p.cache, cache.Spec{
			Name: sh.name, Version: 1, Dims: sh.dims, Policy: p.s.plan.policy, Owner: sh.owner,
			Tags: func(k cache.Key) (tags []cache.Tag) {
				for _, d := range sh.dims {
					tags = append(tags, tagOf(k.Get(d)))
				}
				return tags
			},
		}, cache.JSON[value]{}, func(ctx context.Context, k cache.Key) (value, error) { return p.load(ctx, sh, k) })
		p.sources[sh.name], p.fetch[sh.name] = source, source.Fetch
	}
}
