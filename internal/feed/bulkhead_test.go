package feed

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/postgres"
)

// Rule 7: a slot of the read pool is held per query, never while a load waits for
// another one. With a single connection, a page that held it while it waited for its
// shared part would wait for itself. Interleaving 16: with a few, a few such pages do.
func TestOneConnectionAnswersColdComposedPages(t *testing.T) {
	w := newTown(t)
	read, err := postgres.Open(t.Context(), w.pool.Config().ConnString(),
		postgres.Options{MaxConns: 1, AcquireTimeout: 3 * time.Second}) // less than a load may take
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(read.Close)
	w.read = read
	s := siteOf(t, w)

	// Pages that share a part, and pages that do not: 12 readers of 3 communities.
	const communities, readersOfEach = 3, 4
	ada := s.user("Ada")
	type reading struct {
		who  identity.Caller
		path string
	}
	var readings []reading
	for range communities {
		id := s.community(Public, ada)
		s.post(ada, id, "Bread")
		for range readersOfEach {
			readings = append(readings, reading{s.user("Reader"), fmt.Sprintf("/communities/%d/posts", id)})
		}
	}

	// Nobody gets the connection before everybody is on their way.
	held, err := read.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var begun, ended sync.WaitGroup
	begun.Add(len(readings))
	for _, r := range readings {
		ended.Go(func() {
			begun.Done()
			rec := s.do(r.who, http.MethodGet, r.path, "")
			if rec.Code != http.StatusOK || rec.Header().Get("X-Cache") != "MISS" {
				t.Errorf("user %s: %d %s %s", r.who.User(), rec.Code, rec.Header().Get("X-Cache"), rec.Body)
			}
		})
	}
	begun.Wait()
	held.Release()
	ended.Wait()

	stat := read.Stat()
	if refused := postgres.Refused(read); refused > 0 || stat.TotalConns() != 1 || stat.NewConnsCount() != 1 {
		t.Errorf("%d queries were refused; the pool has %d connections and has opened %d",
			refused, stat.TotalConns(), stat.NewConnsCount())
	}
}
