package server

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/events"
	"example.com/communityfeed/internal/feed"
	"example.com/communityfeed/internal/postgres"
)

// Rule 7: who gets no connection in time gets a stale copy if the policy allows, else
// 503 with Retry-After; what does not read notices nothing.
func TestWhenNoConnectionIsFreeReadersGetAStaleCopyOrAreToldToRetry(t *testing.T) {
	h := furnish(t, postgres.Options{MaxConns: 1, AcquireTimeout: 500 * time.Millisecond},
		cache.Options{L1Entries: -1}) // what is fresh in L1 needs no connection
	if _, err := h.pool.Exec(t.Context(), `INSERT INTO users (id, name) VALUES (42, 'Ada')`); err != nil {
		t.Fatal(err)
	}
	ada := sign(t, 42, "")
	// want asks and checks; it returns the header and the body.
	want := func(what, method, path, body string, status int, outcome string) (http.Header, string) {
		t.Helper()
		got, header, answer := h.ask(t, method, path, ada, body)
		if got != status || header.Get("X-Cache") != outcome {
			t.Fatalf("%s: %d %s %s, want %d %s", what, got, header.Get("X-Cache"), answer, status, outcome)
		}
		return header, answer
	}
	header, _ := want("a community", "POST", "/api/communities", `{"name": "Gardeners"}`, 201, "")
	page := header.Get("Location") + "/posts"
	const cold = "/api/communities?limit=10"
	want("the first post", "POST", page, `{"title": "Apples", "body": "They are ripe."}`, 201, "")
	want("the page", "GET", page, "", 200, "MISS")
	h.age(t, 30*time.Minute)

	held, err := h.read.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release()
	header, _ = want("a cold page", "GET", cold, "", 503, "")
	if got := header.Get("Retry-After"); got != "1" {
		t.Errorf("Retry-After: %q", got)
	}
	if got := postgres.Refused(h.read); got != 1 {
		t.Errorf("%d queries were refused, want that of the cold page", got)
	}
	header, body := want("an expired copy", "GET", page, "", 200, "STALE")
	if !strings.Contains(body, "Apples") {
		t.Errorf("the expired copy: %s", body)
	}
	if got := header.Get("Cache-Status"); got != "communityfeed; hit; detail=stale" {
		t.Errorf("the expired copy's Cache-Status: %s", got)
	}
	if got := postgres.Refused(h.read); got != 4 {
		t.Errorf("%d queries were refused, want those of the three fragments of the expired page too", got)
	}

	want("health", "GET", "/readyz", "", 200, "")
	want("another post", "POST", page, `{"title": "Pears", "body": "Not yet."}`, 201, "")
	want("a changed copy", "GET", page, "", 200, "STALE")
	h.relays(t) // takes longer than the second for which a key that failed is not tried again

	held.Release()
	want("the cold page, once a connection is free", "GET", cold, "", 200, "MISS")
	if _, body := want("the page, once a connection is free", "GET", page, "", 200, "MISS"); !strings.Contains(body, "Pears") {
		t.Errorf("the page is not fresh: %s", body)
	}
}

// age makes the entries in L2 older: how old one is follows from what is left of its
// life.
func (h house) age(t *testing.T, by time.Duration) {
	t.Helper()
	o, err := redis.ParseURL(h.l2URL)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(o)
	defer client.Close()
	keys, err := client.Keys(t.Context(), "cf:e:*").Result()
	if err != nil || len(keys) == 0 {
		t.Fatalf("entries in L2: %q, %v", keys, err)
	}
	for _, key := range keys {
		left, err := client.PTTL(t.Context(), key).Result()
		if err == nil {
			err = client.PExpire(t.Context(), key, left-by).Err() // gone, if that is not positive
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// relays waits until a relay has delivered the row of a writer that died, which it
// does a second after it has seen the row.
func (h house) relays(t *testing.T) {
	t.Helper()
	delivered := make(chan struct{}, 1)
	h.bus.Subscribe("test", func(_ context.Context, event any) error {
		if _, ok := event.(feed.PostLiked); ok {
			select {
			case delivered <- struct{}{}:
			default: // it may come more than once
			}
		}
		return nil
	})
	if _, err := h.pool.Exec(t.Context(),
		`INSERT INTO outbox (kind, payload) VALUES ('feed.post_liked', '{"post": 1, "user": 42}')`); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		events.NewRelay(h.outbox, events.RelayOptions{}).Run(ctx)
	}()
	select {
	case <-delivered:
	case <-ended:
		t.Error("the row was not delivered")
	}
	stop()
	<-ended
}
