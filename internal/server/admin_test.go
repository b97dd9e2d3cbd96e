package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cache/remote"
	"example.com/communityfeed/internal/cachehttp"
	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/problem"
	"example.com/communityfeed/internal/testenv"
)

// entriesOf is the path of what operators see under a key.
func entriesOf(key string) string { return "/admin/cache/entries?key=" + url.QueryEscape(key) }

func TestOperatorsSeeAndRemoveWhatRedisHolds(t *testing.T) {
	h := newHouse(t)
	admin := sign(t, 1, identity.Admin)
	h.ask(t, "GET", "/api/products", "", "")
	entry := entriesOf("products.list/1|category=|page=1|perPage=20")
	status, header, answer := h.ask(t, "GET", entry, admin, "")
	var got inspected
	if err := json.Unmarshal([]byte(answer), &got); err != nil {
		t.Fatalf("%d %s", status, answer)
	}
	if got.State != "fresh" || got.Bytes == 0 || !slices.Contains(got.Tags, "*") || got.Process || header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s, %s", answer, header)
	}
	if status, _, answer := h.ask(t, "DELETE", entry, admin, ""); status != 200 || answer != "{\"deleted\":1}\n" {
		t.Errorf("%d %s", status, answer)
	}
	if status, _, answer := h.ask(t, "GET", entry, admin, ""); status != 404 {
		t.Errorf("after it was deleted: %d %s", status, answer)
	}
	pattern := "/admin/cache/entries?pattern=" + url.QueryEscape("products.list/*")
	if status, _, answer := h.ask(t, "DELETE", pattern, admin, ""); status != 200 || answer != "{\"deleted\":0}\n" {
		t.Errorf("%d %s", status, answer)
	}
}

// A page is in the process that is asked, and says what it is made of. Redis need not be
// there for that.
func TestOperatorsSeeAndRemoveThePagesOfAProcess(t *testing.T) {
	h := newHouse(t)
	notice := cache.NewSource(h.cache, cache.Spec{
		Name: "notice", Version: 1, Dims: []string{"id"}, Policy: cache.Policy{TTL: time.Minute},
		Tags: func(k cache.Key) []cache.Tag { return []cache.Tag{cache.Tag("notice:" + k.Get("id"))} },
	}, cache.JSON[string]{}, func(context.Context, cache.Key) (string, error) { return "closed on Sunday", nil })
	board := cachehttp.Page{Name: "board", Version: 1, Body: "", Path: []cachehttp.Param{cachehttp.ID("id")}, CacheControl: "public, max-age=15"}
	cachehttp.New(h.echo, h.cache).Page(h.echo.Group("/api"), "/boards/:id", board, func(p *cachehttp.Composing) (any, error) {
		return notice.Want(p.Composition, p.Param("id")).Get()
	})
	admin, entry := sign(t, 1, identity.Admin), entriesOf("board/1|id=7")

	status, _, answer := h.ask(t, "GET", entry, admin, "")
	if status != 404 || !strings.Contains(answer, "this process has no copy of the page") {
		t.Errorf("before it was read: %d %s", status, answer)
	}
	h.ask(t, "GET", "/api/boards/7", "", "")
	status, header, answer := h.ask(t, "GET", entry, admin, "")
	var got inspected
	if err := json.Unmarshal([]byte(answer), &got); err != nil {
		t.Fatalf("%d %s", status, answer)
	}
	want := inspected{
		Key: "board/1|id=7", State: "fresh", AgeSeconds: got.AgeSeconds, FreshSeconds: got.FreshSeconds, LeftSeconds: got.LeftSeconds,
		Bytes: got.Bytes, Tags: []cache.Tag{"notice:7", "*"}, Process: true, Fragments: []string{"notice/1|id=7"},
	}
	if diff := cmp.Diff(want, got); diff != "" || got.Bytes == 0 || got.LeftSeconds > 5 || header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s, %s (-want +got):\n%s", answer, header, diff)
	}

	h.ask(t, "GET", "/api/boards/8", "", "")
	for _, row := range []struct{ path, want string }{
		{entry, `{"deleted":1,"ofThisProcess":true,"fragments":["notice/1|id=7"]}`},
		{entry, `{"deleted":0,"ofThisProcess":true}`},
		{"/admin/cache/entries?pattern=board/*", `{"deleted":1}`},
		{"/admin/cache/entries?pattern=notice/*", `{"deleted":2}`}, // in Redis
	} {
		if status, _, answer := h.ask(t, "DELETE", row.path, admin, ""); status != 200 || answer != row.want+"\n" {
			t.Errorf("DELETE %s: %d %s, want %s", row.path, status, answer, row.want)
		}
	}
	if status, _, answer := h.ask(t, "GET", entriesOf("board/1|id=7|user=1"), admin, ""); status != 400 {
		t.Errorf("not a key of the page: %d %s", status, answer)
	}
}

