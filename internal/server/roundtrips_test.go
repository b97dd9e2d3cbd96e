package server

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cache/remote"
	"example.com/communityfeed/internal/cachehttp"
	"example.com/communityfeed/internal/events"
	"example.com/communityfeed/internal/feed"
	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/products"
	"example.com/communityfeed/internal/telemetry"
	"example.com/communityfeed/internal/testenv"
)

// counted returns the house again, with round trips that are counted: those of its writes
// to Postgres, and all of those to Redis.
func (h house) counted(t *testing.T) (_ house, postgres, redis *testenv.RoundTrips) {
	t.Helper()
	postgres, redis = new(testenv.RoundTrips), new(testenv.RoundTrips)
	over := func(trips *testenv.RoundTrips, conn net.Conn, err error) (net.Conn, error) {
		if err != nil {
			return nil, err
		}
		return trips.Over(conn), nil
	}
	var dialer net.Dialer
	config := h.pool.Config()
	config.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, addr)
		return over(postgres, conn, err)
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	at, err := url.Parse(h.l2URL)
	if err != nil {
		t.Fatal(err)
	}
	log := testenv.Log(t)
	l2, err := remote.Open(h.l2URL, remote.Options{Log: log, Dial: func(ctx context.Context) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, "tcp", at.Host)
		return over(redis, conn, err)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l2.Close() })
	c := cache.New(l2, cache.Options{Log: log})
	t.Cleanup(c.Close)
	verifier, err := identity.NewVerifier(secret, identity.VerifierOptions{})
	if err != nil {
		t.Fatal(err)
	}
	bus := events.NewBus(log)
	outbox := events.NewOutbox(pool, bus, slices.Concat(Events, feed.Events, products.Events), log)
	t.Cleanup(func() { _ = outbox.Close(context.Background()) })
	s := New(log, verifier, c, bus, outbox,
		feed.NewHandler(feed.NewStore(h.read, outbox), c, cachehttp.NewCursors(secret)),
		products.NewHandler(products.NewStore(h.read, outbox)),
		http.NotFoundHandler(), telemetry.NewMetrics(), Options{})
	return house{s, c, h.read, pool, bus, outbox, h.l2URL}, postgres, redis
}

// Each write is made several times: the first prepares its statements, and others may be
// counted together with the marks of those before. The fewest round trips are its own.
func TestAWriteIsAnsweredAfterFewRoundTrips(t *testing.T) {
	h, postgres, redis := newHouse(t).counted(t)
	if _, err := h.pool.Exec(t.Context(), `INSERT INTO users (id, name) VALUES (42, 'Ada'), (43, 'Bob')`); err != nil {
		t.Fatal(err)
	}
	ada, bob, admin := sign(t, 42, ""), sign(t, 43, ""), sign(t, 42, identity.Admin)
	create := func(path, body string) (at string) {
		t.Helper()
		status, header, answer := h.ask(t, "POST", path, admin, body)
		if status != http.StatusCreated {
			t.Fatalf("POST %s: %d %s", path, status, answer)
		}
		return header.Get("Location")
	}
	const product = `{"name": "Spade %d", "category": "garden", "price": {"amount": 1999, "currency": "EUR"}, "stock": 5}`
	community := create("/api/communities", `{"name": "Gardeners"}`)
	post := create(community+"/posts", `{"title": "Apples", "body": "They are ripe."}`)
	spade := create("/api/products", fmt.Sprintf(product, 0))

	for _, w := range []struct {
		name            string
		method, token   string
		path, body      func(i int) string
		postgres, redis int64
	}{
		{"a post", "POST", ada, is(community + "/posts"), is(`{"title": "Pears", "body": "Not yet."}`), 2, 1},
		{"an edit", "PATCH", ada, is(post), func(i int) string { return fmt.Sprintf(`{"title": "Apples %d"}`, i) }, 3, 1},
		{"a translation", "PUT", ada, is(post + "/translations/de"), func(i int) string { return fmt.Sprintf(`{"title": "Äpfel %d", "body": "Reif."}`, i) }, 3, 1},
		{"a like and an unlike", "PUT DELETE", bob, is(post + "/like"), is(""), 4, 4},
		{"joining and leaving", "PUT DELETE", bob, is(community + "/members/me"), is(""), 6, 2},
		{"a block and its end", "PUT DELETE", bob, is("/api/blocks/42"), is(""), 4, 2},
		{"the end of a post", "DELETE", ada, func(int) string { return create(community+"/posts", `{"title": "Plums", "body": "Soon."}`) }, is(""), 2, 1},
		{"a community", "POST", ada, is("/api/communities"), is(`{"name": "Bakers"}`), 2, 1},
		{"a product", "POST", admin, is("/api/products"), is(fmt.Sprintf(product, 1)), 2, 1},
		{"another price", "PUT", admin, is(spade), func(i int) string { return fmt.Sprintf(product, 2+i) }, 2, 1},
		{"the end of a product", "DELETE", admin, func(int) string { return create("/api/products", fmt.Sprintf(product, 1)) }, is(""), 2, 1},
	} {
		fewest := [2]int64{math.MaxInt64, math.MaxInt64}
		for i := range 8 {
			path, body := w.path(i), w.body(i)
			before := [2]int64{postgres.Count(), redis.Count()}
			for _, method := range strings.Fields(w.method) {
				if status, _, answer := h.ask(t, method, path, w.token, body); status/100 != 2 {
					t.Fatalf("%s: %s %s: %d %s", w.name, method, path, status, answer)
				}
			}
			fewest[0] = min(fewest[0], postgres.Count()-before[0])
			fewest[1] = min(fewest[1], redis.Count()-before[1])
		}
		if want := [2]int64{w.postgres, w.redis}; fewest != want {
			t.Errorf("%s takes %d round trips to Postgres and %d to Redis, want %d and %d",
				w.name, fewest[0], fewest[1], want[0], want[1])
		}
	}
}

func is(s string) func(int) string { return func(int) string { return s } }
