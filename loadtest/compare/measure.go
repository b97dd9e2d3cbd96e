package main

import (
	"context"
	"errors"
	"time"

	"example.com/communityfeed/loadtest/internal/rig"
)

// measure runs one mode once, with processes and keys of its own.
func (c *command) measure(ctx context.Context, r *rig.Rig, s *site, w workload, m mode, check *tally) (measured result, err error) {
	transactions, err := r.Transactions(ctx)
	if err != nil {
		return result{}, err
	}
	memory, err := r.Memory(ctx)
	if err != nil {
		return result{}, err
	}
	fleet, err := c.launch(ctx, r, w, m)
	if err != nil {
		return result{}, err
	}
	l := newLoad(s, fleet.URLs(), max(c.Connections, idleConnections), m.conditional)
	measured, err = c.drive(ctx, r, w, fleet, l)
	measured.mode = m.name
	if err == nil {
		err = check.pools(ctx, fleet)
	}
	l.client.CloseIdleConnections()
	if err = errors.Join(err, fleet.Close()); err != nil {
		return result{}, err
	}
	if err := measured.left(ctx, r, memory); err != nil {
		return result{}, err
	}
	return measured, check.database(ctx, r, transactions)
}

// idleConnections are kept to each process, so that an open load does not make new ones.
const idleConnections = 256

func (c *command) launch(ctx context.Context, r *rig.Rig, w workload, m mode) (rig.Fleet, error) {
	if m.byHand {
		return r.Launch(ctx, w.processes, c.Peer, "--cache", m.cache)
	}
	return r.ServeFleet(ctx, w.processes, "--cache", m.cache)
}

// drive warms the processes up, measures them, and takes the differences.
func (c *command) drive(ctx context.Context, r *rig.Rig, w workload, fleet rig.Fleet, l *load) (result, error) {
	send := func(d time.Duration) answers {
		if w.rate > 0 {
			return l.open(ctx, w.rate, d)
		}
		return l.closed(ctx, c.Connections, d)
	}
	if a := send(w.warmup); len(a.failed) > 0 {
		return result{}, failures(a.failed)
	}
	bytes := l.bytes.Load()
	before, err := fleet.Metrics(ctx)
	if err != nil {
		return result{}, err
	}
	servers, err := r.Counters(ctx)
	if err != nil {
		return result{}, err
	}
	a := send(w.measured)
	serversAfter, err := r.Counters(ctx)
	if err != nil {
		return result{}, err
	}
	after, err := fleet.Metrics(ctx)
	if err != nil {
		return result{}, err
	}
	used := serversAfter.Since(servers)
	return result{
		reads: a.reads, writes: a.writes, outcomes: a.outcomes, same: a.notModified, took: a.took,
		cpu:      after.CPU() - before.CPU(),
		redis:    used.RedisCPU,
		postgres: used.PostgresCPU,
		queries:  after.Queries("read") - before.Queries("read"),
		commands: used.Commands,
		trips:    used.RoundTrips,
		bytes:    float64(l.bytes.Load() - bytes),
	}, failures(a.failed)
}

// left looks at what is in Redis when the processes and their connections have gone,
// and takes it away.
func (r *result) left(ctx context.Context, servers *rig.Rig, before int64) error {
	after, err := servers.Memory(ctx)
	if err != nil {
		return err
	}
	keys, err := servers.Keys(ctx)
	if err != nil {
		return err
	}
	r.redisBytes, r.redisKeys = float64(after-before), float64(keys)
	return servers.Forget(ctx)
}

// sizes are the demo data that an empty database can get, with their users and the
// communities that everybody may see.
var sizes = []struct {
	name               string
	users, communities int
}{{"small", 1_000, 40}, {"medium", 10_000, 160}, {"large", 100_000, 800}}

// sizeFor is the smallest size that has what the mix needs, and is not below least; the
// largest if none has.
func sizeFor(m mix, least string) string {
	reached := false
	for _, s := range sizes {
		reached = reached || s.name == least
		if reached && s.users >= m.Users && s.communities >= m.Communities {
			return s.name
		}
	}
	return sizes[len(sizes)-1].name
}
