package server

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/communityfeed/internal/identity"
)

// atOnce sends n requests that wait for each other, without a network in between,
// and counts the answers by their status.
func (c *contract) atOnce(t *testing.T, n int, request func(i int) *http.Request) map[int]int {
	t.Helper()
	c.o.RequestTimeout = time.Minute // this is about what comes out, on however slow a machine
	var all sync.WaitGroup
	start, answers := make(chan struct{}), make(chan int, n)
	for i := range n {
		r := request(i)
		all.Go(func() {
			<-start
			rec := httptest.NewRecorder()
			c.Handler().ServeHTTP(rec, r)
			answers <- rec.Code
		})
	}
	close(start)
	all.Wait()
	close(answers)
	by := map[int]int{}
	for status := range answers {
		by[status]++
	}
	return by
}

// Of however many who have read the same version and change it at once, one wins,
// and the others hear of it (RFC 9110, 13.1.1).
func TestOfConcurrentChangesToOneVersionOneWins(t *testing.T) {
	const writers = 64
	c := newContract(t)
	s := c.scene(t)
	for _, w := range []struct{ method, path, as, tag, body string }{
		{"PUT", s["PRODUCT"], "admin", s["{PRODUCT}"], `{"name":"Atlas %d","category":"books","price":{"amount":1,"currency":"EUR"},"stock":1}`},
		{"PATCH", s["POST"], "ada", s["{POST}"], `{"title":"Bread %d"}`},
		{"PUT", s["POST"] + "/translations/de", "ada", "2.x", `{"title":"Brot %d","body":"Mehl."}`},
		{"DELETE", s["PRODUCT"], "admin", "2.x", ""},
	} {
		got := c.atOnce(t, writers, func(i int) *http.Request {
			body := w.body
			if body != "" {
				body = fmt.Sprintf(body, i)
			}
			r := httptest.NewRequest(w.method, w.path, strings.NewReader(body))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Authorization", "Bearer "+c.tokens[w.as])
			r.Header.Set("If-Match", `"`+w.tag+`"`)
			return r
		})
		won := got[http.StatusOK] + got[http.StatusNoContent]
		lost := got[http.StatusPreconditionFailed]
		if w.method == "DELETE" {
			lost += got[http.StatusNotFound] // whom there is nothing to lose for
		}
		if won != 1 || lost != writers-1 {
			t.Errorf("%s %s: answers by status %v, want one success and %d × 412", w.method, w.path, got, writers-1)
		}
	}
	var version int
	if err := c.pool.QueryRow(t.Context(), `SELECT version FROM posts`).Scan(&version); err != nil || version != 3 {
		t.Errorf("the post is at version %d, %v; want 3: an edit and a translation", version, err)
	}
}

// A thousand callers at once: half of the users like the post, the others take their
// like back, and everybody says so twice.
func TestLikesAreCountedExactly(t *testing.T) {
	const callers, users = 1000, 500
	c := newContract(t)
	s := c.scene(t)
	for _, sql := range []string{
		fmt.Sprintf(`INSERT INTO users (id, name) SELECT n, 'Reader' FROM generate_series(1001, %d) n`, 1000+users),
		fmt.Sprintf(`INSERT INTO likes (user_id, post_id) SELECT n, max(p.id) FROM generate_series(1001, %d) n, posts p WHERE n %% 2 = 0 GROUP BY n`, 1000+users),
		`UPDATE posts p SET likes = (SELECT count(*) FROM likes l WHERE l.post_id = p.id)`,
	} {
		if _, err := c.pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	got := c.atOnce(t, callers, func(i int) *http.Request {
		user := 1001 + i%users
		method := http.MethodPut // of the odd ones, whom the post is new to
		if user%2 == 0 {
			method = http.MethodDelete
		}
		r := httptest.NewRequest(method, s["POST"]+"/like", http.NoBody)
		r.Header.Set("Authorization", "Bearer "+sign(t, identity.UserID(user), ""))
		return r
	})
	if got[http.StatusNoContent] != callers {
		t.Errorf("answers by status: %v", got)
	}
	var counted, odd, even, events int
	err := c.pool.QueryRow(t.Context(), `
		SELECT (SELECT max(likes) FROM posts), (SELECT count(*) FROM likes WHERE user_id % 2 = 1), (SELECT count(*) FROM likes WHERE user_id % 2 = 0),
		       (SELECT count(*) FROM outbox WHERE kind LIKE 'feed.post_%liked')`).Scan(&counted, &odd, &even, &events)
	if err != nil {
		t.Fatal(err)
	}
	if counted != users/2 || odd != users/2 || even != 0 || events != users {
		t.Errorf("%d likes are counted, %d are there and %d too many, %d events tell of it; want %d, %[5]d, 0, %d",
			counted, odd, even, events, users/2, users)
	}
}
