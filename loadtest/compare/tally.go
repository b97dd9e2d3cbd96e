package main

import (
	"context"
	"fmt"

	"example.com/communityfeed/internal/report"
	"example.com/communityfeed/loadtest/internal/rig"
)

// A tally holds what the service's pools have counted against what Postgres has
// counted itself, over the whole life of every process: warm-up, writes and relay
// included. A query of a read and the transaction of a write are one transaction each.
type tally struct {
	pool, postgres float64
}

func (t *tally) pools(ctx context.Context, fleet rig.Fleet) error {
	m, err := fleet.Metrics(ctx)
	if err != nil {
		return err
	}
	t.pool += m.Queries("read") + m.Queries("write")
	return nil
}

// database is called when the processes have ended, and their connections with them.
func (t *tally) database(ctx context.Context, r *rig.Rig, before int64) error {
	after, err := r.Transactions(ctx)
	if err != nil {
		return err
	}
	t.postgres += float64(after - before)
	return nil
}

func (t tally) String() string {
	return fmt.Sprintf("Queries are those that the read pool sent. Over all runs the pools sent %s queries and transactions, warm-up, writes and relay included, and Postgres counted %s itself.",
		report.Number(t.pool), report.Number(t.postgres))
}
