package cachehttp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/problem"
)

// A kind mounts what is cached in one of two ways, which answer the same: all that the
// key declares, or an error instead.
type kind func(t *testing.T, o cache.Options, d identity.Dimensions, fails func() error) *site

func succeeds() error { return nil }

// eachKind tests a rule of all cached routes.
func eachKind(t *testing.T, test func(*testing.T, kind)) {
	t.Run("response", func(t *testing.T) {
		test(t, func(t *testing.T, o cache.Options, d identity.Dimensions, fails func() error) *site {
			r := things
			r.Identity = d
			return newSite(t, r, o, func(c echo.Context) error {
				if err := fails(); err != nil {
					return err
				}
				if d&identity.User == 0 {
					return c.JSON(http.StatusOK, "everybody's")
				}
				return describe(c)
			})
		})
	})
	t.Run("page", func(t *testing.T) { test(t, newPages) })
}

// newPages mounts a page on /api/things/:id that is composed of a fragment which all
// share, and one of its reader, if it has one.
func newPages(t *testing.T, o cache.Options, d identity.Dimensions, fails func() error) *site {
	t.Helper()
	public := "public, max-age=15, stale-while-revalidate=60, stale-if-error=3600"
	personal := "private, max-age=15, stale-while-revalidate=60"
	p := Page{Name: "things", Version: 1, Body: "", Path: things.Path, Query: things.Query, Identity: d, CacheControl: public}
	if d&identity.User != 0 {
		p.CacheControl = personal
	}
	return newPage(t, o, p, func(s *site) func(*Composing) (any, error) {
		thing, reader := newFragments(s.cache)
		return func(p *Composing) (any, error) {
			s.loads++
			if err := fails(); err != nil {
				return nil, err
			}
			shared, user := thing.Want(p.Composition, p.Param("id")), "0"
			if d&identity.User != 0 {
				var err error
				own := reader.Want(p.Composition, p.Caller().Value(identity.User))
				if user, err = own.Get(); err != nil {
					return nil, err
				}
			}
			id, err := shared.Get()
			if err != nil {
				return nil, err
			}
			return fmt.Sprint("/api/things/:id id=", id, " limit=", p.Param("limit"), " q=", p.Param("q"),
				" other= user=", user, " locale=", p.Caller().Locale(), " headers=0"), nil
		}
	})
}

// newPage mounts a page on /api/things/:id.
func newPage(t *testing.T, o cache.Options, p Page, compose func(*site) func(*Composing) (any, error)) *site {
	t.Helper()
	s, mounted := bareSite(t, o)
	mounted.Page(s.echo.Group("/api"), "/things/:id", p, compose(s))
	return s
}

// newFragments declares what pages of things are composed of. A thing's load gives its id,
// and a reader's their number.
func newFragments(c *cache.Cache) (thing, reader *cache.Source[string]) {
	policy := cache.Policy{TTL: 30 * time.Second}
	thing = cache.NewSource(c, cache.Spec{
		Name: "thing", Version: 1, Dims: []string{"id"}, Policy: policy,
		Tags: func(k cache.Key) []cache.Tag { return []cache.Tag{cache.Tag("thing:" + k.Get("id"))} },
	}, cache.JSON[string]{}, func(_ context.Context, k cache.Key) (string, error) { return k.Get("id"), nil })
	reader = cache.NewSource(c, cache.Spec{
		Name: "reader", Version: 1, Dims: []string{"user"}, Owner: "user", Policy: policy,
		Tags: func(k cache.Key) []cache.Tag { return []cache.Tag{UserTagOf(k.Get("user"))} },
	}, cache.JSON[string]{}, func(_ context.Context, k cache.Key) (string, error) {
		return strings.TrimPrefix(k.Get("user"), "anon"), nil
	})
	return thing, reader
}

// publicPage is a page of things that is everybody's.
var publicPage = Page{Name: "things", Version: 1, Body: "", Path: things.Path, CacheControl: "public, max-age=15"}

