package feed

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/communityfeed/internal/identity"
)

// acts are what is on record of a user, by post.
func (w *town) acts(who identity.Caller) map[PostID]Act {
	w.t.Helper()
	rows, err := w.pool.Query(w.t.Context(), `SELECT post_id, liked, likes, seq FROM like_acts WHERE user_id = $1`, who.User())
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	acts := map[PostID]Act{}
	for rows.Next() {
		var a Act
		if err := rows.Scan(&a.Post, &a.Liked, &a.Likes, &a.Seq); err != nil {
			w.t.Fatal(err)
		}
		acts[a.Post] = a
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
	return acts
}

func TestAnActSaysWhatItHasLeftAndIsOnRecord(t *testing.T) {
	w := newTown(t)
	ada, bob := w.user("Ada"), w.user("Bob")
	id := w.community(Public, ada)
	bread, cake := w.post(ada, id, "Bread"), w.post(ada, id, "Cake")
	w.exec(`UPDATE posts SET likes = 7, likes_seq = 40 WHERE id = $1`, cake)

	for i, step := range []struct {
		who  identity.Caller
		do   func(identity.Caller, PostID) (Act, error)
		post PostID
		want Act
	}{
		{bob, w.actLike, bread, Act{bread, true, 1, 1}},
		{bob, w.actLike, bread, Act{bread, true, 1, 1}}, // nothing changes
		{ada, w.actLike, bread, Act{bread, true, 2, 2}},
		{bob, w.actLike, bread, Act{bread, true, 2, 2}}, // nothing either, but others have liked it
		{bob, w.actUnlike, bread, Act{bread, false, 1, 3}},
		{bob, w.actUnlike, bread, Act{bread, false, 1, 3}},
		{bob, w.actLike, cake, Act{cake, true, 8, 41}},
	} {
		got, err := step.do(step.who, step.post)
		if diff := cmp.Diff(step.want, got); err != nil || diff != "" {
			t.Errorf("step %d: %v (-want +got):\n%s", i, err, diff)
		}
	}
	for who, want := range map[identity.Caller]map[PostID]Act{
		bob: {bread: {bread, false, 1, 3}, cake: {cake, true, 8, 41}},
		ada: {bread: {bread, true, 2, 2}},
	} {
		if diff := cmp.Diff(want, w.acts(who)); diff != "" {
			t.Errorf("on record of user %s (-want +got):\n%s", who.User(), diff)
		}
	}
	if hidden, err := w.Like(t.Context(), bob, w.post(ada, w.community(Private, ada), "Hidden")); err == nil || hidden != (Act{}) {
		t.Errorf("the act of a like that was refused: %+v, %v", hidden, err)
	}
}

func (w *town) actLike(who identity.Caller, id PostID) (Act, error) {
	return w.Like(w.t.Context(), who, id)
}

func (w *town) actUnlike(who identity.Caller, id PostID) (Act, error) {
	return w.Unlike(w.t.Context(), who, id)
}

func TestActsAreForgottenTwoHoursLater(t *testing.T) {
	w := newTown(t)
	ada, bob := w.user("Ada"), w.user("Bob")
	id := w.community(Public, ada)
	var posts []PostID
	for i := range 4 {
		posts = append(posts, w.post(ada, id, fmt.Sprint("Bread ", i)))
	}
	for _, who := range []identity.Caller{ada, bob} {
		for _, post := range posts[:3] {
			if err := w.like(who, post); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.exec(`UPDATE like_acts SET acted_at = acted_at - interval '121 minutes' WHERE post_id = ANY($1)`, posts[:2])
	w.exec(`UPDATE like_acts SET acted_at = acted_at - interval '119 minutes' WHERE post_id = $1`, posts[2])

	// The act on the first post is young again, the second is forgotten, and so is nobody else's.
	if err := w.unlike(bob, posts[0]); err != nil {
		t.Fatal(err)
	}
	if err := w.like(bob, posts[3]); err != nil {
		t.Fatal(err)
	}
	for who, want := range map[identity.Caller][]PostID{ada: posts[:3], bob: {posts[0], posts[2], posts[3]}} {
		acts := w.acts(who)
		for _, post := range want {
			if _, ok := acts[post]; !ok {
				t.Errorf("user %s: the act on post %d is forgotten", who.User(), post)
			}
		}
		if len(acts) != len(want) {
			t.Errorf("user %s has %v on record, want posts %v", who.User(), acts, want)
		}
	}
}

// Two acts of one user, on two posts: each would forget what the other has just written, and
// waits for it. None may.
func TestAnActDoesNotWaitForAnotherOfItsUser(t *testing.T) {
	w := newTown(t)
	ada := w.user("Ada")
	id := w.community(Public, ada)
	bread, cake := w.post(ada, id, "Bread"), w.post(ada, id, "Cake")
	if err := w.like(ada, bread); err != nil {
		t.Fatal(err)
	}
	w.exec(`UPDATE like_acts SET acted_at = acted_at - interval '1 day'`)
	other, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Rollback(context.Background())
	if _, err := other.Exec(t.Context(), `UPDATE like_acts SET acted_at = now()`); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := w.Like(ctx, ada, cake); err != nil {
		t.Error(err)
	}
}

// Users act on the same posts at once, and each on all of theirs at once, with acts on
// record that are to be forgotten. The numbers of a post are those from one on, each with the
// count as it was then, and the last is the post's own.
func TestConcurrentActsNumberTheCountsWithoutAGap(t *testing.T) {
	const users, posts, each = 8, 3, 40
	w := newTown(t)
	ada := w.user("Ada")
	id := w.community(Public, ada)
	var post [posts]PostID
	for i := range post {
		post[i] = w.post(ada, id, fmt.Sprint("Bread ", i))
	}
	w.exec(`INSERT INTO users (name) SELECT 'Reader' FROM generate_series(1, $1)`, users)
	w.exec(`INSERT INTO like_acts SELECT id, unnest($1::bigint[]), false, 0, 0, now() - interval '1 day' FROM users`, post[:])
	w.heard()

	var mu sync.Mutex
	counts := map[PostID]map[int64]int{} // by number
	var all sync.WaitGroup
	for n := range users {
		who := identity.NewCaller(ada.User()+1+identity.UserID(n), "", "en", false)
		for i := range posts {
			all.Go(func() {
				d := rand.New(rand.NewPCG(uint64(n), uint64(i)))
				for range each {
					do := w.actLike
					if d.IntN(2) == 0 {
						do = w.actUnlike
					}
					act, err := do(who, post[i])
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					if counts[act.Post] == nil {
						counts[act.Post] = map[int64]int{0: 0}
					}
					if likes, known := counts[act.Post][act.Seq]; known && likes != act.Likes {
						t.Errorf("post %d, number %d: %d likes and %d", act.Post, act.Seq, likes, act.Likes)
					}
					counts[act.Post][act.Seq] = act.Likes
					mu.Unlock()
				}
			})
		}
	}
	all.Wait()

	changed := map[PostID]int64{}
	for _, e := range w.heard() {
		switch e := e.(type) {
		case PostLiked:
			changed[e.Post]++
		case PostUnliked:
			changed[e.Post]++
		}
	}
	for _, id := range post {
		last := changed[id]
		for seq := range last + 1 {
			if _, known := counts[id][seq]; !known {
				t.Errorf("post %d: no act has number %d of %d", id, seq, last)
			}
		}
		if n := w.count(`SELECT likes_seq FROM posts WHERE id = $1`, id); n != last {
			t.Errorf("post %d changed %d times and has number %d", id, last, n)
		}
		if n := w.count(`SELECT likes FROM posts WHERE id = $1`, id); n != int64(counts[id][last]) {
			t.Errorf("post %d has %d likes, and its last act %d", id, n, counts[id][last])
		}
	}
}

// The version before this one counts likes and does not number them.
func TestLikesOfTheVersionBeforeAreCountedAsWell(t *testing.T) {
	w := newTown(t)
	ada, bob := w.user("Ada"), w.user("Bob")
	post := w.post(ada, w.community(Public, ada), "Bread")
	if err := w.like(bob, post); err != nil {
		t.Fatal(err)
	}
	w.exec(`WITH liked AS (INSERT INTO likes (user_id, post_id) VALUES ($1, $2)) UPDATE posts SET likes = likes + 1 WHERE id = $2`, ada.User(), post)
	for _, step := range []struct {
		do   func(identity.Caller, PostID) (Act, error)
		want Act
	}{
		{w.actLike, Act{post, true, 2, 1}}, // that was before: the act on record is another
		{w.actUnlike, Act{post, false, 1, 2}},
	} {
		got, err := step.do(ada, post)
		if diff := cmp.Diff(step.want, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
}
