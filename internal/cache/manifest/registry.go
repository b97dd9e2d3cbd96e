package manifest

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"example.com/communityfeed/internal/cache/remote"
)

// A Registry is a hash in Redis: the composition of every key that was ever deployed, by
// name/version. It has no expiry, and nothing in it is overwritten. It lasts as long as
// Redis does: a Redis that comes back empty has a registry that refuses no program, until
// those that run have registered their keys again.
type Registry struct {
	redis *remote.Redis
	key   string
}

// NewRegistry returns the registry in a Redis.
func NewRegistry(r *remote.Redis) *Registry { return &Registry{r, r.Key("keys")} }

// Read returns what is registered. Nothing is, in a new installation.
func (r *Registry) Read(ctx context.Context) (registered Manifest, err error) {
	err = r.redis.Do(ctx, func(ctx context.Context, client redis.UniversalClient) (err error) {
		registered, err = client.HGetAll(ctx, r.key).Result()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cache: registry of keys: %w", err)
	}
	return registered, nil
}

// Register registers a program's keys, all or none of them, and reports whether all of them
// are registered now. They are not when one is registered with another composition, or when
// one is new to a registry that is not empty and admit is false. before is what was
// registered before.
//
// Of two programs that register one name/version with different compositions at the same
// time, one succeeds, and the other has registered nothing. ctx bounds it, and the timeout
// of L2 each try.
func (r *Registry) Register(ctx context.Context, keys Manifest, admit bool) (before Manifest, registered bool, err error) {
	for {
		err = r.redis.Do(ctx, func(ctx context.Context, client redis.UniversalClient) error {
			return client.Watch(ctx, func(tx *redis.Tx) error {
				found, err := tx.HGetAll(ctx, r.key).Result()
				if err != nil {
					return err
				}
				before = found
				var missing []string
				missing, registered = keys.admitted(before, admit)
				return r.add(ctx, tx, keys, missing)
			}, r.key)
		})
		switch {
		case errors.Is(err, redis.TxFailedErr):
			continue // another program has written meanwhile
		case err != nil:
			return nil, false, fmt.Errorf("cache: registry of keys: %w", err)
		}
		return before, registered, nil
	}
}

// admitted says whether keys may be registered beside others, and which of them are not yet.
func (m Manifest) admitted(registered Manifest, admit bool) (missing []string, ok bool) {
	d := m.Diff(registered)
	if len(d.Changed) > 0 || len(d.New) > 0 && len(registered) > 0 && !admit {
		return nil, false
	}
	return d.New, true
}

// add registers what is missing, unless the registry has changed since tx began to watch.
func (r *Registry) add(ctx context.Context, tx *redis.Tx, keys Manifest, missing []string) error {
	if len(missing) == 0 {
		return nil
	}
	_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
		for _, h := range missing {
			p.HSetNX(ctx, r.key, h, keys[h])
		}
		return nil
	})
	return err
}

// Forget removes all entries of some name/versions, and then these from the registry. It
// returns how many entries there were. A program that still runs with one of them registers
// it again. It walks through all of Redis, as [remote.Redis.Scan] does.
func (r *Registry) Forget(ctx context.Context, heads ...string) (deleted int, err error) {
	for _, h := range heads {
		// A key without dimensions is its head and nothing else.
		for _, pattern := range []string{remote.Literal(h), remote.Literal(h) + "|*"} {
			err := r.redis.Scan(ctx, pattern, func(keys []string) error {
				n, err := r.redis.Unlink(ctx, keys)
				deleted += n
				return err
			})
			if err != nil {
				return deleted, err
			}
		}
		// Last, so that half of it can be done again.
		err := r.redis.Do(ctx, func(ctx context.Context, client redis.UniversalClient) error {
			return client.HDel(ctx, r.key, h).Err()
		})
		if err != nil {
			return deleted, fmt.Errorf("cache: registry of keys: %w", err)
		}
	}
	return deleted, nil
}
