package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/testenv"
)

// The world of the outage. Communities 1 to 40 are public and have 140 posts each, numbered
// one after the other; 41 to 45 are private and have 10 each. Five authors are members of
// all of them, and the first one is the owner.
const (
	publicOnes  = 40
	privateOnes = 5
	postsEach   = 140
	hiddenEach  = 10
	firstHidden = publicOnes*postsEach + 1
	authors     = 5
	firstAuthor = identity.UserID(10_001)
	pageOf      = 20 // posts
)

// Of the readers, some have a part. Reader 1 likes nine of ten posts in public communities,
// which are 5,040.
const (
	liker       = identity.UserID(1)
	firstGone   = identity.UserID(2) // of those who are removed, each from one private community
	firstMember = firstGone + privateOnes
	firstBlocks = firstMember + privateOnes // of those who block an author
	lastBlocks  = identity.UserID(20)
)

func liked(reader identity.UserID, post int64) bool {
	return reader == liker && post%10 != 0 && post < firstHidden
}

// likedSQL is liked, of the liker.
var likedSQL = fmt.Sprintf(`id %% 10 <> 0 AND id < %d`, firstHidden)

// authorOf is the author of a post that was there from the start.
func authorOf(post int64) identity.UserID { return firstAuthor + identity.UserID(post%authors) }

// blockedBy is the author that a reader has blocked, or 0.
func blockedBy(reader identity.UserID) identity.UserID {
	if reader < firstBlocks || reader > lastBlocks {
		return 0
	}
	return firstAuthor + reader%authors
}

// deletedIn is the post that is deleted in a public community, its newest, or 0.
func deletedIn(community int) int64 {
	if community > 5 {
		return 0
	}
	return int64(community * postsEach)
}

// Of four communities, one gets a post before the outage that its readers see, and one a
// post that was not read before the outage.
func postsAndIsRead(community int) bool { return community%4 == 1 }
func postsUnread(community int) bool    { return community%4 == 0 }

func feedOf(community int) string   { return fmt.Sprintf("/api/communities/%d/posts", community) }
func postPath(post int64) string    { return fmt.Sprintf("/api/posts/%d", post) }
func newTitle(community int) string { return fmt.Sprintf("New in %d.", community) }

// hiddenPaths are pages of a private community.
func hiddenPaths(community int) []string {
	post := int64(firstHidden + (community-publicOnes-1)*hiddenEach)
	return []string{feedOf(community), fmt.Sprintf("/api/communities/%d", community), postPath(post)}
}

// An outage is a service, its readers, and a Postgres that can be stopped.
type outage struct {
	*program
	postgres *testenv.Line
	redisURL string // empty: the service has none
	prefix   string
	client   *http.Client
	tokens   []string // by reader; authors after them
	readers  int

	mu      sync.Mutex
	tally   map[string]int // answers, by status and X-Cache
	reports int
}

func newOutage(t *testing.T, readers int, redis bool) *outage {
	t.Helper()
	if readers < int(lastBlocks) {
		t.Fatalf("%d readers are too few: %d of them have a part", readers, lastBlocks)
	}
	o := &outage{
		postgres: testenv.OwnPostgres(t), prefix: testenv.Prefix(t), readers: readers, tally: map[string]int{},
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * outageClients, DisableCompression: true}},
	}
	t.Cleanup(o.client.CloseIdleConnections)
	o.fill(t)
	args := []string{"--database-url=" + o.postgres.URL, "--redis-prefix=" + o.prefix, "--redis-budget=" + outageBudget.String()}
	if redis {
		o.redisURL = testenv.Redis(t)
		args = append(args, "--redis-url="+o.redisURL)
	}
	o.program = serve(t, args...)
	o.tokens = []string{""}
	for i := range readers {
		o.tokens = append(o.tokens, signed(t, identity.UserID(i+1), ""))
	}
	for i := range authors {
		o.tokens = append(o.tokens, signed(t, firstAuthor+identity.UserID(i), ""))
	}
	return o
}

