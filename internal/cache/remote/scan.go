package remote

import (
	"context"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// scanPage is about how many keys Redis looks at in one step of a scan.
const scanPage = 1000

// Scan calls page with the keys of entries that match a pattern of Redis's SCAN. It may
// name one twice. It walks through all of Redis step by step, each within the timeout, so
// it takes as long as that takes; ctx ends it.
func (r *Redis) Scan(ctx context.Context, pattern string, page func(keys []string) error) error {
	head, tail, _ := strings.Cut(r.entryKey("\x00"), "\x00")
	match := Literal(head) + pattern + tail
	for cursor := uint64(0); ; {
		var found []string
		err := r.call(ctx, nil, func(ctx context.Context) (err error) {
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

// Unlink removes leases, then entries: the other way round, a fill could store in between.
// It returns how many entries there were.
func (r *Redis) Unlink(ctx context.Context, keys []string) (removed int, err error) {
	err = r.call(ctx, nil, func(ctx context.Context) error {
		pipe := r.client.Pipeline()
		replies := make([]*redis.IntCmd, len(keys))
		for i, k := range keys {
			pipe.Unlink(ctx, r.leaseKey(k))
			replies[i] = pipe.Unlink(ctx, r.entryKey(k))
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return fmt.Errorf("cache: delete: %w", err)
		}
		for _, reply := range replies {
			removed += int(reply.Val())
		}
		return nil
	})
	return removed, err
}

// Literal escapes what means something in a pattern.
func Literal(text string) string { return literal.Replace(text) }

var literal = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)
