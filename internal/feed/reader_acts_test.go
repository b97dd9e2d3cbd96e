package feed

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.com/communityfeed/internal/identity"
)

// A reader who acts, also on more than is kept of them, while others act on the same posts:
// the acts that are kept are those that a load would return, and so is each like of which
// anything is known.
func TestActingKeepsWhatALoadWouldReturn(t *testing.T) {
	const acts = 80
	for _, c := range []struct {
		name            string
		liked, recorded int // before
	}{
		{"little", 3, 2},
		{"all that is kept", readerRows - 1, readerActs - 1},
		{"more than is kept", readerRows + 20, readerActs + 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newTown(t)
			ada, bob := w.user("Ada"), w.user("Bob")
			w.exec(`
				INSERT INTO posts (id, community_id, author_id, locale, title, body)
				SELECT n, $1, $2, 'en', 'Post', 'Body' FROM generate_series(10001, 11100) n`, w.community(Public, ada), ada.User())
			w.exec(`INSERT INTO likes (user_id, post_id) SELECT $1, n FROM generate_series(10002, 10001 + $2) n`, bob.User(), c.liked)
			w.exec(`UPDATE posts SET likes = 1, likes_seq = 1 WHERE id IN (SELECT post_id FROM likes)`)
			w.exec(`
				INSERT INTO like_acts SELECT $1, n, true, 1, 1, now() - (n - 10000) * interval '1 second'
				FROM generate_series(10002, 10001 + $2) n`, bob.User(), c.recorded)
			reader, err := w.Reader(t.Context(), bob.User())
			if err != nil {
				t.Fatal(err)
			}
			if len(reader.Acts) != min(c.recorded, readerActs) || len(reader.Likes.IDs) != min(c.liked, readerRows) {
				t.Fatalf("%d acts and %d likes are kept", len(reader.Acts), len(reader.Likes.IDs))
			}
			seed := rand.Uint64()
			d := rand.New(rand.NewPCG(seed, 0))
			defer func() {
				if t.Failed() {
					t.Logf("seed %d", seed)
				}
			}()
			w.heard()
			for range acts {
				// The last and the first of what is kept, and what is not.
				post := PostID([]int{10001, 10002, 10010, 10500, 10990, 11020, 11100}[d.IntN(7)] - d.IntN(2))
				if post == 10000 {
					post = 10001
				}
				who := []identity.Caller{bob, bob, ada}[d.IntN(3)]
				do := []func(identity.Caller, PostID) (Act, error){w.actLike, w.actUnlike}[d.IntN(2)]
				act, err := do(who, post)
				if err != nil {
					t.Fatal(err)
				}
				before := reader
				before.Acts, before.Likes.IDs = slices.Clone(reader.Acts), slices.Clone(reader.Likes.IDs)
				kept := reader
				if who == bob && len(w.heard()) > 0 { // else there is nothing to write through
					kept = reader.acting(act)
				}
				w.heard()
				if diff := cmp.Diff(before, reader); diff != "" {
					t.Fatalf("acting has changed what it is made of:\n%s", diff)
				}
				reader = kept

				loaded, err := w.Reader(t.Context(), bob.User())
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(loaded.Acts, reader.Acts); diff != "" {
					t.Fatalf("after %+v (-database +kept):\n%s", act, diff)
				}
				for _, id := range []PostID{post, 10001, 10002, 10500, 11100} {
					likes := w.count(`SELECT count(*) FROM likes WHERE user_id = $1 AND post_id = $2`, bob.User(), id) == 1
					if yes, known := reader.Likes.has(id); known && yes != likes || !known && !before.Likes.More && !loaded.Likes.More {
						t.Fatalf("after %+v: post %d is liked: %t (known: %t), in the database %t", act, id, yes, known, likes)
					}
				}
			}
		})
	}
}

// A post is liked and unliked by its reader and by others, also by some who do not number
// the count, as the version before does. Fragments are taken at any two moments of that. The
// page shows the count of the later of two moments, when the post was loaded and when the
// reader acted last as far as their fragment knows, and never an earlier one.
func TestAPostShowsTheLaterOfItsTwoCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const id, elsewhere = PostID(7), PostID(8)
		shared := []SharedPost{{ID: id, Likes: 10}} // at each moment
		readers := []Reader{{}}
		last := []int{0} // when the reader has acted last, at each moment
		for now := range rapid.IntRange(1, 12).Draw(t, "changes") {
			post, reader, acted := shared[now], readers[now], last[now]
			liked, _ := reader.Likes.has(id)
			does := rapid.SampledFrom([]string{"act", "another likes unnumbered", "act elsewhere", "another likes", "another unlikes"}).Draw(t, "does")
			switch does {
			case "act":
				post.LikesSeq++
				if liked {
					post.Likes--
				} else {
					post.Likes++
				}
				reader = reader.acting(Act{Post: id, Liked: !liked, Likes: post.Likes, Seq: post.LikesSeq})
				acted = now + 1
			case "act elsewhere":
				seq := rapid.Int64Range(1, 100).Draw(t, "number elsewhere")
				reader = reader.acting(Act{Post: elsewhere, Liked: true, Likes: 1000, Seq: seq})
			case "another likes":
				post.Likes, post.LikesSeq = post.Likes+1, post.LikesSeq+1
			case "another unlikes":
				post.Likes, post.LikesSeq = post.Likes-1, post.LikesSeq+1
			default:
				post.Likes++
			}
			shared, readers, last = append(shared, post), append(readers, reader), append(last, acted)
		}
		moment := rapid.IntRange(0, len(shared)-1)
		of, by := moment.Draw(t, "the post is of"), moment.Draw(t, "the reader is of")
		got := personalView{Reader: readers[by]}.show(shared[of], "en")
		liked, _ := readers[by].Likes.has(id)
		want := shared[of].Likes
		if last[by] > of {
			want = shared[last[by]].Likes
		}
		if got.Likes != want || got.LikedByMe != liked {
			t.Fatalf("the post of moment %d, %+v, with the reader of %d, %+v, shows %d likes, liked is %t; want %d, %t",
				of, shared[of], by, readers[by], got.Likes, got.LikedByMe, want, liked)
		}
	})
}

// Of two counts with one number, neither is known to be the later: the one that all readers
// share is shown.
func TestOfCountsWithOneNumberTheSharedOneIsShown(t *testing.T) {
	own := personalView{Reader: Reader{}.acting(Act{Post: 7, Liked: true, Likes: 3, Seq: 5})}
	for seq, want := range map[int64]int{4: 3, 5: 9, 6: 9} {
		if got := own.show(SharedPost{ID: 7, Likes: 9, LikesSeq: seq}, "en"); got.Likes != want || !got.LikedByMe {
			t.Errorf("number %d shared, 5 of the reader: %d likes, liked is %t; want %d, true", seq, got.Likes, got.LikedByMe, want)
		}
	}
}
