package main

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/communityfeed/internal/testenv"
)

func TestSeedRefusesADatabaseThatHoldsDataUnlessForced(t *testing.T) {
	t.Parallel()
	database := testenv.Database(t)
	seed := func(args ...string) error {
		return run(t.Context(), append([]string{"seed", "--database-url=" + database, "--users=50", "--communities=13"}, args...), io.Discard, io.Discard)
	}
	posts := func() int64 { return queryInt(t, database, `SELECT count(*) FROM posts`) }

	if err := seed("--posts=100"); err != nil || posts() != 100 {
		t.Fatalf("%v; there are %d posts", err, posts())
	}
	if err := seed("--posts=200"); err == nil || !strings.Contains(err.Error(), "the database holds data: nothing was changed") || posts() != 100 {
		t.Errorf("error %v; there are %d posts", err, posts())
	}
	if err := seed("--posts=300", "--force"); err != nil || posts() != 300 {
		t.Errorf("error %v; there are %d posts", err, posts())
	}
}

func TestASeedWithForceEmptiesTheCachesOfServersThatRun(t *testing.T) {
	t.Parallel()
	args, database := seeded(t)
	p := serve(t, args...)
	before := p.get(t, caller{}, openPosts)
	redis := args[2:4] // as the server has them
	seed := append([]string{"seed", "--database-url=" + database, "--force", "--posts=500"}, redis...)
	if err := run(t.Context(), seed, io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
	for limit := time.Now().Add(time.Second); p.get(t, caller{}, openPosts).body == before.body; {
		if time.Now().After(limit) {
			t.Fatal("a second later, the server still shows a page of the data that is gone")
		}
	}
}

func TestOfManyProcessesThatStartAtOnceOneMigratesAndSeeds(t *testing.T) {
	t.Parallel()
	url := testenv.EmptyDatabase(t)
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			c := &serveCmd{database: database{url}, Migrate: true, Seed: sizeSmall, DatabaseWait: time.Minute}
			if err := c.prepare(t.Context(), testenv.Log(t)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	want := demoOf(sizeSmall)
	if posts := queryInt(t, url, `SELECT count(*) FROM posts`); posts != want.feed.Posts {
		t.Errorf("there are %d posts, want %d", posts, want.feed.Posts)
	}
	if products := queryInt(t, url, `SELECT count(*) FROM products`); products != want.products.Products {
		t.Errorf("there are %d products, want %d", products, want.products.Products)
	}
}

func TestTheManifestOfKeysIsStable(t *testing.T) {
	t.Parallel()
	var first, second bytes.Buffer
	for _, out := range []*bytes.Buffer{&first, &second} {
		if err := run(t.Context(), []string{"keys", "print"}, out, io.Discard); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(first.String(), second.String()); diff != "" {
		t.Errorf("two runs (-first +second):\n%s", diff)
	}
	if want := "feed.page/1|id=|user=|locale=|feed_v2=|after=|limit=\n"; !strings.Contains(first.String(), want) {
		t.Errorf("the manifest lacks %q:\n%s", want, first.String())
	}
}
