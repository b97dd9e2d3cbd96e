package feed

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cachehttp"
	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/problem"
)

func TestFeedPageReadsAsDocumented(t *testing.T) {
	s := newSite(t)
	ada, bob := s.user("Ada"), s.user("Bob")
	id := s.community(Public, ada, bob)
	post := s.post(ada, id, "Bread")
	if _, err := s.Translate(t.Context(), ada, post, "de", Text{"Brot", "Text"}, anyVersion); err != nil {
		t.Fatal(err)
	}
	if err := s.like(bob, post); err != nil {
		t.Fatal(err)
	}
	s.exec(`UPDATE posts SET created_at = '2026-11-21 10:14:00+00'`)

	path := fmt.Sprintf("/communities/%d/posts", id)
	for _, c := range []struct {
		who  identity.Caller
		want string
	}{
		{in(bob, "de", true), `{"viewer":2,"community":1,"locale":"de","order":"ranked",` +
			`"items":[{"id":1,"title":"Brot","body":"Text","locale":"de","author":{"id":1,"name":"Ada"},` +
			`"likes":1,"likedByMe":true,"createdAt":"2026-11-21T10:14:00Z","version":2}],"next":null}`},
		{in(identity.Caller{}, "ja", false), `{"viewer":null,"community":1,"locale":"ja","order":"newest",` +
			`"items":[{"id":1,"title":"Bread","body":"Body of Bread","locale":"en","author":{"id":1,"name":"Ada"},` +
			`"likes":1,"likedByMe":false,"createdAt":"2026-11-21T10:14:00Z","version":2}],"next":null}`},
	} {
		got := strings.TrimSpace(s.do(c.who, http.MethodGet, path, "").Body.String())
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("page (-want +got):\n%s", diff)
		}
	}
}

func TestSharedPartOfAPageIsLoadedOnceForAllReadersOfAnOrder(t *testing.T) {
	s := newSite(t)
	ada := s.user("Ada")
	id := s.community(Public, ada)
	s.post(ada, id, "Bread")
	path := fmt.Sprintf("/communities/%d/posts", id)

	get[feedBody](s, ada, path)
	// Behind the cache's back: whoever sees it has asked the database.
	s.exec(`UPDATE posts SET title = 'Changed'`)
	locales := identity.SupportedLocales()
	for n := range 20 {
		reader := in(s.user("Reader"), locales[n%len(locales)], false)
		if got := get[feedBody](s, reader, path); *got.Viewer != reader.User() || got.Items[0].Title != "Bread" {
			t.Fatalf("reader %d: page of user %d with %q", n, *got.Viewer, got.Items[0].Title)
		}
	}
	if got := get[feedBody](s, in(ada, "en", true), path); got.Items[0].Title != "Changed" {
		t.Errorf("the other order shows %q, which was loaded for the first", got.Items[0].Title)
	}
}

// Whatever is written, the next read in each language shows it, or the original where
// there is no translation, and all of them together cost one load of what they share.
func TestPageShowsTranslationOrOriginalInEveryLanguageForOneLoad(t *testing.T) {
	s := newSite(t)
	ada := s.user("Ada")
	id := s.community(Public, ada)
	post := s.post(ada, id, "Bread")
	path := fmt.Sprintf("/communities/%d/posts", id)
	translate := func(locale, title string) func() error {
		return func() error {
			_, err := s.Translate(t.Context(), ada, post, locale, Text{title, "Text"}, anyVersion)
			return err
		}
	}
	for _, step := range []struct {
		what       string
		write      func() error
		en, de, fr string // the title, and the locale that it is in
	}{
		{"as it was written", func() error { return nil }, "Bread en", "Bread en", "Bread en"},
		{"translated into German", translate("de", "Brot"), "Bread en", "Brot de", "Bread en"},
		{"and into French", translate("fr", "Pain"), "Bread en", "Brot de", "Pain fr"},
		{"with a better translation", translate("de", "Roggenbrot"), "Bread en", "Roggenbrot de", "Pain fr"},
		{"edited", func() error {
			_, err := s.UpdatePost(t.Context(), ada, post, TextEdit{Title: ptr("Rye")}, anyVersion)
			return err
		}, "Rye en", "Roggenbrot de", "Pain fr"},
	} {
		if err := step.write(); err != nil {
			t.Fatal(err)
		}
		before := s.cache.Stats().Keys["feed.shared/4"].Loads
		for _, c := range []struct{ locale, want string }{{"en", step.en}, {"de", step.de}, {"fr", step.fr}} {
			body := get[feedBody](s, in(ada, c.locale, false), path)
			if got := body.Items[0].Title + " " + body.Items[0].Locale; got != c.want || body.Locale != c.locale {
				t.Errorf("%s, in %s: %q on a page in %s, want %q", step.what, c.locale, got, body.Locale, c.want)
			}
		}
		if loads := s.cache.Stats().Keys["feed.shared/4"].Loads - before; loads != 1 {
			t.Errorf("%s: three languages cost %d loads of what they share, want 1", step.what, loads)
		}
	}
}

