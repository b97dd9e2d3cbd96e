package feed

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.com/communityfeed/internal/identity"
)

// What is kept of a reader tells the truth or nothing, however much there is of them.
func TestNumbersTellTheTruthOrNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const most, largest = 4, 20
		all := rapid.SliceOfNDistinct(rapid.Int64Range(1, largest), 0, 3*most, rapid.ID[int64]).Draw(t, "all")
		slices.Sort(all)
		slices.Reverse(all)
		kept := newNumbers(all[:min(len(all), most+1)], most) // as the query is limited
		if len(kept.IDs) > most {
			t.Fatalf("keeps %d", len(kept.IDs))
		}
		for id := range int64(largest + 2) {
			yes, known := kept.has(id)
			if known && yes != slices.Contains(all, id) {
				t.Fatalf("%d: %t, which is wrong", id, yes)
			}
			if below := len(all) > most && id < all[most-1]; known == below {
				t.Fatalf("%d: known is %t, below what is kept is %t", id, known, below)
			}
		}
	})
}

// And it still does when it is changed along with what the database has, and leaves alone
// what it is made of.
func TestNumbersTellTheTruthOrNothingAsTheyChange(t *testing.T) {
	descending := func(ids []int64) []int64 {
		slices.Sort(ids)
		slices.Reverse(ids)
		return ids
	}
	rapid.Check(t, func(t *rapid.T) {
		const most, largest = 4, 12
		number := rapid.Int64Range(1, largest)
		all := descending(rapid.SliceOfNDistinct(number, 0, 3*most, rapid.ID[int64]).Draw(t, "all"))
		kept := newNumbers(slices.Clone(all[:min(len(all), most+1)]), most)
		for range rapid.IntRange(1, 20).Draw(t, "changes") {
			id, was, before := number.Draw(t, "id"), kept, slices.Clone(kept.IDs)
			if rapid.Bool().Draw(t, "with") {
				kept = kept.with(id, most)
				if !slices.Contains(all, id) {
					all = descending(append(all, id))
				}
			} else {
				kept = kept.without(id)
				all = slices.DeleteFunc(all, func(other int64) bool { return other == id })
			}
			if !slices.Equal(was.IDs, before) {
				t.Fatalf("%d: %v has become %v", id, before, was.IDs)
			}
			if len(kept.IDs) > most {
				t.Fatalf("keeps %v", kept.IDs)
			}
			for id := range int64(largest + 2) {
				yes, known := kept.has(id)
				if known && yes != slices.Contains(all, id) {
					t.Fatalf("%d of %v, of which %v is kept: %t", id, all, kept, yes)
				}
				if !known && !was.More && len(all) <= most {
					t.Fatalf("%d of %v, of which %v is kept, is not known", id, all, kept)
				}
			}
		}
	})
}

// Of a reader who likes or blocks more than is kept, old pages need buckets, young ones do
// not, and both are right.
func TestPagesOfOneWithMoreThanIsKept(t *testing.T) {
	w := newSite(t)
	ada, bob := w.user("Ada"), w.user("Bob")
	id := w.community(Private, ada, bob)
	w.exec(`
		INSERT INTO posts (community_id, author_id, locale, title, body, likes)
		SELECT $1, $2, 'en', 'Post', 'Body', 1 FROM generate_series(1, 2300)`, id, ada.User())
	w.exec(`INSERT INTO likes (user_id, post_id) SELECT $1, id FROM posts WHERE id % 10 <> 0`, bob.User())
	w.exec(`INSERT INTO users (id, name) SELECT n, 'Troll' FROM generate_series(5000, 6500) n`)
	w.exec(`INSERT INTO blocks (blocker_id, blocked_id) SELECT $1, n FROM generate_series(5000, 6500) n`, bob.User())
	w.exec(`UPDATE posts SET author_id = 5001 WHERE id IN (148, 2290)`)
	w.exec(`UPDATE posts SET author_id = 6499 WHERE id IN (147, 2291)`)
	reader, err := w.Reader(t.Context(), bob.User())
	if err != nil || len(reader.Likes.IDs) != readerRows || !reader.Likes.More || !reader.Blocked.More {
		t.Fatalf("kept of one with 2,070 likes: %d likes, more: %t; error %v", len(reader.Likes.IDs), reader.Likes.More, err)
	}
	for _, c := range []struct {
		first   PostID
		shown   int    // of twenty; those of blocked authors are not
		buckets uint64 // of likes that are loaded: 1010 begins a page of two, of which one is there
	}{{2301, 18, 0}, {150, 18, 1}, {1010, 20, 1}, {150, 18, 0}} {
		at := position{id: c.first}
		if err := w.pool.QueryRow(t.Context(), `SELECT created_at FROM posts LIMIT 1`).Scan(&at.created); err != nil {
			t.Fatal(err)
		}
		before := w.cache.Stats().Keys["feed.likes/1"].Loads
		path := fmt.Sprintf("/communities/%d/posts?after=%s", id, w.cursors.Seal(at.text(Newest)))
		served := get[feedBody](w, bob, path).Items
		if n := len(served); n != c.shown {
			t.Errorf("%s has %d posts, want %d", path, n, c.shown)
		}
		for _, p := range served {
			if p.LikedByMe != (p.ID%10 != 0) || p.Author.ID != ada.User() {
				t.Errorf("post %d of user %d: liked is %t", p.ID, p.Author.ID, p.LikedByMe)
			}
		}
		if n := w.cache.Stats().Keys["feed.likes/1"].Loads - before; n != c.buckets {
			t.Errorf("%s: %d buckets were loaded, want %d", path, n, c.buckets)
		}
	}
}

