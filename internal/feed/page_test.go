package feed

import (
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/identity"
)

// The posts come in three groups of equal scores, so that most pages begin and end
// between posts that only their numbers tell apart.
func TestPagesNeitherSkipNorRepeat(t *testing.T) {
	w := newTown(t)
	ada := w.user("Ada")
	id := w.community(Public, ada)
	w.exec(`
		INSERT INTO posts (community_id, author_id, locale, title, body, likes, created_at)
		SELECT $1, $2, 'en', 'Post ' || n, 'Body', CASE n % 3 WHEN 0 THEN 0 WHEN 1 THEN 7 ELSE 1000 END, '2021-11-01'
		FROM generate_series(1, 77) n`, id, ada.User())
	w.exec(`UPDATE posts SET deleted_at = now() WHERE id % 11 = 0`)

	for order, by := range map[Order]string{Newest: `created_at DESC, id DESC`, Ranked: `hot DESC, id DESC`} {
		t.Run(string(order), func(t *testing.T) {
			var want, got []PostID
			rows, err := w.pool.Query(t.Context(), `SELECT id FROM posts WHERE deleted_at IS NULL ORDER BY `+by)
			if err != nil {
				t.Fatal(err)
			}
			for rows.Next() {
				var id PostID
				if err := rows.Scan(&id); err != nil {
					t.Fatal(err)
				}
				want = append(want, id)
			}
			at := start
			for {
				posts, next := w.page(ada, id, order, at, 10)
				for _, p := range posts {
					got = append(got, p.ID)
				}
				if next == "" {
					break
				}
				if len(posts) != 10 {
					t.Errorf("a page that is not the last has %d posts, want 10", len(posts))
				}
				// What is posted meanwhile comes before every page that was read.
				w.post(ada, id, "Meanwhile")
				if at, err = parsePosition(order, next); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("posts over all pages (-want +got):\n%s", diff)
			}
			w.exec(`DELETE FROM posts WHERE title = 'Meanwhile'`)
		})
	}
}

func TestLastPageHasNoNext(t *testing.T) {
	w := newTown(t)
	ada := w.user("Ada")
	id := w.community(Public, ada)
	for _, title := range numbered("Post", 10) {
		w.post(ada, id, title)
	}
	if posts, next := w.page(ada, id, Newest, start, 10); len(posts) != 10 || next != "" {
		t.Errorf("a full last page: %d posts, next %q; want 10 and none", len(posts), next)
	}
}

func TestRankedOrderWeighsLikesAgainstAge(t *testing.T) {
	w := newTown(t)
	ada := w.user("Ada")
	id := w.community(Public, ada)
	for title, row := range map[string]struct {
		likes int
		age   string
	}{
		"fresh":            {0, "0 hours"},
		"liked yesterday":  {1000, "24 hours"},
		"plain yesterday":  {1, "24 hours"},
		"liked last month": {100_000, "30 days"},
	} {
		w.exec(`
			INSERT INTO posts (community_id, author_id, locale, title, body, likes, created_at)
			VALUES ($1, $2, 'en', $3, 'Body', $4, timestamptz '2026-11-21 12:00:00+00' - $5::text::interval)`,
			id, ada.User(), title, row.likes, row.age)
	}
	posts, _ := w.page(ada, id, Ranked, start, 10)
	want := []string{"liked yesterday", "fresh", "plain yesterday", "liked last month"}
	if diff := cmp.Diff(want, titles(posts)); diff != "" {
		t.Errorf("ranked order (-want +got):\n%s", diff)
	}
}

func TestPageLeavesOutBlockedAuthorsForTheBlockerAlone(t *testing.T) {
	w := newTown(t)
	ada, bob, eve := w.user("Ada"), w.user("Bob"), w.user("Eve")
	id := w.community(Public, ada, bob, eve)
	w.post(ada, id, "from Ada")
	w.post(eve, id, "from Eve")
	w.post(bob, id, "from Bob")
	if err := w.Block(t.Context(), bob, eve.User()); err != nil {
		t.Fatal(err)
	}
	for who, want := range map[identity.Caller][]string{
		{}:  {"from Bob", "from Eve", "from Ada"},
		ada: {"from Bob", "from Eve", "from Ada"},
		bob: {"from Bob", "from Ada"},
		eve: {"from Bob", "from Eve", "from Ada"},
	} {
		posts, _ := w.page(who, id, Newest, start, 10)
		if diff := cmp.Diff(want, titles(posts)); diff != "" {
			t.Errorf("user %s sees (-want +got):\n%s", who.User(), diff)
		}
	}
}

