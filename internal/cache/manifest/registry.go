package manifest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"example.com/communityfeed/internal/cache/remote"
)

// A Registry is in Redis: the composition of every key that was ever deployed. It has no
// expiry, and nothing in it is overwritten. It lasts as long as Redis does: a Redis that
// comes back empty has a registry that refuses no program, until those that run have
// registered their keys again.
//
// It is two hashes by name/version. One has the dimensions, as programs have always written
// them that compare them as text. The other has the shapes, which older programs do not
// know. A shape counts only while its key is in the first: older programs remove a key and
// leave its shape behind.
type Registry struct {
	place
	redis        *remote.Redis
	dims, shapes string // the names of the hashes
}

// NewRegistry returns the registry in a Redis.
func NewRegistry(r *remote.Redis) *Registry {
	return &Registry{place{
		name:    "the registry in Redis",
		remedy:  "start it\n  once with --migrate-cache-key (MIGRATE_CACHE_KEY=true); no other process needs that.",
		lenient: true,
	}, r, r.Key("keys"), r.Key("shapes")}
}

// Read implements [Place]. Nothing is registered in a new installation.
func (r *Registry) Read(ctx context.Context) (registered Manifest, err error) {
	err = r.do(ctx, func(ctx context.Context, client redis.UniversalClient) error {
		registered, err = r.read(ctx, client)
		return err
	})
	return registered, err
}

// read reads the dimensions first, so that a shape is never older than its key.
func (r *Registry) read(ctx context.Context, from redis.Cmdable) (Manifest, error) {
	var dims, shapes *redis.MapStringStringCmd
	_, err := from.Pipelined(ctx, func(p redis.Pipeliner) error {
		dims, shapes = p.HGetAll(ctx, r.dims), p.HGetAll(ctx, r.shapes)
		return nil
	})
	registered := make(Manifest)
	for h, d := range dims.Val() {
		registered[h] = Composition{d, shapes.Val()[h]}
	}
	return registered, err
}

// Register implements [Place]. Of two programs that register one name/version with different
// compositions at the same time, one succeeds, and the other has registered nothing. ctx
// bounds it, and the timeout of L2 each try.
func (r *Registry) Register(ctx context.Context, keys Manifest, admit bool) (before Manifest, err error) {
	for {
		var refused error
		err = r.do(ctx, func(ctx context.Context, client redis.UniversalClient) error {
			return client.Watch(ctx, func(tx *redis.Tx) (err error) {
				if before, err = r.read(ctx, tx); err != nil {
					return err
				}
				if refused = r.Refuse(keys, before, admit); refused != nil {
					return nil
				}
				return r.add(ctx, tx, keys, keys.Diff(before))
			}, r.dims, r.shapes)
		})
		switch {
		case errors.Is(err, redis.TxFailedErr):
			continue // another program has written meanwhile
		case err != nil:
			return nil, err
		}
		return before, refused
	}
}

// add registers what is missing, unless the registry has changed since tx began to watch. The
// shape of a key that is new may take the place of one that was left behind.
func (r *Registry) add(ctx context.Context, tx *redis.Tx, keys Manifest, d Diff) error {
	if len(d.New)+len(d.Unshaped) == 0 {
		return nil
	}
	_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
		for _, h := range d.New {
			p.HSetNX(ctx, r.dims, h, keys[h].Dims)
			p.HDel(ctx, r.shapes, h)
		}
		for _, h := range slices.Concat(d.New, d.Unshaped) {
			if keys[h].Shape != "" {
				p.HSetNX(ctx, r.shapes, h, keys[h].Shape)
			}
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
		err := r.do(ctx, func(ctx context.Context, client redis.UniversalClient) error {
			_, err := client.TxPipelined(ctx, func(p redis.Pipeliner) error {
				p.HDel(ctx, r.dims, h)
				p.HDel(ctx, r.shapes, h)
				return nil
			})
			return err
		})
		if err != nil {
			return deleted, err
		}
	}
	return deleted, nil
}

// do is [remote.Redis.Do] with an error that says what was asked.
func (r *Registry) do(ctx context.Context, do func(context.Context, redis.UniversalClient) error) error {
	if err := r.redis.Do(ctx, do); err != nil {
		return fmt.Errorf("cache: registry of keys: %w", err)
	}
	return nil
}