// A post empties its readers' pages, and costs one load of what they share for each of the
// two orders, whatever their languages; a like empties one reader's, and is written through;
// a block empties one reader's, and costs one load of what is theirs, in whatever community
// they read next.
func TestWritesCostTheLoadOfWhatTheyChange(t *testing.T) {
	s := newSite(t)
	ada := s.user("Ada")
	var paths []string
	var posts []PostID
	var ids []CommunityID
	for range 3 {
		id := s.community(Public, ada)
		ids, posts = append(ids, id), append(posts, s.post(ada, id, "Bread"))
		paths = append(paths, fmt.Sprintf("/communities/%d/posts", id))
	}
	readers := []identity.Caller{ada, in(s.user("Bob"), "de", false), in(s.user("Eve"), "fr", false)}
	readAll := func() (shared, reader uint64) {
		before := s.cache.Stats().Keys
		for _, who := range readers {
			for _, path := range paths {
				for _, ranked := range []bool{false, true} {
					if got := get[feedBody](s, in(who, who.Locale(), ranked), path); *got.Viewer != who.User() {
						t.Fatalf("user %s reads the page of %s", who.User(), *got.Viewer)
					}
				}
			}
		}
		after := s.cache.Stats().Keys
		loads := func(key string) uint64 { return after[key].Loads - before[key].Loads }
		return loads("feed.shared/4"), loads("feed.reader/2")
	}
	want := func(what string, wantShared, wantReader uint64) {
		t.Helper()
		if shared, reader := readAll(); shared != wantShared || reader != wantReader {
			t.Errorf("%s: %d loads of shared parts and %d of readers, want %d and %d", what, shared, reader, wantShared, wantReader)
		}
	}
	want("the first time", 6, 3)
	want("again", 0, 0)
	s.post(ada, ids[1], "Cake")
	want("after a post", 2, 0)
	if rec := s.do(readers[1], http.MethodPut, fmt.Sprintf("/posts/%d/like", posts[0]), ""); rec.Code != http.StatusNoContent {
		t.Fatalf("like: %d %s", rec.Code, rec.Body)
	}
	want("after a like", 0, 0)
	if got := get[feedBody](s, readers[1], paths[0]); !got.Items[0].LikedByMe {
		t.Error("who likes a post does not see that they do")
	}
	wantStatus(t, "block", s.Block(t.Context(), readers[2], ada.User()), http.StatusOK)
	want("after a block", 0, 1)
	if got := get[feedBody](s, readers[2], paths[0]); len(got.Items) != 0 {
		t.Error("who blocks an author sees their posts")
	}
}

// After likes and their undoing, what is kept says what the database says, without a load.
func TestLikesAreWrittenThrough(t *testing.T) {
	s := newSite(t)
	ada, bob := s.user("Ada"), s.user("Bob")
	id := s.community(Public, ada)
	path := fmt.Sprintf("/communities/%d/posts", id)
	var posts []PostID
	for n := range 4 {
		posts = append(posts, s.post(ada, id, fmt.Sprint(n)))
	}
	get[feedBody](s, bob, path)
	loads := s.cache.Stats().Keys["feed.reader/2"].Loads
	for _, step := range []struct {
		method string
		post   int
		liked  []int
	}{
		{http.MethodPut, 2, []int{2}},
		{http.MethodPut, 0, []int{0, 2}},
		{http.MethodPut, 0, []int{0, 2}}, // again
		{http.MethodPut, 3, []int{0, 2, 3}},
		{http.MethodDelete, 2, []int{0, 3}},
		{http.MethodDelete, 1, []int{0, 3}}, // was not liked
		{http.MethodDelete, 3, []int{0}},
	} {
		did := fmt.Sprintf("%s %d", step.method, step.post)
		if rec := s.do(bob, step.method, fmt.Sprintf("/posts/%d/like", posts[step.post]), ""); rec.Code != http.StatusNoContent {
			t.Fatalf("%s: %d %s", did, rec.Code, rec.Body)
		}
		for _, p := range get[feedBody](s, bob, path).Items {
			if want := slices.Contains(step.liked, slices.Index(posts, p.ID)); p.LikedByMe != want {
				t.Errorf("%s: post %s is liked: %t", did, p.Title, p.LikedByMe)
			}
		}
		entry, found, err := s.cache.Inspect(t.Context(), "feed.reader/2|user="+bob.User().String())
		if err != nil || !found || entry.State != "fresh" {
			t.Fatalf("%s: in Redis is %+v, %v", did, entry, err)
		}
		var kept Reader
		if err := json.Unmarshal(entry.Body, &kept); err != nil {
			t.Fatal(err)
		}
		loaded, err := s.Reader(t.Context(), bob.User())
		if diff := cmp.Diff(loaded, kept); diff != "" || err != nil {
			t.Errorf("%s: %v (-database +Redis)\n%s", did, err, diff)
		}
	}
	if got := s.cache.Stats().Keys["feed.reader/2"]; got.Loads != loads || got.WrittenThrough != 6 { // also the like that repeats one; not the unlike of what was not liked
		t.Errorf("%d loads, %d written through", got.Loads-loads, got.WrittenThrough)
	}
	if rec := s.do(bob, http.MethodPut, "/posts/999999/like", ""); rec.Code != http.StatusNotFound {
		t.Errorf("a like of no post: %d %s", rec.Code, rec.Body)
	}
}

// What is kept of the owner says nothing of a community that is newer.
func TestOwnerSeesTheirPrivateCommunityAtOnce(t *testing.T) {
	s := newSite(t)
	ada := s.user("Ada")
	get[feedBody](s, ada, fmt.Sprintf("/communities/%d/posts", s.community(Private, ada)))
	get[feedBody](s, ada, fmt.Sprintf("/communities/%d/posts", s.community(Private, ada)))
}
