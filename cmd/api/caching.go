package main

import (
	"cmp"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cache/remote"
	"example.com/communityfeed/internal/problem"
)

// What --cache can be.
const (
	cacheBoth = "both"
	cacheL1   = "l1"
	cacheL2   = "l2"
	cacheOff  = "off"
)

// caching is the settings of the cache.
type caching struct {
	Mode        string        `name:"cache" env:"CACHE" enum:"both,l1,l2,off" default:"both" placeholder:"TIERS" group:"Cache" help:"both, l1 (in the process), l2 (in Redis) or off: every read is then a load."`
	RedisURL    string        `name:"redis-url" env:"REDIS_URL" placeholder:"URL" group:"Cache" help:"Where Redis is: redis://host:6379/0. Without it there is only the cache in the process."`
	RedisPrefix string        `env:"REDIS_PREFIX" default:"cf:" placeholder:"TEXT" group:"Cache" help:"Begins every key and channel in Redis."`
	RedisPool   int           `env:"REDIS_POOL" default:"64" placeholder:"N" group:"Cache" help:"Connections to Redis."`
	RedisBudget time.Duration `env:"REDIS_BUDGET" default:"200ms" placeholder:"DURATION" group:"Cache" help:"The most that one call to Redis may take; slower is a miss."`
	L1Entries   int           `name:"l1-entries" env:"L1_ENTRIES" default:"5000" placeholder:"N" group:"Cache" help:"Most copies in the process."`
	L1MiB       int64         `name:"l1-mib" env:"L1_MIB" default:"64" placeholder:"N" group:"Cache" help:"Most memory for them, in MiB."`
}

// Validate is called by serve.
func (c *caching) Validate() error {
	if c.RedisURL != "" {
		if err := checkURL("--redis-url (REDIS_URL)", c.RedisURL, "redis", "rediss"); err != nil {
			return err
		}
	}
	switch {
	case c.Mode == cacheL2 && c.RedisURL == "":
		return errors.New("--cache (CACHE) l2 needs --redis-url (REDIS_URL)")
	case c.RedisPrefix == "":
		return errors.New("--redis-prefix (REDIS_PREFIX) must not be empty")
	}
	return cmp.Or(
		atLeast("--redis-pool (REDIS_POOL)", c.RedisPool, 1),
		atLeast("--redis-budget (REDIS_BUDGET)", c.RedisBudget, time.Millisecond),
		atLeast("--l1-entries (L1_ENTRIES)", c.L1Entries, 1),
		atLeast("--l1-mib (L1_MIB)", c.L1MiB, 1),
	)
}

// tier is L2, or nil. A process that reads nothing from the cache still has it:
// what it writes must reach the copies of the others.
func (c *caching) tier(log *slog.Logger) (*remote.Redis, error) {
	if c.RedisURL == "" || c.Mode == cacheL1 {
		return nil, nil
	}
	return remote.Open(c.RedisURL, remote.Options{
		Prefix: c.RedisPrefix, Timeout: c.RedisBudget, PoolSize: c.RedisPool, Log: log,
	})
}

func (c *caching) options(log *slog.Logger) cache.Options {
	o := cache.Options{
		Off:       c.Mode == cacheOff,
		L1Entries: c.L1Entries,
		L1Bytes:   c.L1MiB << 20,
		Answer:    isAnswer,
		Log:       log,
	}
	if c.Mode == cacheL2 {
		o.L1Entries = -1
	}
	return o
}

// isAnswer tells the errors by which a domain answers (there is no such thing, the
// request makes no sense) from those that mean trouble.
func isAnswer(err error) bool {
	p, ok := errors.AsType[*problem.Problem](err)
	return ok && p.Status < http.StatusInternalServerError
}