// A page's bytes are those that an uncached handler writes with Echo's JSON.
func TestAPageIsTheJSONThatEchoWrites(t *testing.T) {
	for name, body := range map[string]any{
		"nothing":     (*string)(nil),
		"a text":      "<a href=\"x\">&\u2028 äöü",
		"an object":   map[string]any{"b": 1.5, "a": []int{}, "c": nil},
		"a structure": struct{ Items []string }{},
		"raw":         json.RawMessage(`{"a": 1}`),
		"a long page": json.RawMessage(feedLike(8 << 10)),
	} {
		t.Run(name, func(t *testing.T) {
			want := httptest.NewRecorder()
			if err := echo.New().NewContext(httptest.NewRequest(http.MethodGet, "/", nil), want).JSON(http.StatusOK, body); err != nil {
				t.Fatal(err)
			}
			page := publicPage
			page.Body = body
			s := newPage(t, cache.Options{}, page, func(s *site) func(*Composing) (any, error) {
				thing, _ := newFragments(s.cache)
				return func(p *Composing) (any, error) {
					_, err := thing.Want(p.Composition, p.Param("id")).Get()
					return body, err
				}
			})
			for range 2 {
				got := s.get(http.MethodGet, "/api/things/1", ada)
				if got.Body.String() != want.Body.String() || got.Header().Get("Content-Type") != want.Header().Get("Content-Type") {
					t.Errorf("got  %s %q\nwant %s %q", got.Header().Get("Content-Type"), got.Body, want.Header().Get("Content-Type"), want.Body)
				}
			}
		})
	}
}

// body is a body of anything.
type body struct{ Value any }

// What is wrong with a page goes to its callers, names its key, and is not kept.
func TestAPageThatCannotBeMadeIsAnErrorThatSaysWhy(t *testing.T) {
	const undeclared = "things/1|id=1: cache: load panicked: the handler behind key things read the caller's %s, which the key does not declare"
	get := func(w cache.Wanted[string], body any) (any, error) {
		_, err := w.Get()
		return body, err
	}
	type fragments struct{ thing, reader, broken *cache.Source[string] }
	page := publicPage
	page.Body = body{}
	for _, row := range []struct {
		name    string
		compose func(*Composing, fragments) (any, error)
		want    string
	}{
		{"a body that is not JSON", func(p *Composing, f fragments) (any, error) {
			return get(f.thing.Want(p.Composition, "1"), body{make(chan int)})
		}, "things/1|id=1: what the page returns is not JSON: json: unsupported type: chan int"},
		{"a body of another type than it declares", func(p *Composing, f fragments) (any, error) {
			return get(f.thing.Want(p.Composition, "1"), &body{1})
		}, "things/1|id=1: cachehttp: page things/1 returns *cachehttp.body and declares cachehttp.body"},
		{"no body", func(p *Composing, f fragments) (any, error) {
			return get(f.thing.Want(p.Composition, "1"), nil)
		}, "things/1|id=1: cachehttp: page things/1 returns <nil> and declares cachehttp.body"},
		{"no fragment", func(*Composing, fragments) (any, error) { return body{1}, nil },
			"things/1|id=1: cache: page things/1 uses no fragment: nothing would say when it is wrong"},
		{"a fragment that fails", func(p *Composing, f fragments) (any, error) {
			return get(f.broken.Want(p.Composition, "1"), body{1})
		}, "things/1|id=1: broken/1|id=1: the origin is broken"},
		{"a fragment that fails, which the page swallows", func(p *Composing, f fragments) (any, error) {
			_, _ = f.broken.Want(p.Composition, "1").Get()
			return get(f.thing.Want(p.Composition, "1"), body{1})
		}, "things/1|id=1: broken/1|id=1: the origin is broken"},
		{"an error of its own", func(p *Composing, f fragments) (any, error) { return nil, errors.New("no page") },
			"things/1|id=1: no page"},
		{"a fragment of a reader, on everybody's page", func(p *Composing, f fragments) (any, error) {
			return get(f.reader.Want(p.Composition, "42"), body{1})
		}, "things/1|id=1: reader/1|user=42: cache: things/1 uses reader/1, whose user is not its own: it would show one what is another's"},
		{"the user, who is not declared", func(p *Composing, _ fragments) (any, error) { return body{p.Caller().User()}, nil }, fmt.Sprintf(undeclared, "user")},
		{"the locale, which is not declared", func(p *Composing, _ fragments) (any, error) { return body{p.Caller().Locale()}, nil }, fmt.Sprintf(undeclared, "locale")},
		{"a panic", func(*Composing, fragments) (any, error) { panic("oh no") }, "things/1|id=1: cache: load panicked: oh no"},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, o := range []cache.Options{{}, {Off: true}} {
				runs := 0
				s := newPage(t, o, page, func(s *site) func(*Composing) (any, error) {
					var f fragments
					f.thing, f.reader = newFragments(s.cache)
					f.broken = cache.NewSource(s.cache, cache.Spec{Name: "broken", Version: 1, Dims: []string{"id"}, Policy: cache.Policy{TTL: time.Minute}},
						cache.JSON[string]{}, func(context.Context, cache.Key) (string, error) { return "", errors.New("the origin is broken") })
					return func(p *Composing) (any, error) {
						runs++
						return row.compose(p, f)
					}
				})
				for range 2 {
					before := runs
					rec := s.get(http.MethodGet, "/api/things/1", ada)
					if s.err == nil || s.err.Error() != row.want {
						t.Errorf("got  %v\nwant %s", s.err, row.want)
					}
					if rec.Code != http.StatusTeapot || rec.Body.Len() > 0 {
						t.Errorf("answered %d %s", rec.Code, rec.Body)
					}
					if runs == before {
						t.Error("the error was kept")
					}
				}
			}
		})
	}
}

