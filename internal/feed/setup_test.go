package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cachehttp"
	"example.com/communityfeed/internal/events"
	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/postgres"
	"example.com/communityfeed/internal/problem"
	"example.com/communityfeed/internal/testenv"
)

// anyVersion is what a write without preconditions wants.
var anyVersion cachehttp.Preconditions

func TestMain(m *testing.M) { testenv.Main(m) }

// town is a store on a database of its own, with short ways to put people and
// communities there and to see what was emitted.
type town struct {
	*Store
	t    *testing.T
	pool *pgxpool.Pool
	bus  *events.Bus

	once sync.Once
	off  *site

	mu      sync.Mutex
	emitted []any
}

func newTown(t *testing.T) *town {
	t.Helper()
	pool, err := postgres.Open(t.Context(), testenv.Database(t), postgres.Options{MaxConns: 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	log := testenv.Log(t)
	w := &town{t: t, pool: pool, bus: events.NewBus(log)}
	outbox := events.NewOutbox(pool, w.bus, Events, log)
	t.Cleanup(func() { _ = outbox.Close(context.Background()) })
	w.Store = NewStore(pool, outbox)
	w.bus.Subscribe("test", func(_ context.Context, event any) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.emitted = append(w.emitted, event)
		return nil
	})
	return w
}

// heard returns the events since it was last asked.
func (w *town) heard() []any {
	w.mu.Lock()
	defer w.mu.Unlock()
	heard := w.emitted
	w.emitted = nil
	return heard
}

func (w *town) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.pool.Exec(w.t.Context(), sql, args...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *town) count(sql string, args ...any) (n int64) {
	w.t.Helper()
	if err := w.pool.QueryRow(w.t.Context(), sql, args...).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// user adds a user who reads English.
func (w *town) user(name string) identity.Caller {
	w.t.Helper()
	id := w.count(`INSERT INTO users (name) VALUES ($1) RETURNING id`, name)
	return identity.NewCaller(identity.UserID(id), "", "en", false)
}

// admin adds an administrator.
func (w *town) admin() identity.Caller {
	w.t.Helper()
	return identity.NewCaller(w.user("Admin").User(), identity.Admin, "en", false)
}

func (w *town) community(v Visibility, owner identity.Caller, members ...identity.Caller) CommunityID {
	w.t.Helper()
	c, err := w.CreateCommunity(w.t.Context(), owner, "Harbour Bakers", v)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, m := range members {
		if err := w.AddMember(w.t.Context(), owner, c.ID, m.User()); err != nil {
			w.t.Fatal(err)
		}
	}
	return c.ID
}

func (w *town) post(author identity.Caller, id CommunityID, title string) PostID {
	w.t.Helper()
	p, err := w.CreatePost(w.t.Context(), author, id, "en", Text{Title: title, Body: "Body of " + title})
	if err != nil {
		w.t.Fatal(err)
	}
	return p.ID
}

// like and unlike are for tests that do not look at the count.
func (w *town) like(who identity.Caller, id PostID) error {
	_, err := w.Like(w.t.Context(), who, id)
	return err
}

func (w *town) unlike(who identity.Caller, id PostID) error {
	_, err := w.Unlike(w.t.Context(), who, id)
	return err
}

// page reads a page as one reader sees it.
func (w *town) page(who identity.Caller, id CommunityID, o Order, after position, limit int) ([]Post, string) {
	w.t.Helper()
	path := fmt.Sprintf("/communities/%d/posts?limit=%d", id, limit)
	if after != start {
		path += "&after=" + w.uncached().cursors.Seal(after.text(o))
	}
	body, err := read[feedBody](w, in(who, who.Locale(), o == Ranked), path)
	if err != nil {
		w.t.Fatal(err)
	}
	if body.Next == nil {
		return body.Items, ""
	}
	next, err := w.uncached().cursors.Open(*body.Next)
	if err != nil {
		w.t.Fatal(err)
	}
	return body.Items, next
}

// read reads a path below /api past the cache, so that the database alone says what there
// is.
func read[T any](w *town, who identity.Caller, path string) (body T, err error) {
	w.t.Helper()
	rec := w.uncached().do(who, http.MethodGet, path, "")
	if rec.Code != http.StatusOK {
		return body, problem.New(rec.Code, rec.Body.String())
	}
	return body, json.Unmarshal(rec.Body.Bytes(), &body)
}

// uncached is the town's site with the cache off.
func (w *town) uncached() *site {
	w.once.Do(func() {
		w.off = &site{town: w, echo: echo.New(), cursors: cachehttp.NewCursors("secret"), cache: cache.New(nil, cache.Options{Off: true})}
		w.t.Cleanup(w.off.cache.Close)
		w.off.open()
	})
	return w.off
}

// status is the HTTP status that an error stands for: 200 for none, 500 for one
// that no client may see.
func status(err error) int {
	if err == nil {
		return http.StatusOK
	}
	if p, ok := errors.AsType[*problem.Problem](err); ok {
		return p.Status
	}
	return http.StatusInternalServerError
}

func wantStatus(t *testing.T, what string, err error, want int) {
	t.Helper()
	if got := status(err); got != want {
		t.Errorf("%s: %d (%v), want %d", what, got, err, want)
	}
}

func titles(posts []Post) []string {
	list := make([]string, len(posts))
	for i, p := range posts {
		list[i] = p.Title
	}
	return list
}

func numbered(prefix string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%s %03d", prefix, i)
	}
	return list
}

// fieldsOf names the fields that a problem lists.
func fieldsOf(err error) []string {
	p, ok := errors.AsType[*problem.Problem](err)
	if !ok {
		return nil
	}
	var names []string
	for _, f := range p.Errors {
		names = append(names, f.Field)
	}
	return names
}

// Like makes the caller like a post that they may see. Liking twice is liking
// once.
func (s *Store) Like(ctx context.Context, who identity.Caller, id PostID) (Act, error) {
	act, _, err := s.like(ctx, who, id)
	return act, err
}

// Unlike takes a Like back, if there is one.
func (s *Store) Unlike(ctx context.Context, who identity.Caller, id PostID) (Act, error) {
	act, _, err := s.unlike(ctx, who, id)
	return act, err
}
