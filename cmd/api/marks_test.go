package main

import (
	"net/http"
	"testing"
)

// The server ends sooner after its last write than a mark waits for others.
func TestAServerMarksWhatItHasDeliveredBeforeItEnds(t *testing.T) {
	t.Parallel()
	args, databaseURL := seeded(t)
	t.Run("serving", func(t *testing.T) {
		p := serve(t, args...)
		p.want(t, http.StatusCreated, caller{user: 42}, "POST", "/api/communities", `{"name": "Gardeners"}`)
	})
	if n := queryInt(t, databaseURL, `SELECT count(*) FROM outbox WHERE delivered_at IS NOT NULL`); n != 1 {
		t.Errorf("%d rows are marked, want 1", n)
	}
}