// fill puts the world into the database.
func (o *outage) fill(t *testing.T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), o.postgres.Direct)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	all := publicOnes + privateOnes
	for _, sql := range []string{
		fmt.Sprintf(`INSERT INTO users (id, name) SELECT n, 'Reader ' || n FROM generate_series(1, %d) n`, o.readers),
		fmt.Sprintf(`INSERT INTO users (id, name) SELECT %d + n, 'Author ' || n FROM generate_series(0, %d) n`, firstAuthor, authors-1),
		fmt.Sprintf(`INSERT INTO communities (id, name, visibility, owner_id)
			SELECT n, CASE WHEN n > %d THEN 'Hidden ' ELSE 'Open ' END || n, CASE WHEN n > %[1]d THEN 'private' ELSE 'public' END, %d
			FROM generate_series(1, %d) n`, publicOnes, firstAuthor, all),
		fmt.Sprintf(`INSERT INTO members (community_id, user_id)
			SELECT c, %d + a FROM generate_series(1, %d) c, generate_series(0, %d) a`, firstAuthor, all, authors-1),
		fmt.Sprintf(`INSERT INTO members (community_id, user_id)
			SELECT %d + n, r + n FROM generate_series(0, %d) n, unnest(ARRAY [%d, %d]) r`, publicOnes+1, privateOnes-1, firstGone, firstMember),
		fmt.Sprintf(`INSERT INTO posts (id, community_id, author_id, locale, title, body, created_at)
			SELECT n, (n - 1) / %d + 1, %d + n %% %d, 'en', 'Open ' || n || '.', 'It is said.', now() - (%d - n) * interval '1 minute'
			FROM generate_series(1, %d) n`, postsEach, firstAuthor, authors, firstHidden, firstHidden-1),
		fmt.Sprintf(`INSERT INTO posts (id, community_id, author_id, locale, title, body)
			SELECT %d + n, %d + n / %d, %d, 'en', 'Hidden ' || n || '.', 'It is said.'
			FROM generate_series(0, %d) n`, firstHidden, publicOnes+1, hiddenEach, firstAuthor, privateOnes*hiddenEach-1),
		`SELECT setval(pg_get_serial_sequence('posts', 'id'), max(id)) FROM posts`,
		fmt.Sprintf(`INSERT INTO likes (user_id, post_id) SELECT %d, id FROM posts WHERE %s`, liker, likedSQL),
		fmt.Sprintf(`UPDATE posts SET likes = 1, likes_seq = 1 WHERE %s`, likedSQL),
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// ask makes a request and counts its answer.
func (o *outage) ask(t *testing.T, who identity.UserID, method, path, body string) answer {
	token := int(who)
	if who >= firstAuthor {
		token = 1 + o.readers + int(who-firstAuthor)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, o.base+path, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return answer{}
	}
	request.Header.Set("Authorization", "Bearer "+o.tokens[token])
	request.Header.Set("Content-Type", "application/json")
	response, err := o.client.Do(request)
	if err != nil {
		t.Error(err)
		return answer{}
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	a := answer{response.StatusCode, response.Header, string(content)}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tally[strings.TrimSpace(fmt.Sprint(a.status, " ", a.cache()))]++
	return a
}

func (o *outage) read(t *testing.T, reader identity.UserID, path string) answer {
	return o.ask(t, reader, http.MethodGet, path, "")
}

// expect is ask for what must work.
func (o *outage) expect(t *testing.T, status int, who identity.UserID, method, path, body string) answer {
	t.Helper()
	a := o.ask(t, who, method, path, body)
	if a.status != status {
		t.Fatalf("%s %s of user %d: %d, want %d: %s", method, path, who, a.status, status, a.body)
	}
	return a
}

// counted says how many answers there were of each sort since it was last asked.
func (o *outage) counted() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var all []string
	for _, sort := range slices.Sorted(maps.Keys(o.tally)) {
		all = append(all, fmt.Sprintf("%d × %s", o.tally[sort], sort))
	}
	clear(o.tally)
	return strings.Join(all, ", ")
}

// wrong reports what is wrong with an answer. The first ten will do.
func (o *outage) wrong(t *testing.T, format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.reports++; o.reports <= 10 {
		t.Errorf(format, args...)
	} else {
		t.Fail()
	}
}

// withdrawn reports what a page of posts says that it must not say to its reader.
func withdrawn(a answer, reader identity.UserID, community int) error {
	var page struct {
		Viewer    identity.UserID
		Community int
		Items     []struct {
			ID        int64
			Title     string
			LikedByMe bool
			Author    struct{ ID identity.UserID }
		}
	}
	if err := json.Unmarshal([]byte(a.body), &page); err != nil {
		return err
	}
	if page.Viewer != reader || page.Community != community {
		return fmt.Errorf("it is that of user %d and community %d", page.Viewer, page.Community)
	}
	if n, blocked := len(page.Items), blockedBy(reader); n == 0 || n > pageOf || blocked == 0 && n < pageOf {
		return fmt.Errorf("it has %d posts", n)
	}
	for _, post := range page.Items {
		switch {
		case post.ID == deletedIn(community):
			return fmt.Errorf("post %d was deleted", post.ID)
		case post.Author.ID == blockedBy(reader):
			return fmt.Errorf("the author of post %d, %d, was blocked", post.ID, post.Author.ID)
		case post.LikedByMe != liked(reader, post.ID):
			return fmt.Errorf("post %d is liked by its reader: %v", post.ID, post.LikedByMe)
		case strings.Contains(post.Title, "Hidden"):
			return fmt.Errorf("post %d is not public", post.ID)
		}
	}
	return nil
}

// age makes the entries in Redis older: how old one is follows from what is left of its
// life.
func (o *outage) age(t *testing.T) {
	t.Helper()
	options, err := redis.ParseURL(o.redisURL)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	defer client.Close()
	keys, err := client.Keys(t.Context(), o.prefix+"e:*").Result()
	if err != nil || len(keys) == 0 {
		t.Fatalf("%d entries: %v", len(keys), err)
	}
	for _, key := range keys {
		left, err := client.PTTL(t.Context(), key).Result()
		if err == nil {
			err = client.PExpire(t.Context(), key, left-outageAge).Err()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
