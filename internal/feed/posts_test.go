package feed

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/communityfeed/internal/identity"
)

func ptr[T any](v T) *T { return &v }

func TestOnlyAuthorAndAdminChangeAPost(t *testing.T) {
	w := newTown(t)
	owner, author, member, outsider, admin := w.user("Owner"), w.user("Author"), w.user("Member"), w.user("Outsider"), w.admin()

	for _, c := range []struct {
		visibility Visibility
		who        identity.Caller
		name       string
		want       int
	}{
		{Public, author, "author", http.StatusOK},
		{Public, admin, "admin", http.StatusOK},
		{Public, owner, "owner", http.StatusForbidden},
		{Public, member, "member", http.StatusForbidden},
		{Public, outsider, "outsider", http.StatusForbidden},
		{Private, author, "author", http.StatusOK},
		{Private, admin, "admin", http.StatusOK},
		{Private, owner, "owner", http.StatusForbidden},
		{Private, member, "member", http.StatusForbidden},
		{Private, outsider, "outsider", http.StatusNotFound},
	} {
		t.Run(string(c.visibility)+" "+c.name, func(t *testing.T) {
			id := w.community(c.visibility, owner, author, member)
			post := w.post(author, id, "Title")
			_, err := w.UpdatePost(t.Context(), c.who, post, TextEdit{Title: ptr("Edited")}, anyVersion)
			wantStatus(t, "update", err, c.want)
			_, err = w.Translate(t.Context(), c.who, post, "de", Text{Title: "Titel", Body: "Text"}, anyVersion)
			wantStatus(t, "translate", err, c.want)
			wantStatus(t, "delete", w.DeletePost(t.Context(), c.who, post, anyVersion), c.want)
		})
	}
}

func TestOnlyMembersPost(t *testing.T) {
	w := newTown(t)
	owner, member, outsider, admin := w.user("Owner"), w.user("Member"), w.user("Outsider"), w.admin()
	for _, c := range []struct {
		visibility Visibility
		who        identity.Caller
		name       string
		want       int
	}{
		{Public, owner, "owner", http.StatusOK},
		{Public, member, "member", http.StatusOK},
		{Public, outsider, "outsider", http.StatusForbidden},
		{Public, admin, "admin", http.StatusForbidden},
		{Private, member, "member", http.StatusOK},
		{Private, outsider, "outsider", http.StatusNotFound},
	} {
		id := w.community(c.visibility, owner, member)
		_, err := w.CreatePost(t.Context(), c.who, id, "en", Text{Title: "Title", Body: "Body"})
		wantStatus(t, string(c.visibility)+" "+c.name, err, c.want)
	}
	_, err := w.CreatePost(t.Context(), owner, 1<<40, "en", Text{Title: "Title", Body: "Body"})
	wantStatus(t, "a community that does not exist", err, http.StatusNotFound)
}

func TestPostIsReadInTheReadersLanguageElseTheOriginal(t *testing.T) {
	w := newTown(t)
	ada := w.user("Ada")
	id := w.community(Public, ada)
	post := w.post(ada, id, "Bread")
	if _, err := w.Translate(t.Context(), ada, post, "de", Text{Title: "Brot", Body: "Text"}, anyVersion); err != nil {
		t.Fatal(err)
	}
	// As if the locale had been supported once.
	w.exec(`INSERT INTO post_translations (post_id, locale, title, body) VALUES ($1, 'nl', 'Brood', 'Tekst')`, post)
	for locale, want := range map[string][2]string{"en": {"en", "Bread"}, "de": {"de", "Brot"}, "ja": {"en", "Bread"}} {
		single, err := read[SinglePost](w, in(identity.Caller{}, locale, false), fmt.Sprintf("/posts/%d", post))
		if err != nil {
			t.Fatal(err)
		}
		posts, _ := w.page(in(ada, locale, false), id, Newest, start, 10)
		for _, p := range append(posts, single.Post) {
			if got := [2]string{p.Locale, p.Title}; got != want {
				t.Errorf("in %s: %v, want %v", locale, got, want)
			}
		}
	}
	_, err := w.Translate(t.Context(), ada, post, "en", Text{Title: "Bread", Body: "Body"}, anyVersion)
	wantStatus(t, "translating into the original's language", err, http.StatusConflict)
}