// Rule 11: purging withdraws everything, through an event row like any write.
func TestPurgeWithdrawsEverythingThroughARow(t *testing.T) {
	h := newHouse(t)
	admin := sign(t, 1, identity.Admin)
	h.ask(t, "GET", "/api/products", "", "")
	if _, header, _ := h.ask(t, "GET", "/api/products", "", ""); header.Get("X-Cache") != "HIT" {
		t.Errorf("the second read is a %s", header.Get("X-Cache"))
	}
	if status, _, answer := h.ask(t, "POST", "/admin/cache/purge", admin, ""); status != http.StatusNoContent {
		t.Fatalf("%d %s", status, answer)
	}
	if _, header, _ := h.ask(t, "GET", "/api/products", "", ""); header.Get("X-Cache") != "MISS" {
		t.Errorf("the read after the purge is a %s", header.Get("X-Cache"))
	}
	if err := h.outbox.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	var rows int
	err := h.pool.QueryRow(t.Context(), `SELECT count(*) FROM outbox WHERE kind = 'server.cache_purged' AND delivered_at IS NOT NULL`).Scan(&rows)
	if err != nil || rows != 1 {
		t.Errorf("%d rows, %v", rows, err)
	}
}

func TestOperatorsAreToldWhatIsWrong(t *testing.T) {
	h := newHouse(t)
	user, admin := sign(t, 42, ""), sign(t, 1, identity.Admin)
	for _, tc := range []struct {
		name, method, path, token string
		status                    int
	}{
		{"nobody", "POST", "/admin/cache/purge", "", 401},
		{"a forged token", "POST", "/admin/cache/purge", "forged", 401},
		{"a user", "POST", "/admin/cache/purge", user, 403},
		{"a user who looks", "GET", "/admin/cache/entries?key=x", user, 403},
		{"no key", "GET", "/admin/cache/entries", admin, 400},
		{"not a key", "GET", "/admin/cache/entries?key=feed.page", admin, 400},
		{"neither", "DELETE", "/admin/cache/entries", admin, 400},
		{"both", "DELETE", "/admin/cache/entries?key=a&pattern=b", admin, 400},
		{"another method", "GET", "/admin/cache/purge", admin, 405},
		{"another path", "GET", "/admin/else", admin, 404},
	} {
		if status, _, answer := h.ask(t, tc.method, tc.path, tc.token, ""); status != tc.status {
			t.Errorf("%s: got %d %s, want %d", tc.name, status, answer, tc.status)
		}
	}
}

// An operator whose Redis is away is told so, and what was done by then; a page's key does
// not need it.
func TestOperatorsWithoutRedisAreToldWhatWasDone(t *testing.T) {
	l2, err := remote.Open("redis://127.0.0.1:1", remote.Options{Log: testenv.Log(t)})
	if err != nil {
		t.Fatal(err)
	}
	c := cache.New(l2, cache.Options{})
	t.Cleanup(func() {
		c.Close()
		if err := l2.Close(); err != nil {
			t.Error(err)
		}
	})
	note := cache.NewSource(c, cache.Spec{Name: "note", Version: 1, Policy: cache.Policy{TTL: time.Minute}}, cache.JSON[int]{},
		func(context.Context, cache.Key) (int, error) { return 1, nil })
	page := cache.NewPage(c, cache.PageSpec{Name: "board", Version: 1}, func(int) int { return 8 },
		func(m *cache.Composition) (int, error) { return note.Want(m).Get() })
	e, a := echo.New(), &admin{cache: c}
	for _, row := range []struct{ query, want string }{
		{"key=board/1", `{"deleted":1,"ofThisProcess":true,"fragments":["note/1"]}`},
		{"key=note/1", "Redis does not answer; deleted before that: 0"},
		{"pattern=*", "Redis does not answer; deleted before that: 1"},
	} {
		if _, err := page.Fetch(t.Context()); err != nil {
			t.Fatal(err)
		}
		rec := httptest.NewRecorder()
		err := a.delete(e.NewContext(httptest.NewRequest("DELETE", "/?"+row.query, nil), rec))
		got := strings.TrimSpace(rec.Body.String())
		var p *problem.Problem
		if errors.As(err, &p) && p.Status == http.StatusServiceUnavailable && p.RetryAfter > 0 {
			got = p.Detail
		}
		if got != row.want {
			t.Errorf("%s: %s, %v; want %s", row.query, got, err, row.want)
		}
	}
}