// One after the other from the same page, as readers of several languages have it.
func TestShowingLeavesTheSharedPostsAlone(t *testing.T) {
	page := func() SharedPage {
		return SharedPage{Posts: []SharedPost{
			{ID: 3, Text: Text{"Bread", "Body"}, Locale: "en", Author: Person{ID: 7},
				Translations: map[string]Text{"de": {"Brot", "Text"}, "fr": {"Pain", "Texte"}}},
			{ID: 2, Text: Text{"Cake", "Body"}, Locale: "en", Author: Person{ID: 8}},
			{ID: 1, Text: Text{"Roggen", "Text"}, Locale: "de", Author: Person{ID: 7}},
		}}
	}
	shared := page()
	rye := Post{ID: 1, Title: "Roggen", Body: "Text", Locale: "de", Author: Person{ID: 7}, LikedByMe: true}
	for _, c := range []struct{ asked, title, body, locale string }{
		{"de", "Brot", "Text", "de"},
		{"en", "Bread", "Body", "en"},
		{"fr", "Pain", "Texte", "fr"},
		{"ja", "Bread", "Body", "en"},
		{"de", "Brot", "Text", "de"},
	} {
		own := personalView{likes: []PostID{1}, blocks: []identity.UserID{8}}
		got := own.shows(shared.Posts, c.asked)
		want := []Post{{ID: 3, Title: c.title, Body: c.body, Locale: c.locale, Author: Person{ID: 7}}, rye}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("composed in %s (-want +got):\n%s", c.asked, diff)
		}
		if diff := cmp.Diff(page(), shared); diff != "" {
			t.Fatalf("composing in %s wrote into what is shared (-before +after):\n%s", c.asked, diff)
		}
	}
}

// There is one for each page of every community, so it has what pages show and no more.
func TestSharedPartIsStoredWithoutWhatNobodyNeeds(t *testing.T) {
	w := newTown(t)
	ada := w.user("Ada")
	id := w.community(Public, ada)
	w.post(ada, id, "Bread")
	if _, err := w.Translate(t.Context(), ada, w.post(ada, id, "Cake"), "de", Text{"Kuchen", "Text"}, anyVersion); err != nil {
		t.Fatal(err)
	}
	w.exec(`UPDATE posts SET created_at = '2026-11-21 10:14:00+00'`)
	page, err := w.Shared(t.Context(), id, Newest, start, 10)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := cache.JSON[SharedPage]{}.Encode(page)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"posts":[` +
		`{"id":2,"title":"Cake","body":"Body of Cake","locale":"en","translations":{"de":{"title":"Kuchen","body":"Text"}},` +
		`"author":{"id":1,"name":"Ada"},"likes":0,"likesSeq":0,"createdAt":"2026-11-21T10:14:00Z","version":2},` +
		`{"id":1,"title":"Bread","body":"Body of Bread","locale":"en",` +
		`"author":{"id":1,"name":"Ada"},"likes":0,"likesSeq":0,"createdAt":"2026-11-21T10:14:00Z","version":1}],"next":""}`
	if diff := cmp.Diff(want, string(stored)); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	read, err := cache.JSON[SharedPage]{}.Decode(stored)
	if diff := cmp.Diff(page, read); err != nil || diff != "" {
		t.Errorf("comes back (-want +got), %v:\n%s", err, diff)
	}
}

func TestPositionsSurviveTheirText(t *testing.T) {
	for _, hot := range []float64{0, -4827.333333333333, 4827.1000000000004, math.Nextafter(4827.1, 5000), 1e-300, math.MaxFloat64} {
		for _, order := range []Order{Newest, Ranked} {
			p := position{hot: hot, id: 991}
			if order == Newest {
				p = position{created: time.Date(2026, 11, 21, 10, 14, 0, 123_456_000, time.UTC), id: 991}
			}
			got, err := parsePosition(order, p.text(order))
			if err != nil || got != p {
				t.Errorf("%s %v comes back as %v, %v", order, p, got, err)
			}
		}
	}
}

func TestPositionsOfAnotherListAreRefused(t *testing.T) {
	ranked, newest := position{hot: 4827.1, id: 991}.text(Ranked), position{created: time.Now(), id: 991}.text(Newest)
	for _, c := range []struct {
		order Order
		text  string
	}{
		{Newest, ranked}, {Ranked, newest}, {Newest, listPrefix + "12"}, {Ranked, listPrefix + "12"},
		{Newest, "newest,1"}, {Newest, "newest,1.5,2"}, {Newest, "newest,1,x"}, {Ranked, "ranked,1"}, {Ranked, "ranked,x,1"}, {Newest, "x"},
	} {
		if _, err := parsePosition(c.order, c.text); status(err) != http.StatusBadRequest {
			t.Errorf("%q in the order %s: %v, want a 400", c.text, c.order, err)
		}
	}
}