// A fragment that says "nothing there" is the page's answer, as the problem that it is.
func TestWhatAFragmentDoesNotFindIsNotFound(t *testing.T) {
	s := newPage(t, cache.Options{Answer: func(error) bool { return true }}, publicPage, func(s *site) func(*Composing) (any, error) {
		gone := cache.NewSource(s.cache, cache.Spec{Name: "gone", Version: 1, Policy: cache.Policy{TTL: time.Minute}},
			cache.JSON[string]{}, func(context.Context, cache.Key) (string, error) { return "", problem.NotFound("thing 1") })
		return func(p *Composing) (any, error) { return gone.Want(p.Composition).Get() }
	})
	s.get(http.MethodGet, "/api/things/1", ada)
	var p *problem.Problem
	if !errors.As(s.err, &p) || p.Status != http.StatusNotFound {
		t.Errorf("got %v", s.err)
	}
}

// A page that L1 does not have is a hit where L1 has what it is made of, and says so.
func TestAComposedPageIsAHit(t *testing.T) {
	s := newPages(t, cache.Options{}, identity.User|identity.Locale, succeeds)
	french := identity.NewCaller(42, "", "fr", false)
	for _, row := range []struct {
		what           string
		who            identity.Caller
		target         string
		cached, status string
	}{
		{"a first page", ada, "/api/things/1", "MISS", "communityfeed; fwd=miss; ttl="},
		{"the same page", ada, "/api/things/1", "HIT", "communityfeed; hit; ttl="},
		{"the same in another language", french, "/api/things/1", "HIT", "communityfeed; hit; ttl="},
		{"of another reader", bob, "/api/things/1", "MISS", "communityfeed; fwd=miss; ttl="},
	} {
		h := s.get(http.MethodGet, row.target, row.who).Header()
		if got := h.Get(HeaderCache); got != row.cached {
			t.Errorf("%s is a %s, want %s", row.what, got, row.cached)
		}
		status, detail, _ := strings.Cut(h.Get("Cache-Status"), "; detail=")
		var ttl int
		if _, err := fmt.Sscanf(strings.TrimPrefix(status, row.status), "%d", &ttl); err != nil || ttl < 20 || ttl > 33 {
			t.Errorf("%s: Cache-Status is %s", row.what, h.Get("Cache-Status"))
		}
		if want := map[bool]string{true: "composed"}[row.who == french]; row.what != "the same page" && detail != want || row.what == "the same page" && detail != "l1" {
			t.Errorf("%s: detail is %q", row.what, detail)
		}
	}
}

// The version of a page's row is the first part of its entity tag.
func TestAPageSaysOfWhichVersionItIs(t *testing.T) {
	s := newPage(t, cache.Options{}, publicPage, func(s *site) func(*Composing) (any, error) {
		thing, _ := newFragments(s.cache)
		return func(p *Composing) (any, error) {
			p.Version(7)
			return thing.Want(p.Composition, p.Param("id")).Get()
		}
	})
	rec := s.get(http.MethodGet, "/api/things/1", ada)
	if got, want := rec.Header().Get("Etag"), `"7.`+hash(rec.Body.Bytes())+`"`; got != want {
		t.Errorf("ETag %s, want %s", got, want)
	}
}

// A move of any of its fragments' tags ends a page, in the same process at once.
func TestAPageChangesWithAnyOfItsFragments(t *testing.T) {
	for _, tag := range []cache.Tag{"thing:1", "user:42", cache.Everything} {
		s := newPages(t, cache.Options{}, identity.User|identity.Locale, succeeds)
		s.get(http.MethodGet, "/api/things/1", ada)
		if err := s.cache.Invalidate(t.Context(), cache.Changed(tag)); err != nil {
			t.Fatal(err)
		}
		if got := s.get(http.MethodGet, "/api/things/1", ada).Header().Get(HeaderCache); got != "MISS" {
			t.Errorf("after a move of %s: %s", tag, got)
		}
	}
}
