package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/testenv"
)

const tokenLife = time.Hour

// Of the demo data in every size: user 42 is in community 12, which everybody may
// read, and not in 13, which is private.
const (
	openPosts    = "/api/communities/12/posts"
	privatePosts = "/api/communities/13/posts"
)

// seeded returns the arguments of a program on a database with demo data, and the
// URL of that database.
func seeded(t testing.TB) (args []string, databaseURL string) {
	databaseURL = testenv.Database(t)
	return []string{
		"--database-url=" + databaseURL, "--seed=small",
		"--redis-url=" + testenv.Redis(t), "--redis-prefix=" + testenv.Prefix(t),
		// What is too slow for Redis is loaded without it, and who waits too long for
		// a connection is answered 503. That is right in a busy service, and would be
		// chance in a test on a busy machine.
		"--redis-budget=3s", "--read-wait=30s", "--statement-timeout=30s",
	}, databaseURL
}

func TestAPageIsReadThenCachedThenNotModified(t *testing.T) {
	t.Parallel()
	args, _ := seeded(t)
	p := serve(t, args...)
	who := caller{user: 42, locale: "de"}

	first := p.get(t, who, openPosts)
	second := p.get(t, who, openPosts)
	if first.cache() != "MISS" || second.cache() != "HIT" || first.body != second.body {
		t.Errorf("X-Cache is %q, then %q; the bodies are equal: %v", first.cache(), second.cache(), first.body == second.body)
	}
	etag := first.header.Get("ETag")
	third := p.get(t, who, openPosts, "If-None-Match", etag)
	if third.status != http.StatusNotModified || third.body != "" || third.header.Get("ETag") != etag {
		t.Errorf("with If-None-Match %s: status %d, ETag %s, body %q", etag, third.status, third.header.Get("ETag"), third.body)
	}
	if ready := p.get(t, caller{}, "/readyz"); ready.status != http.StatusOK {
		t.Errorf("/readyz: status %d: %s", ready.status, ready.body)
	}
}

func TestNobodyGetsAPageThatWasMadeForSomebodyElse(t *testing.T) {
	t.Parallel()
	args, _ := seeded(t)
	p := serve(t, args...)
	// Two rounds: each page as it is composed, and as it is kept.
	seen := map[string]caller{}
	for round, kept := range []bool{false, true} {
		for _, user := range []identity.UserID{0, 42, 44} {
			for _, locale := range []string{"en", "ja"} {
				for _, feedV2 := range []bool{false, true} {
					who := caller{user: user, locale: locale, feedV2: feedV2}
					a := p.get(t, who, openPosts)
					checkMadeFor(t, who, a.page(t))
					if status := a.header.Get("Cache-Status"); strings.HasSuffix(status, "detail=l1") != kept {
						t.Errorf("round %d, %+v: Cache-Status is %q", round, who, status)
					}
					if other, known := seen[a.body]; known && other != who {
						t.Errorf("%+v and %+v got the same body", who, other)
					}
					seen[a.body] = who
				}
			}
		}
	}
}

func checkMadeFor(t *testing.T, who caller, page feedPage) {
	t.Helper()
	viewer := identity.UserID(0)
	if page.Viewer != nil {
		viewer = *page.Viewer
	}
	order := "newest"
	if who.feedV2 {
		order = "ranked"
	}
	if viewer != who.user || page.Locale != who.locale || page.Order != order || len(page.Items) == 0 {
		t.Errorf("%+v got the page of viewer %d, locale %q, order %q, with %d posts",
			who, viewer, page.Locale, page.Order, len(page.Items))
	}
}

func TestAPostShowsOnceMadeAndNeverOnceDeleted(t *testing.T) {
	t.Parallel()
	args, _ := seeded(t)
	p := serve(t, args...)
	author, reader := caller{user: 42}, caller{user: 44, locale: "fr"}
	for i := range 5 {
		p.get(t, author, openPosts) // so that there is something to be wrong
		p.get(t, reader, openPosts)

		title := fmt.Sprintf("Post number %d of this test", i)
		var post struct{ ID int64 }
		made := p.want(t, http.StatusCreated, author, http.MethodPost, openPosts, `{"title":"`+title+`","body":"…"}`)
		if err := json.Unmarshal([]byte(made.body), &post); err != nil {
			t.Fatal(err)
		}
		for _, who := range []caller{author, reader} {
			if page := p.get(t, who, openPosts).page(t); !strings.Contains(page.titles(), title) {
				t.Fatalf("user %d does not see the post that was answered 201", who.user)
			}
		}

		own := fmt.Sprintf("/api/posts/%d", post.ID)
		p.want(t, http.StatusOK, reader, http.MethodGet, own, "")
		p.want(t, http.StatusNoContent, author, http.MethodDelete, own, "")
		p.want(t, http.StatusNotFound, reader, http.MethodGet, own, "")
		for _, who := range []caller{author, reader} {
			if page := p.get(t, who, openPosts).page(t); strings.Contains(page.titles(), title) {
				t.Fatalf("user %d sees the post whose deletion was answered 204", who.user)
			}
		}
	}
}

func TestAMemberWhoIsPutOutGets404AtOnce(t *testing.T) {
	t.Parallel()
	args, databaseURL := seeded(t)
	p := serve(t, args...)
	owner := caller{user: identity.UserID(queryInt(t, databaseURL, `SELECT owner_id FROM communities WHERE id = 13`))}
	member, membership := caller{user: 42}, "/api/communities/13/members/42"

	for range 3 {
		p.want(t, http.StatusNotFound, member, http.MethodGet, privatePosts, "")
		p.want(t, http.StatusNoContent, owner, http.MethodPut, membership, "")
		p.want(t, http.StatusOK, member, http.MethodGet, privatePosts, "")
		if a := p.get(t, member, privatePosts); a.cache() != "HIT" {
			t.Errorf("X-Cache is %q: nothing was there to be withdrawn", a.cache())
		}
		p.want(t, http.StatusNoContent, owner, http.MethodDelete, membership, "")
	}
	p.want(t, http.StatusNotFound, member, http.MethodGet, privatePosts, "")
	p.want(t, http.StatusNotFound, caller{}, http.MethodGet, privatePosts, "")
}
