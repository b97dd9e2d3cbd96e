package server

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/feed"
	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/postgres"
	"example.com/communityfeed/internal/testenv"
)

var likeRounds = flag.Int("like-rounds", 300, "how many likes and unlikes are made at random, each through one or two of three processes")

// A street is three processes of the service on one database and one Redis, and a public
// community whose posts are all on one page of its feed.
type street struct {
	houses [3]house
	author identity.UserID
	likers []identity.UserID
	posts  []feed.PostID
	feed   string
	tokens map[identity.UserID]string
}

// newStreet has so many likers, and so many posts.
func newStreet(t *testing.T, likers, posts int) *street {
	t.Helper()
	database, l2 := testenv.Database(t), testenv.Redis(t)
	s := &street{author: 1, tokens: map[identity.UserID]string{}}
	for i := range s.houses {
		s.houses[i] = furnishBeside(t, database, l2, postgres.Options{}, cache.Options{})
	}
	for i := range likers {
		s.likers = append(s.likers, identity.UserID(10+i))
	}
	s.exec(t, `INSERT INTO users (id, name) SELECT n, 'User' FROM generate_series(1, 3000) n`)
	for _, user := range append([]identity.UserID{s.author}, s.likers...) {
		s.tokens[user] = sign(t, user, "")
	}
	s.feed = s.write(t, 0, s.author, http.MethodPost, "/api/communities", `{"name":"Bakers"}`, http.StatusCreated) + "/posts"
	for i := range posts {
		path := s.write(t, i%3, s.author, http.MethodPost, s.feed, `{"title":"Bread","body":"Flour."}`, http.StatusCreated)
		id, err := strconv.ParseInt(path[strings.LastIndexByte(path, '/')+1:], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		s.posts = append(s.posts, feed.PostID(id))
	}
	return s
}

func (s *street) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := s.houses[0].pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// write sends a write through one of the processes, and returns the Location of what it made.
func (s *street) write(t *testing.T, through int, as identity.UserID, method, path, body string, want int) string {
	t.Helper()
	status, header, answer := s.houses[through].ask(t, method, path, s.tokens[as], body)
	if status != want {
		t.Errorf("%s %s through process %d: %d %s", method, path, through, status, answer)
	}
	return header.Get("Location")
}

// act likes a post, or takes the like back.
func (s *street) act(t *testing.T, through int, who identity.UserID, post feed.PostID, liked bool) {
	t.Helper()
	method := http.MethodPut
	if !liked {
		method = http.MethodDelete
	}
	s.write(t, through, who, method, "/api/posts/"+post.String()+"/like", "", http.StatusNoContent)
}

// edit changes a post, so that the fragments with its count are loaded again.
func (s *street) edit(t *testing.T, through int, post feed.PostID, title string) {
	t.Helper()
	s.write(t, through, s.author, http.MethodPatch, "/api/posts/"+post.String(), `{"title":"`+title+`"}`, http.StatusOK)
}

// A view is a page on which a post is shown: its own, or the feed in one of its orders.
type view int

const (
	ownPage view = iota
	newestPage
	rankedPage
	views
)

func (v view) String() string {
	return [...]string{"the post's page", "the feed", "the ranked feed"}[v]
}

// A sight is what a page shows of the likes of a post.
type sight struct {
	Likes     int
	LikedByMe bool
}

// see reads a page through a process, and returns what it shows of a post and of the others
// on it. A user of 0 has no token.
func (s *street) see(t *testing.T, through int, who identity.UserID, v view, post feed.PostID) map[feed.PostID]sight {
	t.Helper()
	path := s.feed
	if v == ownPage {
		path = "/api/posts/" + post.String()
	}
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if who != 0 {
		r.Header.Set("Authorization", "Bearer "+s.tokens[who])
	}
	if v == rankedPage {
		r.Header.Set("X-FF-Feed-V2", "1")
	}
	rec := httptest.NewRecorder()
	s.houses[through].Handler().ServeHTTP(rec, r)
	type item struct {
		ID feed.PostID
		sight
	}
	var page struct {
		item
		Items []item
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &page); rec.Code != http.StatusOK || err != nil {
		t.Errorf("GET %s through process %d: %d %s, %v", path, through, rec.Code, rec.Body, err)
	}
	seen := map[feed.PostID]sight{}
	for _, it := range append(page.Items, page.item) {
		if it.ID != 0 {
			seen[it.ID] = it.sight
		}
	}
	if _, there := seen[post]; !there {
		t.Errorf("GET %s through process %d does not show post %d", path, through, post)
	}
	return seen
}

// Each post has one liker, and a number of likes by others that do not change. After the
// liker's like, unlike, or both, every page of the process that has answered shows what they
// did. On the other processes it may take until L1's copies are five seconds old, but no page
// shows their like without its being counted, or counts it without showing it.
func TestPagesAgreeWithTheLastActOfTheirReader(t *testing.T) {
	const likers, each = 4, 3
	s := newStreet(t, likers, likers*each)
	others := map[feed.PostID]int{}
	owned := map[feed.PostID]identity.UserID{}
	for i, post := range s.posts {
		others[post], owned[post] = i%4, s.likers[i%likers]
		s.exec(t, `INSERT INTO likes (user_id, post_id) SELECT 2990 + n, $1 FROM generate_series(1, $2) n`, post, i%4)
		s.exec(t, `UPDATE posts SET likes = $2 WHERE id = $1`, post, i%4)
		s.edit(t, 0, post, "Bread with likes")
	}
	seed := rand.Uint64()
	d := rand.New(rand.NewPCG(seed, 0))
	liked := map[feed.PostID]bool{}
	var contradictions, late, reads int

	// check reads a page of a post's liker, and reports whether it shows what they did last.
	check := func(through int, v view, post feed.PostID, did string) bool {
		who, agrees := owned[post], true
		reads++
		for id, got := range s.see(t, through, who, v, post) {
			mine := owned[id] == who
			if mine && got != (sight{others[id] + one(liked[id]), liked[id]}) {
				agrees = agrees && id != post
			}
			if mine && got.Likes != others[id]+one(got.LikedByMe) {
				contradictions++
				t.Errorf("%s: %s through process %d contradicts itself: post %d has %+v, and %d likes by others",
					did, v, through, id, got, others[id])
			}
			if !mine && got.LikedByMe {
				t.Errorf("%s: %s through process %d shows user %s the like of user %s", did, v, through, who, owned[id])
			}
		}
		return agrees
	}
	strictly := func(through int, post feed.PostID, did string) {
		for _, v := range d.Perm(int(views)) {
			if !check(through, view(v), post, did) {
				t.Errorf("%s: %s through process %d does not show it: post %d", did, view(v), through, post)
			}
		}
	}
	for round := range *likeRounds {
		post := s.posts[d.IntN(len(s.posts))]
		who := owned[post]
		first, second := d.IntN(3), d.IntN(3)
		check(d.IntN(3), view(d.IntN(int(views))), post, "before")
		if d.IntN(4) == 0 {
			s.edit(t, d.IntN(3), s.posts[d.IntN(len(s.posts))], fmt.Sprint("Bread ", round))
		}
		did, answered := "", first
		to := d.IntN(8) == 0 == liked[post] // mostly a change
		switch d.IntN(6) {
		case 0, 1:
			did = fmt.Sprintf("round %d, liked=%t through %d", round, to, first)
			s.act(t, first, who, post, to)
			liked[post] = to
		case 2: // one after the other, through two processes
			did = fmt.Sprintf("round %d, liked=%t through %d and %t through %d", round, to, first, !to, second)
			s.act(t, first, who, post, to)
			s.act(t, second, who, post, !to)
			liked[post], answered = !to, second
		case 3: // twice
			did = fmt.Sprintf("round %d, liked=%t through %d and again through %d", round, to, first, second)
			s.act(t, first, who, post, to)
			s.act(t, second, who, post, to)
			liked[post], answered = to, second
		case 4: // the opposite at once: the database says which was the last
			did = fmt.Sprintf("round %d, liked=%t through %d and, at once, %t through %d", round, to, first, !to, second)
			atOnce(
				func() { s.act(t, first, who, post, to) },
				func() { s.act(t, second, who, post, !to) })
			var now bool
			err := s.houses[0].pool.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM likes WHERE user_id = $1 AND post_id = $2)`, who, post).Scan(&now)
			if err != nil {
				t.Fatal(err)
			}
			if liked[post] = now; now != to {
				answered = second
			}
		case 5: // the same at once: whichever is answered first, its process shows it
			did = fmt.Sprintf("round %d, liked=%t through %d and, at once, through %d", round, to, first, second)
			v := view(d.IntN(int(views)))
			want := sight{others[post] + one(to), to}
			through := func(through int) func() {
				s.see(t, through, who, v, post)
				return func() {
					s.act(t, through, who, post, to)
					if got := s.see(t, through, who, v, post)[post]; got != want {
						t.Errorf("%s: %s shows, as soon as process %d has answered, %+v", did, v, through, got)
					}
				}
			}
			atOnce(through(first), through(second))
			liked[post] = to
		}
		strictly(answered, post, did)
		other := (answered + 1 + d.IntN(2)) % 3
		v := view(d.IntN(int(views)))
		for began, waited := time.Now(), false; !check(other, v, post, did); waited = true {
			if !waited {
				late++
			}
			if time.Since(began) > 6*time.Second {
				t.Errorf("%s: %s through process %d still does not show it after L1's five seconds", did, v, other)
				break
			}
		}
		if t.Failed() && round > 0 && contradictions > 5 {
			break
		}
	}
	if t.Failed() {
		t.Logf("seed %d", seed)
	}
	t.Logf("%d rounds, %d reads: in %d rounds another process showed the act later than the one that answered it", *likeRounds, reads, late)
}

// atOnce runs both and waits for both.
func atOnce(one, other func()) {
	var both sync.WaitGroup
	both.Go(one)
	both.Go(other)
	both.Wait()
}

func one(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// Many users like the same posts at once, each post once, through three processes, and posts
// are edited in between. So counts only grow: a liker's page counts their own like from its
// answer on, and no page of somebody else, read again through the same process, counts fewer.
func TestCountsOfOthersDoNotGoBackwards(t *testing.T) {
	const posts, acting = 5, 4
	s := newStreet(t, max(acting, *likeRounds/posts), posts) // each likes each post once
	for _, post := range s.posts {
		s.act(t, 0, s.author, post, true)
	}
	seed := rand.Uint64()
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()

	var likes, observing sync.WaitGroup
	var over atomic.Bool
	var observed [3][2]atomic.Int64 // larger counts than before, without a token and by the author
	var begun [3]chan struct{}      // tells an observer of an act, so that it reads while the act is under way
	for through := range s.houses {
		begun[through] = make(chan struct{}, 1)
		observing.Go(func() {
			d := rand.New(rand.NewPCG(seed, uint64(100+through)))
			type shown struct {
				who  identity.UserID
				view view
				post feed.PostID
			}
			most := map[shown]int{}
			for range begun[through] {
				mine := d.IntN(2)
				who := []identity.UserID{0, s.author}[mine] // the author's likes are the first of all
				v := view(d.IntN(int(views)))
				for id, got := range s.see(t, through, who, v, s.posts[d.IntN(posts)]) {
					at := shown{who, v, id}
					if got.Likes < most[at] || got.LikedByMe != (mine == 1) {
						t.Errorf("%s of user %s through process %d: post %d has %+v, after %d likes", v, who, through, id, got, most[at])
						over.Store(true)
					}
					if got.Likes > most[at] {
						observed[through][mine].Add(1)
					}
					most[at] = got.Likes
				}
			}
		})
	}
	for n := range acting {
		likes.Go(func() {
			d := rand.New(rand.NewPCG(seed, uint64(n)))
			for i := n; i < len(s.likers); i += acting {
				who := s.likers[i]
				for _, p := range d.Perm(posts) {
					if over.Load() {
						return
					}
					post, through := s.posts[p], d.IntN(3)
					s.see(t, d.IntN(3), who, view(d.IntN(int(views))), post)
					for _, observer := range begun {
						select {
						case observer <- struct{}{}:
						default: // it is reading
						}
					}
					s.act(t, through, who, post, true)
					// What the act has left is on record.
					var act feed.Act
					err := s.houses[0].pool.QueryRow(t.Context(), `SELECT liked, likes, seq FROM like_acts WHERE user_id = $1 AND post_id = $2`, who, post).
						Scan(&act.Liked, &act.Likes, &act.Seq)
					if err != nil || !act.Liked || act.Seq != int64(act.Likes) {
						t.Errorf("on record of user %s is %+v, %v", who, act, err)
						return
					}
					for _, at := range []int{through, d.IntN(3)} {
						for v := range views {
							got := s.see(t, at, who, v, post)[post]
							if (at == through || got.LikedByMe) && (!got.LikedByMe || got.Likes < act.Likes) {
								t.Errorf("%s through process %d, after %+v of user %s through %d: %+v", v, at, act, who, through, got)
							}
						}
					}
					if d.IntN(6) == 0 {
						s.edit(t, d.IntN(3), post, fmt.Sprint("Bread ", i))
					}
				}
			}
		})
	}
	likes.Wait()
	for _, observer := range begun {
		close(observer)
	}
	observing.Wait()
	for through := range observed {
		for mine := range observed[through] {
			if observed[through][mine].Load() <= 3*posts { // the first sight of each post on each page
				t.Errorf("process %d has shown hardly any count but the first, the author's: %t", through, mine == 1)
			}
		}
	}
}
