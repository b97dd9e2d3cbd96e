package cache

import (
	"context"
	"reflect"

	"example.com/communityfeed/internal/cache/fence"
	"example.com/communityfeed/internal/cache/remote"
)

// A Tag names something that a write can change: "community:12", "user:42".
type Tag = fence.Tag

// Everything is the tag that every copy has besides its own. Invalidating it purges the
// cache.
const Everything = fence.Everything

// An Invalidation says what happened to some tags. The zero Invalidation does nothing.
type Invalidation struct {
	Tags   []Tag
	Revoke bool // withdrawn: copies with the tags are not served again, not even when the load fails
}

// Changed is an invalidation of tags whose content is no longer up to date. An old copy may
// still be served when the load fails.
func Changed(tags ...Tag) Invalidation { return Invalidation{Tags: tags} }

// Revoked is an invalidation of tags whose content was withdrawn: a deleted post, a removed
// member. Whoever knows of it never serves an old copy again.
func Revoked(tags ...Tag) Invalidation { return Invalidation{Tags: tags, Revoke: true} }

// Invalidate tells both tiers what a write has changed. Call it after the commit and before
// the writer is answered: no read in this process that begins after it has returned gets a
// copy from before the write (but a changed copy, marked Stale, when the load fails).
//
// It runs to its end whatever becomes of ctx, within twice the timeout of L2. An error
// means that other processes may not have heard, and that this one reads L2 no more until a
// drain has repeated the invalidation; see [Cache.BeginDrain].
func (c *Cache) Invalidate(ctx context.Context, inv Invalidation) error {
	if len(inv.Tags) == 0 {
		return nil
	}
	patient, cancel := c.l2.patient(ctx)
	defer cancel()
	renewed, err := c.l2.Invalidate(patient, inv.Tags, inv.Revoke)
	trailOf(ctx).follow(inv, renewed, err)
	if err != nil {
		c.l2.trust.lose(invalidationFailed) // before it is heard of, and before the writer is answered
	}
	// Only now: whatever takes a number after this reads ids from after the invalidation,
	// or does not read L2.
	c.fence.Hear(inv.Tags...)
	c.stats.invalidated(inv, err)
	return err
}

// A listener is what the process does when it is told something.
type listener struct{ cache *Cache }

// Invalidated is called when a process has invalidated a tag, this one too.
func (l listener) Invalidated(t Tag) { l.cache.fence.Hear(t) }

// FillEnded is called when a fill has ended.
func (l listener) FillEnded(key string, how remote.FillResult) { l.cache.waiters.tell(key, how) }

// Lost is called when the subscription breaks. What broke it may have cost Redis its last
// writes as well, so L2 is distrusted until the invalidations of the last seconds were
// repeated.
func (l listener) Lost() {
	l.cache.l2.trust.lose(subscriptionLost)
	l.missed()
}

// Subscribed is called when the subscription works. Messages before that were missed.
func (l listener) Subscribed() { l.missed() }

// missed lets nothing count that was read before now.
func (l listener) missed() {
	l.cache.fence.Missed()
	l.cache.waiters.tellAll(remote.Unknown)
}

// Invalidations is a table from events to invalidations: all that the cache needs to know
// about the writes of a domain.
type Invalidations []Rule

// A Rule turns events of one type into invalidations. Make it with [On].
type Rule struct {
	event      reflect.Type
	invalidate func(event any) Invalidation
}

// On makes the rule for events of type E.
func On[E any](invalidate func(E) Invalidation) Rule {
	return Rule{reflect.TypeFor[E](), func(event any) Invalidation { return invalidate(event.(E)) }}
}

// Of returns what an event invalidates, and whether the table has a rule for it.
func (all Invalidations) Of(event any) (Invalidation, bool) {
	t := reflect.TypeOf(event)
	for _, rule := range all {
		if rule.event == t {
			return rule.invalidate(event), true
		}
	}
	return Invalidation{}, false
}
