package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"example.com/communityfeed/internal/feed"
	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/products"
)

// A request is one that is answered from the cache.
type request struct {
	path     string // with its query
	user     identity.UserID
	language string
	flag     bool

	// The same caller in another guise, with which no answer has to do: with an
	// administrator's token, the language spelled otherwise, and all sorts of things
	// that are in no key.
	disguised bool
}

func (r request) String() string {
	s := fmt.Sprintf("GET %s as %s in %s", r.path, r.user, r.language)
	if r.flag {
		s += " with feed_v2"
	}
	if r.disguised {
		s += ", in disguise"
	}
	return s
}

func (r request) http(t *testing.T) *http.Request {
	t.Helper()
	req := httptest.NewRequest(http.MethodGet, r.path, nil)
	req.Header.Set("X-Request-Id", "soundness") // which an error repeats
	req.Header.Set("Accept-Language", r.language)
	role := identity.Role("")
	if r.flag {
		req.Header.Set("X-FF-Feed-V2", "1")
	}
	if r.disguised {
		role = identity.Admin
		req.Header.Set("Accept-Language", r.language+"-x-own, "+r.language+";q=0.9, *;q=0.1")
		req.Header.Set("Cookie", "session=1")
		req.Header.Set("X-Forwarded-For", "203.0.113.7")
		req.URL.RawQuery += "&utm=1"
	}
	if r.user != 0 {
		req.Header.Set("Authorization", "Bearer "+sign(t, r.user, role))
	}
	return req
}

const (
	ada   = identity.UserID(42) // member of community 12, not of 13; has blocked 43
	other = identity.UserID(43) // member of community 12
)

// world is demo data, and what of it the requests are about.
type world struct {
	owner         identity.UserID // of community 13, which is private
	hidden, liked feed.PostID     // a post in 13, and one in 12 that Ada likes
	old           [2]feed.PostID  // posts that everybody may see, of two buckets of numbers
	newest        string          // cursor to the second page of 12, ten at a time
	ranked        string          // the same in the other order
	communities   string          // cursor to the second page of communities, ten at a time
}

