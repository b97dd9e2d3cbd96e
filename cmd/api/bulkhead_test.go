package main

import (
	"net/http"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestAReadThatIsStuckHoldsUpOtherReadsForABoundedTimeAndNothingElse(t *testing.T) {
	t.Parallel()
	args, databaseURL := seeded(t)
	p := serve(t, append(args, "--read-pool=1", "--read-wait=500ms", "--statement-timeout=30s")...)
	who := caller{user: 42}
	p.want(t, http.StatusOK, caller{}, "GET", "/api/communities/12", "") // or the page would wait for two connections

	conn, err := pgx.Connect(t.Context(), databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `LOCK TABLE posts IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	stuck := make(chan int, 1)
	go func() {
		response, err := http.Get(p.base + openPosts)
		if err != nil {
			t.Error(err)
			stuck <- 0
			return
		}
		response.Body.Close()
		stuck <- response.StatusCode
	}()
	const blocked = `SELECT count(*) FROM pg_stat_activity, pg_sleep(0.01)
		WHERE datname = current_database() AND application_name = 'communityfeed-read' AND wait_event_type = 'Lock'`
	for queryInt(t, databaseURL, blocked) == 0 && t.Context().Err() == nil {
	}

	const cold = "/api/communities?limit=50" // another table, and yet the same pool
	if a := p.want(t, http.StatusServiceUnavailable, who, "GET", cold, ""); a.header.Get("Retry-After") == "" {
		t.Errorf("a refused reader is not told when to try again: %v", a.header)
	}
	p.want(t, http.StatusOK, caller{}, "GET", "/readyz", "")
	p.want(t, http.StatusCreated, who, "POST", "/api/communities", `{"name": "Gardeners"}`)

	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status := <-stuck; status != http.StatusOK {
		t.Errorf("the read that was stuck: %d", status)
	}
	p.want(t, http.StatusOK, who, "GET", "/api/communities?limit=20", "") // not the one that has just failed
}