func TestFeedPagesAreWalkedByTheirCursors(t *testing.T) {
	s := newSite(t)
	ada := s.user("Ada")
	id := s.community(Public, ada)
	want := numbered("Post", 25)
	for _, title := range want {
		s.post(ada, id, title)
	}
	// Alike but for their age, the posts come in the same order either way.
	slices.Reverse(want)
	for _, who := range []identity.Caller{in(ada, "en", false), in(ada, "en", true)} {
		var got []string
		for next := ptr(""); next != nil; {
			body := get[feedBody](s, who, fmt.Sprintf("/communities/%d/posts?limit=10&after=%s", id, *next))
			got, next = append(got, titles(body.Items)...), body.Next
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("posts over all pages (-want +got):\n%s", diff)
		}
	}
}

func TestCursorsOfAnotherListAreRefusedByName(t *testing.T) {
	s := newSite(t)
	ada := s.user("Ada")
	id := s.community(Public, ada)
	for _, title := range numbered("Post", 11) {
		s.post(ada, id, title)
		s.community(Public, ada)
	}
	path := fmt.Sprintf("/communities/%d/posts", id)
	newest := *get[feedBody](s, ada, path+"?limit=10").Next
	ranked := *get[feedBody](s, in(ada, "en", true), path+"?limit=10").Next
	list := *get[listBody](s, ada, "/communities?limit=10").Next

	for name, c := range map[string]struct {
		who  identity.Caller
		path string
	}{
		"a ranked cursor for newest":       {ada, path + "?after=" + ranked},
		"a newest cursor for ranked":       {in(ada, "en", true), path + "?after=" + newest},
		"the list's cursor for the feed":   {ada, path + "?after=" + list},
		"the feed's cursor for the list":   {ada, "/communities?after=" + newest},
		"one that was not sealed here":     {ada, path + "?after=" + cachehttp.NewCursors("other").Seal("newest,1,1")},
		"no cursor at all":                 {ada, path + "?after=garbage"},
		"what was sealed, but not written": {ada, path + "?after=" + s.cursors.Seal("newest")},
	} {
		rec := s.do(c.who, http.MethodGet, c.path, "")
		var p problem.Problem
		if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"after"}, fieldsOf(&p)); rec.Code != http.StatusBadRequest || diff != "" {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
}

