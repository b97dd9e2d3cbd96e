package cache

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// The record is a hash in Redis: the composition of every key that was ever deployed,
// by name/version. It has no expiry, and nothing in it is overwritten. It lasts as
// long as Redis does: one that comes back empty has a record that refuses nobody,
// until those who run have entered their keys again.

func (r *Redis) recordKey() string { return r.prefix + "keys" }

// Record returns the record. An empty one is that of a new installation.
func (r *Redis) Record(ctx context.Context) (record Manifest, err error) {
	err = r.call(ctx, func(ctx context.Context) (err error) {
		record, err = r.client.HGetAll(ctx, r.recordKey()).Result()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cache: record of keys: %w", err)
	}
	return record, nil
}

// Enter enters a program's keys into the record, all or none of them, and reports
// whether all are in it now. They are not when one is on record with another
// composition, or when one is new to a record that is not empty and admit is false.
// record is what was there before.
//
// Of two programs that enter one name/version with different compositions at the same
// time, one succeeds, and the other has entered nothing. ctx bounds it, and the budget
// of L2 each try.
func (r *Redis) Enter(ctx context.Context, keys Manifest, admit bool) (record Manifest, entered bool, err error) {
	for {
		err = r.call(ctx, func(ctx context.Context) error {
			return r.client.Watch(ctx, func(tx *redis.Tx) error {
				found, err := tx.HGetAll(ctx, r.recordKey()).Result()
				if err != nil {
					return err
				}
				record = found
				var missing []string
				missing, entered = keys.admitted(record, admit)
				return r.enter(ctx, tx, keys, missing)
			}, r.recordKey())
		})
		switch {
		case errors.Is(err, redis.TxFailedErr):
			continue // somebody else has written meanwhile
		case err != nil:
			return nil, false, fmt.Errorf("cache: record of keys: %w", err)
		}
		return record, entered, nil
	}
}

// admitted says whether keys may be in a record, and which of them it lacks.
func (m Manifest) admitted(record Manifest, admit bool) (missing []string, ok bool) {
	d := m.Against(record)
	if len(d.Changed) > 0 || len(d.New) > 0 && len(record) > 0 && !admit {
		return nil, false
	}
	return d.New, true
}

// enter writes what is missing, unless the record has changed since tx began to watch.
func (r *Redis) enter(ctx context.Context, tx *redis.Tx, keys Manifest, missing []string) error {
	if len(missing) == 0 {
		return nil
	}
	_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
		for _, h := range missing {
			p.HSetNX(ctx, r.recordKey(), h, keys[h])
		}
		return nil
	})
	return err
}

// Forget removes all entries of some name/versions, and then these from the record.
// It returns how many entries there were. A program that still runs with one of them
// enters it again. It walks through all of Redis, as [Cache.DeletePattern] does.
func (r *Redis) Forget(ctx context.Context, heads ...string) (deleted int, err error) {
	for _, h := range heads {
		// A key without dimensions is its head and nothing else.
		for _, pattern := range []string{literal.Replace(h), literal.Replace(h) + "|*"} {
			err := r.scan(ctx, pattern, func(keys []string) error {
				n, err := r.unlink(ctx, keys)
				deleted += n
				return err
			})
			if err != nil {
				return deleted, err
			}
		}
		// Last, so that half of it can be done again.
		err := r.call(ctx, func(ctx context.Context) error { return r.client.HDel(ctx, r.recordKey(), h).Err() })
		if err != nil {
			return deleted, fmt.Errorf("cache: record of keys: %w", err)
		}
	}
	return deleted, nil
}
