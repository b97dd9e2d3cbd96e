package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/communityfeed/internal/identity"
)

// Two programs in one test share what two processes share, Postgres and Redis, and
// nothing else: there is no state outside of run.

func TestAHundredFirstReadsThroughTwoProcessesRunTheFeedQueryOnce(t *testing.T) {
	t.Parallel()
	args, databaseURL := seeded(t)
	processes := [2]*program{serve(t, args...), serve(t, args...)}
	countFeedQueries(t, databaseURL)
	feedQueries := func() int64 { return queryInt(t, databaseURL, `SELECT last_value FROM feed_queries`) - 1 }

	tests := []struct {
		name string
		path string
		who  func(i int) caller
	}{
		{"of one page of one user", openPosts, func(int) caller { return caller{user: 42} }},
		{"of one page by a hundred users", openPosts + "?limit=50", func(i int) caller { return caller{user: identity.UserID(i + 1)} }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			before := feedQueries()
			var all sync.WaitGroup
			start := make(chan struct{})
			for i := range 100 {
				all.Go(func() {
					<-start
					who := test.who(i)
					if a := processes[i%2].get(t, who, test.path); a.status != http.StatusOK ||
						!strings.HasPrefix(a.body, fmt.Sprintf(`{"viewer":%d,`, who.user)) {
						t.Errorf("user %d: status %d: %.80s", who.user, a.status, a.body)
					}
				})
			}
			close(start)
			all.Wait()
			if ran := feedQueries() - before; ran != 1 {
				t.Errorf("the feed query ran %d times", ran)
			}
		})
	}
}

// countFeedQueries makes the database count, in the sequence feed_queries, the
// queries that read posts: a view in the table's place draws a number each time it
// is executed. (Sequences count in every transaction, whatever becomes of it.) The
// sleep makes sure that a hundred readers meet.
func countFeedQueries(t *testing.T, databaseURL string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), `
		CREATE SEQUENCE feed_queries MINVALUE 0;
		SELECT nextval('feed_queries'), nextval('feed_queries'); -- from here on, last_value is one more than the count
		ALTER TABLE posts RENAME TO posts_table;
		CREATE VIEW posts AS
			WITH counted AS MATERIALIZED (SELECT nextval('feed_queries'), pg_sleep(0.2))
			SELECT posts_table.* FROM posts_table, counted;`); err != nil {
		t.Fatal(err)
	}
}

func TestAPostThroughOneProcessIsSoonOnThePageThatTheOtherHadInL1(t *testing.T) {
	t.Parallel()
	args, _ := seeded(t)
	a, b := serve(t, args...), serve(t, args...)
	who := caller{user: 42}
	cached := func(p *program) {
		t.Helper()
		p.get(t, who, openPosts)
		if again := p.get(t, who, openPosts); again.cache() != "HIT" {
			t.Fatalf("X-Cache is %q at the second read", again.cache())
		}
	}
	// soon makes requests until one shows, or does not show, the title. It takes
	// milliseconds (make pods wants it within a second). The limit is for busy machines,
	// and below the five seconds after which L1 would forget the page by itself.
	soon := func(p *program, title string, shows bool) {
		t.Helper()
		for limit := time.Now().Add(4 * time.Second); ; {
			page := p.get(t, who, openPosts).page(t)
			if strings.Contains(page.titles(), title) == shows {
				return
			}
			if time.Now().After(limit) {
				t.Fatalf("after four seconds, the page shows %q: %v, want %v", title, !shows, shows)
			}
		}
	}
	for i, way := range [][2]*program{{a, b}, {b, a}} {
		writer, reader := way[0], way[1]
		title := fmt.Sprintf("Post number %d of this test", i)
		cached(a)
		cached(b)
		writer.want(t, http.StatusCreated, who, http.MethodPost, openPosts, `{"title":"`+title+`","body":"…"}`)
		soon(reader, title, true)

		cached(reader)
		id := reader.get(t, who, openPosts).page(t).Items[0].ID
		writer.want(t, http.StatusNoContent, who, http.MethodDelete, fmt.Sprintf("/api/posts/%d", id), "")
		soon(reader, title, false)
		// And it does not come back.
		for range 20 {
			if page := reader.get(t, who, openPosts).page(t); strings.Contains(page.titles(), title) {
				t.Fatalf("%q was deleted, gone, and is back", title)
			}
		}
	}
}