// After a write has answered, the writer's next read shows it, whatever was cached.
func TestWritesAreSeenByTheNextRead(t *testing.T) {
	s := newSite(t)
	ada, bob, eve := s.user("Ada"), s.user("Bob"), s.user("Eve")
	send := func(who identity.Caller, want int, method, path, body string) *httptest.ResponseRecorder {
		t.Helper()
		rec := s.do(who, method, path, body)
		if rec.Code != want {
			t.Fatalf("%s %s: %d %s, want %d", method, path, rec.Code, rec.Body, want)
		}
		return rec
	}
	sees := func(who identity.Caller, path string, want ...string) {
		t.Helper()
		want = append([]string{}, want...)
		for range 2 { // loaded, then from the cache
			if diff := cmp.Diff(want, titles(get[feedBody](s, who, path).Items)); diff != "" {
				t.Errorf("user %s on %s sees (-want +got):\n%s", who.User(), path, diff)
			}
		}
	}

	// A community that was looked for before it began is found when it has begun.
	send(ada, 404, "GET", "/communities/1", "")
	rec := send(ada, 201, "POST", "/communities", `{"name":"Bakers","visibility":"private"}`)
	if got := rec.Header().Get("Location"); got != "/api/communities/1" {
		t.Errorf("Location of the community is %q", got)
	}
	send(ada, 200, "GET", "/communities/1", "")

	const page = "/communities/1/posts"
	sees(ada, page)
	rec = send(ada, 201, "POST", page, `{"title":"Bread","body":"Body"}`)
	if got := rec.Header().Get("Location"); got != "/api/posts/1" {
		t.Errorf("Location of the post is %q", got)
	}
	sees(ada, page, "Bread")

	send(bob, 404, "GET", page, "")
	send(ada, 204, "PUT", "/communities/1/members/2", "")
	sees(bob, page, "Bread")
	send(bob, 201, "POST", page, `{"title":"Rye","body":"Body","locale":"de"}`)
	sees(ada, page, "Rye", "Bread")

	send(ada, 200, "PATCH", "/posts/1", `{"title":"Sourdough"}`)
	sees(bob, page, "Rye", "Sourdough")
	send(ada, 200, "PUT", "/posts/1/translations/de", `{"title":"Sauerteig","body":"Text"}`)
	sees(in(bob, "de", false), page, "Rye", "Sauerteig")

	if p := get[SinglePost](s, bob, "/posts/1"); p.LikedByMe || p.Community != 1 {
		t.Errorf("before the like: %+v", p)
	}
	send(bob, 204, "PUT", "/posts/1/like", "")
	if p := get[SinglePost](s, bob, "/posts/1"); !p.LikedByMe {
		t.Errorf("after the like: %+v", p)
	}
	send(bob, 204, "DELETE", "/posts/1/like", "")
	if p := get[SinglePost](s, bob, "/posts/1"); p.LikedByMe {
		t.Errorf("after the like was taken back: %+v", p)
	}

	send(bob, 204, "PUT", "/blocks/1", "")
	sees(bob, page, "Rye")
	send(bob, 204, "DELETE", "/blocks/1", "")
	sees(bob, page, "Rye", "Sourdough")

	send(ada, 204, "DELETE", "/posts/1", "")
	sees(bob, page, "Rye")
	send(bob, 404, "GET", "/posts/1", "")

	send(ada, 204, "DELETE", "/communities/1/members/2", "")
	send(bob, 404, "GET", page, "")
	send(bob, 404, "GET", "/posts/2", "")
	send(bob, 404, "GET", "/communities/1", "")

	send(ada, 201, "POST", "/communities", `{"name":"Readers"}`)
	send(eve, 204, "PUT", "/communities/2/members/me", "")
	if c := get[Community](s, eve, "/communities/2"); !c.Member || c.Visibility != Public {
		t.Errorf("after joining: %+v", c)
	}
	send(eve, 204, "DELETE", "/communities/2/members/me", "")
	if c := get[Community](s, eve, "/communities/2"); c.Member {
		t.Errorf("after leaving: %+v", c)
	}
	send(ada, 409, "DELETE", "/communities/2/members/me", "")
}

