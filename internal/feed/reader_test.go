package feed

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

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

// Of one who likes more than is kept, old pages are asked of the database, young ones
// are not, and both are right: town.page compares.
func TestPagesOfOneWithMoreThanIsKept(t *testing.T) {
	w := newSite(t)
	ada, bob := w.user("Ada"), w.user("Bob")
	id := w.community(Private, ada, bob)
	w.exec(`
		INSERT INTO posts (community_id, author_id, locale, title, body, likes)
		SELECT $1, $2, 'en', 'Post', 'Body', 1 FROM generate_series(1, 1300)`, id, ada.User())
	w.exec(`INSERT INTO likes (user_id, post_id) SELECT $1, id FROM posts WHERE id % 10 <> 0`, bob.User())
	reader, err := w.Reader(t.Context(), bob.User())
	if err != nil || len(reader.Likes.IDs) != readerRows || !reader.Likes.More || reader.Member.More {
		t.Fatalf("kept of one with 1,170 likes: %d likes, more: %t; error %v", len(reader.Likes.IDs), reader.Likes.More, err)
	}
	old := position{id: 150}
	if err := w.pool.QueryRow(t.Context(), `SELECT created_at FROM posts WHERE id = $1`, old.id).Scan(&old.created); err != nil {
		t.Fatal(err)
	}
	for at, wantKnown := range map[position]bool{start: true, old: false} {
		page, err := w.Shared(t.Context(), id, Newest, at, 20)
		if err != nil || len(page.Posts) != 20 {
			t.Fatalf("%d posts, %v", len(page.Posts), err)
		}
		if _, known := reader.adds(id, page); known != wantKnown {
			t.Errorf("posts %d to %d: known is %t", page.Posts[19].ID, page.Posts[0].ID, known)
		}
		posts, err := w.shown(bob, id, page)
		if err != nil {
			t.Fatal(err)
		}
		path := fmt.Sprintf("/communities/%d/posts", id)
		if at != start {
			path += "?after=" + w.cursors.Seal(at.text(Newest))
		}
		served := get[feedBody](w, bob, path).Items
		if len(served) != 20 || served[0].ID != posts[0].ID {
			t.Errorf("%s has %d posts", path, len(served))
		}
		for _, p := range append(posts, served...) {
			if p.LikedByMe != (p.ID%10 != 0) {
				t.Errorf("post %d: liked is %t", p.ID, p.LikedByMe)
			}
		}
	}
}

// A post empties its readers' pages, and costs one load of what they share for each of the
// two orders, whatever their languages; a like empties one reader's, and costs one load of
// what is theirs, in whatever community they read next.
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
		return loads("feed.shared/3"), loads("feed.reader/1")
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
	wantStatus(t, "like", s.Like(t.Context(), readers[1], posts[0]), http.StatusOK)
	want("after a like", 0, 1)
	if got := get[feedBody](s, readers[1], paths[0]); !got.Items[0].LikedByMe {
		t.Error("who likes a post does not see that they do")
	}
	wantStatus(t, "block", s.Block(t.Context(), readers[2], ada.User()), http.StatusOK)
	want("after a block", 0, 1)
	if got := get[feedBody](s, readers[2], paths[0]); len(got.Items) != 0 {
		t.Error("who blocks an author sees their posts")
	}
}

// What is kept of the owner says nothing of a community that is newer.
func TestOwnerSeesTheirPrivateCommunityAtOnce(t *testing.T) {
	s := newSite(t)
	ada := s.user("Ada")
	get[feedBody](s, ada, fmt.Sprintf("/communities/%d/posts", s.community(Private, ada)))
	get[feedBody](s, ada, fmt.Sprintf("/communities/%d/posts", s.community(Private, ada)))
}
