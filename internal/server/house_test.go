package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cache/remote"
	"example.com/communityfeed/internal/cachehttp"
	"example.com/communityfeed/internal/events"
	"example.com/communityfeed/internal/feed"
	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/postgres"
	"example.com/communityfeed/internal/products"
	"example.com/communityfeed/internal/telemetry"
	"example.com/communityfeed/internal/testenv"
)

// house is the whole service on real servers.
type house struct {
	*Server
	cache  *cache.Cache
	read   *pgxpool.Pool // for reads
	pool   *pgxpool.Pool // for all else, and for the test
	bus    *events.Bus
	outbox *events.Outbox
	l2URL  string
}

func newHouse(t *testing.T) house {
	t.Helper()
	return furnish(t, postgres.Options{}, cache.Options{})
}

// furnish makes a house of which is said how it reads.
func furnish(t *testing.T, reads postgres.Options, o cache.Options) house {
	t.Helper()
	return furnishOn(t, testenv.Database(t), reads, o)
}

// furnishOn makes a house on a database that others may use too.
func furnishOn(t *testing.T, url string, reads postgres.Options, o cache.Options) house {
	t.Helper()
	return furnishBeside(t, url, testenv.Redis(t), reads, o)
}

// furnishBeside makes a house on a database and a Redis that others may use too.
func furnishBeside(t *testing.T, url, l2URL string, reads postgres.Options, o cache.Options) house {
	t.Helper()
	log := testenv.Log(t)
	open := func(o postgres.Options) *pgxpool.Pool {
		pool, err := postgres.Open(t.Context(), url, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		return pool
	}
	read, pool := open(reads), open(postgres.Options{})
	l2, err := remote.Open(l2URL, remote.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l2.Close(); err != nil {
			t.Error(err)
		}
	})
	o.Log = log
	c := cache.New(l2, o)
	t.Cleanup(c.Close)
	verifier, err := identity.NewVerifier(secret, identity.VerifierOptions{})
	if err != nil {
		t.Fatal(err)
	}
	bus := events.NewBus(log)
	outbox := events.NewOutbox(pool, bus, slices.Concat(Events, feed.Events, products.Events), log)
	t.Cleanup(func() { _ = outbox.Close(context.Background()) })
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the page") })
	s := New(log, verifier, c, bus, outbox,
		feed.NewHandler(feed.NewStore(read, outbox), c, cachehttp.NewCursors(secret)),
		products.NewHandler(products.NewStore(read, outbox)),
		page, telemetry.NewMetrics(), Options{Checks: []Check{{"postgres", true, pool.Ping}, {"redis", false, l2.Ping}}})
	return house{s, c, read, pool, bus, outbox, l2URL}
}

func (h house) ask(t *testing.T, method, path, token, body string) (status int, header http.Header, answer string) {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	rec := httptest.NewRecorder()
	h.Handler().ServeHTTP(rec, r)
	return rec.Code, rec.Header(), rec.Body.String()
}

func TestTheRouteMapIsComplete(t *testing.T) {
	want := strings.Fields(`
		GET,HEAD:/
		GET,HEAD:/livez
		GET,HEAD:/metrics
		GET,HEAD:/readyz
		GET,HEAD,POST:/api/communities
		GET,HEAD:/api/communities/:id
		GET,HEAD,POST:/api/communities/:id/posts
		DELETE,PUT:/api/communities/:id/members/me
		DELETE,PUT:/api/communities/:id/members/:userID
		DELETE,GET,HEAD,PATCH:/api/posts/:id
		PUT:/api/posts/:id/translations/:locale
		DELETE,PUT:/api/posts/:id/like
		DELETE,PUT:/api/blocks/:userID
		GET,HEAD,POST:/api/products
		DELETE,GET,HEAD,PUT:/api/products/:id
		POST:/admin/cache/purge
		DELETE,GET:/admin/cache/entries`)
	methods := map[string][]string{}
	for _, r := range newHouse(t).echo.Routes() {
		methods[r.Path] = append(methods[r.Path], r.Method)
	}
	var got []string
	for path, m := range methods {
		slices.Sort(m)
		got = append(got, strings.Join(m, ",")+":"+path)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}
}

func TestEveryEventOfADomainHasItsMove(t *testing.T) {
	none := func(context.Context, cache.Invalidation) error { return nil }
	for domain, d := range map[string]struct {
		kinds events.Kinds
		moves cache.Invalidations
	}{"feed": {feed.Events, feed.Invalidations}, "products": {products.Events, products.Invalidations}} {
		for _, kind := range d.kinds {
			if err := invalidation(none, nil, d.moves)(t.Context(), kind.Zero()); err != nil {
				t.Errorf("%s: %v", domain, err)
			}
		}
	}
}

func TestAWriteIsReadInTheNextRequest(t *testing.T) {
	h := newHouse(t)
	if _, err := h.pool.Exec(t.Context(), `INSERT INTO users (id, name) VALUES (42, 'Ada')`); err != nil {
		t.Fatal(err)
	}
	ada := sign(t, 42, "")

	status, header, answer := h.ask(t, "POST", "/api/communities", ada, `{"name": "Gardeners"}`)
	if status != http.StatusCreated {
		t.Fatalf("creating a community: %d %s", status, answer)
	}
	feed := header.Get("Location") + "/posts"
	if _, header, _ = h.ask(t, "GET", feed, ada, ""); header.Get("X-Cache") != "MISS" {
		t.Errorf("the first read is a %s", header.Get("X-Cache"))
	}
	if _, header, answer = h.ask(t, "GET", feed, ada, ""); header.Get("X-Cache") != "HIT" {
		t.Errorf("the second read is a %s: %s", header.Get("X-Cache"), answer)
	}
	status, _, answer = h.ask(t, "POST", feed, ada, `{"title": "Apples", "body": "They are ripe."}`)
	if status != http.StatusCreated {
		t.Fatalf("posting: %d %s", status, answer)
	}
	_, header, answer = h.ask(t, "GET", feed, ada, "")
	var page struct {
		Viewer int
		Items  []struct{ Title string }
	}
	if err := json.Unmarshal([]byte(answer), &page); err != nil {
		t.Fatalf("%v in %s", err, answer)
	}
	if header.Get("X-Cache") != "MISS" || page.Viewer != 42 || len(page.Items) != 1 || page.Items[0].Title != "Apples" {
		t.Errorf("the read after the post is a %s: %s", header.Get("X-Cache"), answer)
	}
	if err := h.outbox.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := h.outbox.Stats(); got.Written != 2 || got.Delivered != 2 {
		t.Errorf("the outbox: %+v", got)
	}
}

func TestTheServiceIsReadyWithItsServers(t *testing.T) {
	h := newHouse(t)
	status, _, answer := h.ask(t, "GET", "/readyz", "", "")
	var got health
	if err := json.Unmarshal([]byte(answer), &got); err != nil {
		t.Fatal(err)
	}
	if status != 200 || got.Status != "ok" || len(got.Checks) != 2 {
		t.Errorf("%d %s", status, answer)
	}
	if status, _, answer := h.ask(t, "GET", "/", "", ""); status != 200 || answer != "the page" {
		t.Errorf("the page: %d %s", status, answer)
	}
}