func newWorld(t *testing.T, h house) (w world) {
	t.Helper()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	if err := feed.Seed(t.Context(), h.pool, feed.SeedSize{Users: 60, Communities: 30, Posts: 5000}, now, nil); err != nil {
		t.Fatal(err)
	}
	if err := products.Seed(t.Context(), h.pool, products.SeedSize{Products: 60}, now, nil); err != nil {
		t.Fatal(err)
	}
	find := func(to any, sql string) {
		if err := h.pool.QueryRow(t.Context(), sql).Scan(to); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	find(&w.owner, `SELECT owner_id FROM communities WHERE id = 13`)
	find(&w.hidden, `SELECT max(id) FROM posts WHERE community_id = 13 AND deleted_at IS NULL`)
	find(&w.liked, `SELECT max(id) FROM posts WHERE community_id = 12 AND deleted_at IS NULL AND locale = 'en'`)
	for i := range w.old {
		find(&w.old[i], fmt.Sprintf(`SELECT min(p.id) FROM posts p JOIN communities c ON c.id = p.community_id
			WHERE c.visibility = 'public' AND deleted_at IS NULL AND p.id >= %d`, 1000*i))
	}
	// Two readers who like and block more than is kept of one.
	for _, sql := range []string{
		`INSERT INTO users (id, name) SELECT n, 'Someone' FROM generate_series(1001, 3200) n`,
		fmt.Sprintf(`UPDATE posts SET author_id = 1500 WHERE id = %d`, w.old[1]),
		`INSERT INTO blocks (blocker_id, blocked_id) SELECT 43, n FROM generate_series(1001, 3200) n`,
		fmt.Sprintf(`INSERT INTO blocks (blocker_id, blocked_id) SELECT %d, n FROM generate_series(1002, 3200, 2) n`, w.owner),
		`INSERT INTO blocks (blocker_id, blocked_id) VALUES (43, 7) ON CONFLICT DO NOTHING`,
		`INSERT INTO likes (user_id, post_id) SELECT 43, id FROM posts WHERE id % 3 <> 0 ON CONFLICT DO NOTHING`,
		fmt.Sprintf(`INSERT INTO likes (user_id, post_id) SELECT %d, id FROM posts WHERE id %% 5 <> 0 ON CONFLICT DO NOTHING`, w.owner),
	} {
		if _, err := h.pool.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	// So that the reader, the language and the order of a page all show.
	for _, sql := range []string{
		`INSERT INTO post_translations VALUES ($1, 'de', 'Äpfel', 'Sie sind reif.'), ($1, 'fr', 'Pommes', 'Elles sont mûres.')
		 ON CONFLICT (post_id, locale) DO UPDATE SET title = excluded.title`,
		`INSERT INTO likes (user_id, post_id) VALUES (42, $1) ON CONFLICT DO NOTHING`,
		`UPDATE posts SET likes = 1000, created_at = (SELECT created_at - interval '1 minute' FROM posts WHERE id = $1)
		 WHERE id = (SELECT max(id) FROM posts WHERE community_id = 12 AND deleted_at IS NULL AND id < $1)`,
	} {
		if _, err := h.pool.Exec(t.Context(), sql, w.liked); err != nil {
			t.Fatal(err)
		}
	}
	next := func(path string, flag bool) string {
		var page struct{ Next string }
		rec := h.send(t, request{path: path, language: "en", flag: flag})
		if err := json.Unmarshal(rec.Body.Bytes(), &page); err != nil || page.Next == "" {
			t.Fatalf("%s has no next page: %s, %v", path, rec.Body, err)
		}
		return page.Next
	}
	w.newest, w.ranked = next("/api/communities/12/posts?limit=10", false), next("/api/communities/12/posts?limit=10", true)
	w.communities = next("/api/communities?limit=10", false)
	return w
}

// requests are every caller with every path of the feed, and some with those of the
// catalogue, which is the same for all.
func (w world) requests() (all []request) {
	var callers []request
	for _, user := range []identity.UserID{0, ada, other, w.owner} {
		for _, language := range []string{"en", "de", "fr"} {
			for _, flag := range []bool{false, true} {
				callers = append(callers, request{user: user, language: language, flag: flag})
			}
		}
	}
	callers = append(callers,
		request{language: "fr", disguised: true},
		request{user: ada, language: "de", flag: true, disguised: true})
	for _, path := range w.paths() {
		for i, caller := range callers {
			if strings.HasPrefix(path, "/api/products") && i%4 != 0 {
				continue
			}
			caller.path = path
			all = append(all, caller)
		}
	}
	return all
}

// paths has every cached route, with what there is, what is not for everybody, and
// what is nowhere.
func (w world) paths() []string {
	const list, page = "/api/communities", "/api/communities/12/posts"
	return []string{
		list, list + "?limit=10", list + "?limit=50", list + "?after=" + w.communities, list + "?after=" + w.communities + "&limit=10",
		list + "/12", list + "/13", list + "/99999",
		page, page + "?limit=10", page + "?limit=20", page + "?limit=100",
		page + "?after=" + w.newest, page + "?after=" + w.newest + "&limit=10", page + "?after=" + w.ranked,
		list + "/13/posts", list + "/99999/posts",
		"/api/posts/" + w.liked.String(), "/api/posts/" + w.hidden.String(), "/api/posts/99999",
		"/api/posts/" + w.old[0].String(), "/api/posts/" + w.old[1].String(),
		"/api/products", "/api/products?page=2", "/api/products?perPage=10", "/api/products?page=2&perPage=10",
		"/api/products?category=books", "/api/products?category=toys",
		"/api/products/1", "/api/products/2", "/api/products/99999",
	}
}

// A reason is why a dimension is in a key: two requests that differ in it alone get
// different values of a field, or the second gets nothing.
type reason struct {
	why, dimension string
	one, two       request
	field          string // none: the second is not found
}

func (r reason) status() int {
	if r.field == "" {
		return http.StatusNotFound
	}
	return http.StatusOK
}

// reasons are all that this service has: each way in which it shows two people, or
// one person twice, two different pages.
func (w world) reasons() []reason {
	as := func(user identity.UserID, language string, flag bool, path string) request {
		return request{path: path, user: user, language: language, flag: flag}
	}
	plain := func(path string) request { return as(0, "en", false, path) }
	const list, page = "/api/communities", "/api/communities/12/posts"
	liked, hidden := "/api/posts/"+w.liked.String(), "/api/posts/"+w.hidden.String()
	return []reason{
		{"a private community is listed to its members", "user", as(w.owner, "en", false, list+"?limit=50"), plain(list + "?limit=50"), "name"},
		{"a list says of what its reader is a member", "user", as(ada, "en", false, list+"?limit=10"), plain(list + "?limit=10"), "member"},
		{"a private community is there for its members", "user", as(w.owner, "en", false, list+"/13"), as(ada, "en", false, list+"/13"), ""},
		{"a community says whether its reader is a member", "user", as(ada, "en", false, list+"/12"), plain(list + "/12"), "member"},
		{"a private feed is there for its members", "user", as(w.owner, "en", false, list+"/13/posts"), plain(list + "/13/posts"), ""},
		{"a blocked author is left out", "user", plain(page + "?limit=100"), as(ada, "en", false, page+"?limit=100"), "id"},
		{"a page says what its reader likes", "user", as(other, "en", false, page+"?limit=100"), plain(page + "?limit=100"), "likedByMe"},
		{"a page is translated", "locale", as(ada, "de", false, page), as(ada, "fr", false, page), "title"},
		{"a page is translated for the original's readers", "locale", as(ada, "en", false, page), as(ada, "fr", false, page), "title"},
		{"the flag orders a page", "feed_v2", as(ada, "en", false, page+"?limit=10"), as(ada, "en", true, page+"?limit=10"), "id"},
		{"a post says whether its reader likes it", "user", as(ada, "en", false, liked), plain(liked), "likedByMe"},
		{"a post is translated", "locale", as(ada, "de", false, liked), as(ada, "fr", false, liked), "title"},
		{"a post in a private community is there for its members", "user", as(w.owner, "en", false, hidden), as(ada, "en", false, hidden), ""},
		{"a page has a length", "limit", plain(page + "?limit=10"), plain(page + "?limit=100"), "id"},
		{"a page has a next one", "after", plain(page), plain(page + "?after=" + w.newest), "id"},
		{"a list has a next page", "after", plain(list), plain(list + "?after=" + w.communities), "name"},
		{"products have categories", "category", plain("/api/products?category=books"), plain("/api/products?category=toys"), "name"},
		{"products have pages", "page", plain("/api/products"), plain("/api/products?page=2"), "name"},
		{"pages of products have a length", "perPage", plain("/api/products"), plain("/api/products?perPage=10"), "name"},
	}
}