func TestRequestsThatAreRefused(t *testing.T) {
	s := newSite(t)
	ada := s.user("Ada")
	s.community(Public, ada)
	s.post(ada, 1, "Bread")

	for _, c := range []struct {
		name, method, path, body string
		who                      identity.Caller
		want                     int
		fields                   []string
	}{
		{"no token", "POST", "/communities", `{"name":"Bakers"}`, identity.Caller{}, 401, nil},
		{"no token, nothing there", "DELETE", "/posts/99", ``, identity.Caller{}, 401, nil},
		{"empty community", "POST", "/communities", `{"visibility":"secret"}`, ada, 400, []string{"name", "visibility"}},
		{"empty post", "POST", "/communities/1/posts", `{}`, ada, 400, []string{"title", "body"}},
		{"unknown locale", "POST", "/communities/1/posts", `{"title":"T","body":"B","locale":"xx"}`, ada, 400, []string{"locale"}},
		{"unknown field", "POST", "/communities/1/posts", `{"title":"T","body":"B","likes":5}`, ada, 400, nil},
		{"edit to nothing", "PATCH", "/posts/1", `{"title":""}`, ada, 400, []string{"title"}},
		{"unknown language", "PUT", "/posts/1/translations/xx", `{"title":"T","body":"B"}`, ada, 400, []string{"locale"}},
		{"other spelling of a language", "PUT", "/posts/1/translations/pt-br", `{"title":"T","body":"B"}`, ada, 400, []string{"locale"}},
		{"id with a zero", "GET", "/posts/01", ``, ada, 400, []string{"id"}},
		{"id of a write", "PUT", "/posts/0/like", ``, ada, 400, []string{"id"}},
		{"escaped id", "PUT", "/posts/%31/like", ``, ada, 400, []string{"id"}},
		{"id too large", "DELETE", "/posts/9223372036854775808", ``, ada, 400, []string{"id"}},
		{"user that is no number", "PUT", "/communities/1/members/ada", ``, ada, 400, []string{"userID"}},
		{"limit of one's own", "GET", "/communities/1/posts?limit=21", ``, ada, 400, []string{"limit"}},
		{"everything in the query", "GET", "/communities?limit=0&after=x", ``, ada, 400, []string{"after", "limit"}},
		{"block oneself", "PUT", "/blocks/1", ``, ada, 400, nil},
		{"block nobody", "PUT", "/blocks/99", ``, ada, 404, nil},
		{"no community", "GET", "/communities/99/posts", ``, ada, 404, nil},
		{"no post", "GET", "/posts/99", ``, ada, 404, nil},
	} {
		rec := s.do(c.who, c.method, c.path, c.body)
		if rec.Code != c.want {
			t.Errorf("%s: %d %s, want %d", c.name, rec.Code, rec.Body, c.want)
			continue
		}
		var p problem.Problem
		if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff(c.fields, fieldsOf(&p)); diff != "" {
			t.Errorf("%s names (-want +got):\n%s", c.name, diff)
		}
	}
}

// What each event moves, word for word.
func TestEveryEventMovesWhatItMakesStale(t *testing.T) {
	for _, c := range []struct {
		event any
		want  cache.Invalidation
	}{
		{CommunityCreated{12, 7, Public}, cache.Changed("communities", "about:12", "community:12", "member:12:7", "members:7")},
		{MemberJoined{12, 42}, cache.Changed("member:12:42", "members:42")},
		{MemberLeft{12, 42}, cache.Revoked("member:12:42", "members:42")},
		{PostCreated{12, 991, 7}, cache.Changed("community:12", "post:991")},
		{PostUpdated{12, 991, 2}, cache.Changed("community:12", "post:991")},
		{PostDeleted{12, 991}, cache.Revoked("community:12", "post:991")},
		{PostLiked{991, 42}, cache.Changed("reader:42")},
		{PostUnliked{991, 42}, cache.Changed("reader:42")},
		{UserBlocked{42, 7}, cache.Revoked("reader:42")},
		{UserUnblocked{42, 7}, cache.Changed("reader:42")},
	} {
		got, known := Invalidations.Of(c.event)
		if diff := cmp.Diff(c.want, got); !known || diff != "" {
			t.Errorf("%T (-want +got):\n%s", c.event, diff)
		}
		row, err := json.Marshal(c.event)
		if err != nil {
			t.Fatal(err)
		}
		read := reflect.New(reflect.TypeOf(c.event))
		if err := json.Unmarshal(row, read.Interface()); err != nil || read.Elem().Interface() != c.event {
			t.Errorf("%T comes back from its row as %+v, %v", c.event, read.Elem(), err)
		}
	}
	if len(Invalidations) != len(Events) {
		t.Errorf("%d events, %d rules", len(Events), len(Invalidations))
	}
}
