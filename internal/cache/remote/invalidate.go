package remote

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/communityfeed/internal/cache/fence"
)

// invalidateTag gives a tag a new id in field ARGV[1], and in the other one too where it is
// missing: a tag with half its ids would let a copy be stored that no revocation could
// reach. It returns the ids that there were.
const invalidateTag = `
local was = redis.call('HMGET', KEYS[1], 'c', 'r')
local now = {c = was[1] or ARGV[2], r = was[2] or ARGV[2]}
now[ARGV[1]] = ARGV[2]
redis.call('HSET', KEYS[1], 'c', now.c, 'r', now.r)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PUBLISH', ARGV[4], ARGV[5])
return was`

// Renewed is what an invalidation did to the ids of one tag.
type Renewed struct{ Was, Is fence.IDs }

// Invalidate invalidates tags, one command each, in one round trip, whatever became of the
// calls before it: a writer waits for it. It returns what it did to the ids of each.
// Invalidations commute, so half of one that is repeated later does no harm.
func (r *Redis) Invalidate(ctx context.Context, tags []fence.Tag, revoke bool) (renewed []Renewed, err error) {
	field := "c"
	if revoke {
		field = "r"
	}
	err = r.attempt(ctx, nil, r.writes, func(ctx context.Context) error {
		pipe := r.client.Pipeline()
		minted := make([]string, len(tags))
		replies := make([]*redis.Cmd, len(tags))
		for i, t := range tags {
			minted[i] = mint()
			replies[i] = pipe.Eval(ctx, invalidateTag, []string{r.tagKey(t)},
				field, minted[i], tagLife.Milliseconds(), r.channel(), invalidationMessage(t))
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return fmt.Errorf("cache: invalidate tags: %w", err)
		}
		was, err := idsOf(tags, replies)
		if err != nil {
			return err
		}
		renewed = make([]Renewed, len(tags))
		for i := range tags {
			renewed[i] = Renewed{was[i], was[i].After(revoke, minted[i])}
		}
		return nil
	})
	return renewed, err
}

// A renewal is how long the tag of everything is known to live. Every store needs that tag,
// and to renew it once in a while is enough. What is known holds for the ids that the tag
// had: a tag that was lost and made anew has others, and is renewed again.
type renewal struct {
	mu    sync.Mutex
	of    fence.IDs
	until time.Time
}

// lives reports whether the tag lives for so long, if it has these ids.
func (r *renewal) lives(has fence.IDs, life time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.of == has && time.Until(r.until) >= life
}

// renewed notes that the tag was renewed for as long as a tag lives, unless that failed.
func (r *renewal) renewed(has fence.IDs, err error) {
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.of, r.until = has, time.Now().Add(tagLife)
}
