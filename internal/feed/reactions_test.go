package feed

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/communityfeed/internal/identity"
)

func TestConcurrentLikesAreCountedExactly(t *testing.T) {
	const readers = 1000
	w := newTown(t)
	ada := w.user("Ada")
	post := w.post(ada, w.community(Public, ada), "Bread")
	w.exec(`INSERT INTO users (name) SELECT 'Reader' FROM generate_series(1, $1)`, readers)
	w.heard()

	// Everybody likes the post twice at once; every third thinks better of it.
	var all sync.WaitGroup
	for n := range readers {
		who := identity.NewCaller(ada.User()+1+identity.UserID(n), "", "en", false)
		all.Go(func() {
			var both sync.WaitGroup
			for range 2 {
				both.Go(func() { wantStatus(t, "like", w.like(who, post), http.StatusOK) })
			}
			both.Wait()
			if n%3 == 0 {
				wantStatus(t, "unlike", w.unlike(who, post), http.StatusOK)
			}
		})
	}
	all.Wait()

	const want = readers - (readers+2)/3
	if rows := w.count(`SELECT count(*) FROM likes WHERE post_id = $1`, post); rows != want {
		t.Errorf("%d rows in likes, want %d", rows, want)
	}
	if counted := w.count(`SELECT likes FROM posts WHERE id = $1`, post); counted != want {
		t.Errorf("%d likes counted, want %d", counted, want)
	}
	var liked, unliked int
	for _, e := range w.heard() {
		switch e.(type) {
		case PostLiked:
			liked++
		case PostUnliked:
			unliked++
		}
	}
	if liked != readers || liked-unliked != want {
		t.Errorf("emitted %d PostLiked and %d PostUnliked, want %d and %d", liked, unliked, readers, readers-want)
	}
}

func TestLikeIsPersonalAndChangesNoVersion(t *testing.T) {
	w := newTown(t)
	ada, bob := w.user("Ada"), w.user("Bob")
	id := w.community(Public, ada)
	post := w.post(ada, id, "Bread")
	if err := w.like(bob, post); err != nil {
		t.Fatal(err)
	}
	for who, likedByMe := range map[identity.Caller]bool{{}: false, ada: false, bob: true} {
		page, _ := w.page(who, id, Newest, start, 10)
		single, err := read[SinglePost](w, who, fmt.Sprintf("/posts/%d", post))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range append(page, single.Post) {
			if p.Likes != 1 || p.LikedByMe != likedByMe || p.Version != 1 {
				t.Errorf("user %s sees likes %d, likedByMe %t, version %d; want 1, %t, 1",
					who.User(), p.Likes, p.LikedByMe, p.Version, likedByMe)
			}
		}
	}
}

func TestRepeatedReactionsEmitNothing(t *testing.T) {
	w := newTown(t)
	ada, bob := w.user("Ada"), w.user("Bob")
	post := w.post(ada, w.community(Public, ada), "Bread")
	w.heard()
	for _, step := range []struct {
		name string
		do   func() error
		want any
	}{
		{"like", func() error { return w.like(bob, post) }, PostLiked{Post: post, User: bob.User()}},
		{"unlike", func() error { return w.unlike(bob, post) }, PostUnliked{Post: post, User: bob.User()}},
		{"block", func() error { return w.Block(t.Context(), bob, ada.User()) }, UserBlocked{User: bob.User(), Blocked: ada.User()}},
		{"unblock", func() error { return w.Unblock(t.Context(), bob, ada.User()) }, UserUnblocked{User: bob.User(), Blocked: ada.User()}},
	} {
		for i, want := range [][]any{{step.want}, nil} {
			if err := step.do(); err != nil {
				t.Errorf("%s: %v", step.name, err)
			}
			if diff := cmp.Diff(want, w.heard()); diff != "" {
				t.Errorf("%s, time %d, emits (-want +got):\n%s", step.name, i+1, diff)
			}
		}
	}
}

func TestReactionsToWhatIsNotThere(t *testing.T) {
	w := newTown(t)
	ada, eve := w.user("Ada"), w.user("Eve")
	stranger := identity.NewCaller(1<<40, "", "en", false) // a good token of another database
	hidden := w.post(ada, w.community(Private, ada), "Hidden")
	open := w.post(ada, w.community(Public, ada), "Open")

	for _, c := range []struct {
		name string
		err  error
		want int
	}{
		{"like a hidden post", w.like(eve, hidden), http.StatusNotFound},
		{"unlike a hidden post", w.unlike(eve, hidden), http.StatusNotFound},
		{"like no post", w.like(eve, 1<<40), http.StatusNotFound},
		{"like as a stranger", w.like(stranger, open), http.StatusForbidden},
		{"block oneself", w.Block(t.Context(), ada, ada.User()), http.StatusBadRequest},
		{"block nobody", w.Block(t.Context(), ada, stranger.User()), http.StatusNotFound},
		{"unblock nobody", w.Unblock(t.Context(), ada, stranger.User()), http.StatusNotFound},
		{"block as a stranger", w.Block(t.Context(), stranger, ada.User()), http.StatusForbidden},
	} {
		wantStatus(t, c.name, c.err, c.want)
	}
}
