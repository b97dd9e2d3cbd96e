package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"example.com/communityfeed/internal/cache/manifest"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cache/remote"
	"example.com/communityfeed/internal/telemetry"
)

type keysCmd struct {
	Print keysPrint `cmd:"" help:"Write this program's manifest: one line per key, its name/version and its dimensions."`
	Check keysCheck `cmd:"" help:"Compare this program's keys with the committed manifest, and with those deployed."`
	Prune keysPrune `cmd:"" help:"Take keys that nothing runs with any more out of the record in Redis, and their entries with them."`
}

// programKeys are the keys of this program. It mounts all routes on connections that
// do not exist, and asks the cache what was declared.
func programKeys() (manifest.Manifest, error) {
	pages := cache.New(nil, cache.Options{})
	defer pages.Close()
	_, _, _, err := assemble(parts{
		log: slog.New(slog.DiscardHandler), secret: developmentSecret,
		pages: pages, metrics: telemetry.NewMetrics(),
	})
	if err != nil {
		return nil, err
	}
	return pages.Manifest(), nil
}

type keysPrint struct{}

// Run prints the manifest.
func (keysPrint) Run(out streams) error {
	keys, err := programKeys()
	if err != nil {
		return err
	}
	_, err = keys.WriteTo(out.Out)
	return err
}

// keyRecord says where the record in Redis is.
type keyRecord struct {
	RedisURL    string `name:"redis-url" env:"REDIS_URL" placeholder:"URL" help:"Where Redis is: redis://host:6379/0."`
	RedisPrefix string `env:"REDIS_PREFIX" default:"cf:" placeholder:"TEXT" help:"Begins every key in Redis."`
}

// Validate is called by the commands.
func (r *keyRecord) Validate() error {
	if r.RedisURL == "" {
		return errors.New("--redis-url (REDIS_URL) is missing: redis://host:6379/0")
	}
	return checkURL("--redis-url (REDIS_URL)", r.RedisURL, "redis", "rediss")
}

// open connects with more patience than a server has: nobody's request waits.
func (r *keyRecord) open() (*remote.Redis, error) {
	return remote.Open(r.RedisURL, remote.Options{Prefix: r.RedisPrefix, Timeout: 5 * time.Second})
}

type keysCheck struct {
	Manifest string `default:"keys.manifest" placeholder:"FILE" help:"The committed manifest. With --deployed, an empty name leaves it out."`
	Deployed bool   `help:"Compare also with the record in Redis of all keys that were ever deployed."`
	Migrate  bool   `name:"migrate-cache-key" help:"Record keys that are new: in the manifest and, with --deployed, in Redis. What is on record otherwise stays refused, and then nothing is written."`
	keyRecord
}

// Help is shown by kong.
func (*keysCheck) Help() string {
	return `A key that is on record with other dimensions fails, and so does one that is not on record; the diff says what to do. Keys that are on record and not in this program are told and no failure: a number that was used once is not given out again.

Without --migrate-cache-key nothing is written. Run it where the manifest is, in the repository's root; api keys print >keys.manifest begins a new one.`
}

// Validate is called by kong.
func (c *keysCheck) Validate() error {
	switch {
	case c.Deployed:
		return c.keyRecord.Validate()
	case c.Manifest == "":
		return errors.New("there is nothing to compare with: give --manifest, --deployed or both")
	}
	return nil
}

// Run looks at every ledger before it writes in any.
func (c *keysCheck) Run(ctx context.Context, out streams) error {
	keys, err := programKeys()
	if err != nil {
		return err
	}
	var ledgers []*ledger
	if c.Manifest != "" {
		l, err := manifestLedger(c.Manifest)
		if err != nil {
			return err
		}
		ledgers = append(ledgers, l)
	}
	if c.Deployed {
		l2, err := c.open()
		if err != nil {
			return err
		}
		defer l2.Close()
		l, err := redisLedger(ctx, l2)
		if err != nil {
			return err
		}
		ledgers = append(ledgers, l)
	}
	var refused driftError
	for _, l := range ledgers {
		if drift, ok := errors.AsType[*driftError](l.refusal(keys, c.Migrate)); ok {
			refused.diff += drift.diff
		}
	}
	if refused.diff != "" {
		return &refused
	}
	for _, l := range ledgers {
		if err := l.settle(ctx, out, keys, c.Migrate); err != nil {
			return err
		}
	}
	return nil
}
