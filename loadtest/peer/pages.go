package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/singleflight"
)

const (
	keptHere    = 5 * time.Second
	keptInRedis = 30 * time.Second
	mostHere    = 5000 // pages, as the service has copies
)

// pages is cache-aside in two tiers. Nil is none: every page is loaded.
type pages struct {
	here    *expirable.LRU[string, []byte]
	flights singleflight.Group
	redis   *redis.Client
	prefix  string
}

func newPages(client *redis.Client, prefix string) *pages {
	return &pages{here: expirable.NewLRU[string, []byte](mostHere, nil, keptHere), redis: client, prefix: prefix}
}

// A found is a page, and in the words of X-Cache how it was found.
type found struct {
	body []byte
	how  string
}

// get returns the page of a community under a key, and loads it if it is nowhere. A
// Redis that fails is a miss.
func (p *pages) get(ctx context.Context, community, key string, load func(context.Context) ([]byte, error)) (found, error) {
	if p == nil {
		body, err := load(ctx)
		return found{body, "BYPASS"}, err
	}
	local := community + "|" + key
	if body, ok := p.here.Get(local); ok {
		return found{body, "HIT"}, nil
	}
	v, err, _ := p.flights.Do(local, func() (any, error) {
		ctx := context.WithoutCancel(ctx) // others may wait for the same
		generation, err := p.redis.Get(ctx, p.generation(community)).Result()
		reachable := err == nil || errors.Is(err, redis.Nil) // of which there is none before the first write
		remote := p.prefix + "page:" + community + ":" + generation + "|" + key
		if reachable {
			if body, err := p.redis.Get(ctx, remote).Bytes(); err == nil {
				p.here.Add(local, body)
				return found{body, "HIT"}, nil
			}
		}
		body, err := load(ctx)
		if err != nil {
			return found{}, err
		}
		if reachable {
			_ = p.redis.Set(ctx, remote, body, keptInRedis).Err() // the next reader loads again
		}
		p.here.Add(local, body)
		return found{body, "MISS"}, nil
	})
	return v.(found), err
}

// changed makes all pages of a community old.
func (p *pages) changed(ctx context.Context, community string) {
	if p == nil {
		return
	}
	_ = p.redis.Incr(ctx, p.generation(community)).Err() // they then stay until their time is over
	for _, key := range p.here.Keys() {
		if strings.HasPrefix(key, community+"|") {
			p.here.Remove(key)
		}
	}
}

func (p *pages) generation(community string) string { return p.prefix + "generation:" + community }