func TestEditsCountVersionsAndRepeatsDoNot(t *testing.T) {
	w := newTown(t)
	ada := w.user("Ada")
	id := w.community(Public, ada)
	post := w.post(ada, id, "Bread")
	w.heard()

	edit := func(e TextEdit) func() (Edited, error) {
		return func() (Edited, error) { return w.UpdatePost(t.Context(), ada, post, e, anyVersion) }
	}
	translate := func(title string) func() (Edited, error) {
		return func() (Edited, error) {
			return w.Translate(t.Context(), ada, post, "de", Text{Title: title, Body: "Text"}, anyVersion)
		}
	}
	for _, step := range []struct {
		name    string
		do      func() (Edited, error)
		title   string
		version int64
		changed bool
	}{
		{"new title", edit(TextEdit{Title: ptr("Rye")}), "Rye", 2, true},
		{"the same title", edit(TextEdit{Title: ptr("Rye")}), "Rye", 2, false},
		{"nothing", edit(TextEdit{}), "Rye", 2, false},
		{"new body", edit(TextEdit{Body: ptr("Longer")}), "Rye", 3, true},
		{"first translation", translate("Roggen"), "Roggen", 4, true},
		{"the same translation", translate("Roggen"), "Roggen", 4, false},
		{"better translation", translate("Roggenbrot"), "Roggenbrot", 5, true},
	} {
		p, err := step.do()
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if p.Title != step.title || p.Version != step.version {
			t.Errorf("%s: %q version %d, want %q version %d", step.name, p.Title, p.Version, step.title, step.version)
		}
		var want []any
		if step.changed {
			want = []any{PostUpdated{Community: id, Post: post, Version: step.version}}
		}
		if diff := cmp.Diff(want, w.heard()); diff != "" {
			t.Errorf("%s emits (-want +got):\n%s", step.name, diff)
		}
	}
}

func TestDeletedPostIsGoneForEverybodyAndItsRowStays(t *testing.T) {
	w := newTown(t)
	ada, admin := w.user("Ada"), w.admin()
	id := w.community(Public, ada)
	post := w.post(ada, id, "Bread")
	w.heard()
	if err := w.DeletePost(t.Context(), ada, post, anyVersion); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{PostDeleted{Community: id, Post: post}}, w.heard()); diff != "" {
		t.Errorf("emitted (-want +got):\n%s", diff)
	}
	for _, order := range []Order{Newest, Ranked} {
		if posts, _ := w.page(ada, id, order, start, 10); len(posts) != 0 {
			t.Errorf("a page in the order %s still shows %v", order, titles(posts))
		}
	}
	_, err := read[SinglePost](w, ada, fmt.Sprintf("/posts/%d", post))
	wantStatus(t, "read", err, http.StatusNotFound)
	_, err = w.UpdatePost(t.Context(), admin, post, TextEdit{Title: ptr("Back")}, anyVersion)
	wantStatus(t, "update", err, http.StatusNotFound)
	wantStatus(t, "delete again", w.DeletePost(t.Context(), ada, post, anyVersion), http.StatusNotFound)
	wantStatus(t, "like", w.like(ada, post), http.StatusNotFound)
	if n := w.count(`SELECT count(*) FROM posts WHERE id = $1`, post); n != 1 {
		t.Errorf("the post has %d rows, want 1", n)
	}
}

func TestFieldsThatAreNotValidAreAllNamed(t *testing.T) {
	for _, c := range []struct {
		name string
		in   interface{ validate() error }
		want []string
	}{
		{"empty post", newPost{}, []string{"title", "body", "locale"}},
		{"blank text", Text{Title: " \n", Body: "\t"}, []string{"title", "body"}},
		{"long text", Text{Title: strings.Repeat("ä", 201), Body: strings.Repeat("ä", 10_001)}, []string{"title", "body"}},
		{"longest text", Text{Title: strings.Repeat("ä", 200), Body: strings.Repeat("ä", 10_000)}, nil},
		{"NUL", Text{Title: "a\x00b", Body: "a\x00b"}, []string{"title", "body"}},
		{"edit of nothing", TextEdit{}, nil},
		{"edit to nothing", TextEdit{Body: ptr("")}, []string{"body"}},
		{"locale by another spelling", newPost{Text{"Title", "Body"}, "pt-br"}, []string{"locale"}},
		{"community", newCommunity{Visibility: "secret"}, []string{"name", "visibility"}},
	} {
		if diff := cmp.Diff(c.want, fieldsOf(c.in.validate())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// The limits in the code and in the schema are the same: what validation lets
// through, the database takes.
func TestLongestTextsAreStored(t *testing.T) {
	w := newTown(t)
	ada := w.user("Ada")
	c, err := w.CreateCommunity(t.Context(), ada, strings.Repeat("語", maxName), Public)
	if err != nil {
		t.Fatal(err)
	}
	text := Text{Title: strings.Repeat("語", maxTitle), Body: strings.Repeat("語", maxBody)}
	p, err := w.CreatePost(t.Context(), ada, c.ID, "ja", text)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Translate(t.Context(), ada, p.ID, "de", text, anyVersion); err != nil {
		t.Fatal(err)
	}
}
