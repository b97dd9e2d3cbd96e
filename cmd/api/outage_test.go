package main

import (
	"flag"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/communityfeed/internal/identity"
)

var (
	outageReaders = flag.Int("outage-readers", 50, "how many readers there are when Postgres stops")
	outageTime    = flag.Duration("outage-time", 2*time.Second, "how long they ask on before it comes back")
)

const (
	outageClients = 32               // requests at the same time
	outageBudget  = 3 * time.Second  // of Redis, so that a busy machine is not a miss
	outageAge     = 30 * time.Minute // after that all is expired, and none of it gone
	healing       = 5 * time.Second
	inProcess     = 5 * time.Second // what L1 holds may be as old
)

// With Postgres gone, readers get all pages whose fragments somebody has opened, those too
// that they never opened themselves, and none of what was withdrawn.
func TestWhenPostgresIsGoneEveryPageIsAnsweredAndNothingWithdrawnShows(t *testing.T) {
	t.Parallel()
	o := newOutage(t, *outageReaders, true)
	o.open(t)
	others := o.likerOpens(t)
	o.openHidden(t)
	o.withdraw(t)
	o.post(t)
	t.Logf("before the outage: %s", o.counted())

	o.postgres.Stop()
	round := func(what, otherwise string) {
		t.Helper()
		began := time.Now()
		o.all(func(reader identity.UserID, community int) { o.shows(t, reader, community, otherwise) })
		t.Logf("%s: %d readers × %d communities in %v: %s", what, o.readers, publicOnes, time.Since(began).Round(time.Millisecond), o.counted())
		for path, community := range others {
			a := o.read(t, liker, path)
			if a.status != http.StatusOK {
				t.Errorf("%s: %s of the liker: %d %s", what, path, a.status, a.body)
			} else if err := withdrawn(a, liker, community); err != nil {
				t.Errorf("%s: %s of the liker: %v", what, path, err)
			}
		}
		o.hides(t, what)
		t.Logf("%s: pages of the liker and what is hidden: %s", what, o.counted())
	}
	round("at once", "HIT")
	o.age(t)
	<-time.After(inProcess) // what this process has is fresh for as long, and nothing that is read by now is kept
	round("half an hour later", "STALE")
	o.heals(t)
}

// Without Redis, the same for as long as L1 has the fragments. It runs alone: five seconds
// must do for a page of each reader and community.
func TestWithoutRedisPagesOutliveThePostgresThatTheyWereReadFromByFiveSeconds(t *testing.T) {
	o := newOutage(t, int(lastBlocks), false)
	o.open(t)
	o.withdraw(t)
	// What is opened now is all that there is, so it is known how old it is.
	if a := o.do(t, caller{user: firstAuthor, role: identity.Admin}, "POST", "/admin/cache/purge", ""); a.status >= 300 {
		t.Fatalf("purging the cache: %d %s", a.status, a.body)
	}
	began := time.Now()
	o.open(t)
	o.likerOpens(t)
	t.Logf("before the outage: %s", o.counted())

	o.postgres.Stop()
	stopped := time.Now()
	var asked atomic.Int64
	for time.Since(began) < inProcess {
		o.all(func(reader identity.UserID, community int) {
			a := o.read(t, reader, feedOf(community))
			if time.Since(began) >= inProcess {
				return // a fragment may have had its time
			}
			asked.Add(1)
			o.right(t, a, reader, community, "HIT")
		})
	}
	if all := int64(o.readers * publicOnes); asked.Load() < all {
		t.Errorf("%d pages were asked for, want %d at least", asked.Load(), all)
	}
	t.Logf("%d pages in the %v that were left: %s", asked.Load(), (inProcess - stopped.Sub(began)).Round(time.Millisecond), o.counted())
	o.heals(t)
}

// all calls do for each reader and community, some at the same time.
func (o *outage) all(do func(reader identity.UserID, community int)) {
	var clients sync.WaitGroup
	var next atomic.Int64
	for range outageClients {
		clients.Go(func() {
			for n := int(next.Add(1)) - 1; n < o.readers*publicOnes; n = int(next.Add(1)) - 1 {
				do(identity.UserID(n/publicOnes+1), n%publicOnes+1)
			}
		})
	}
	clients.Wait()
}

// open has each reader open one page, and each community be opened by a reader.
func (o *outage) open(t *testing.T) {
	t.Helper()
	every := max(1, publicOnes/o.readers)
	o.all(func(reader identity.UserID, community int) {
		own := (int(reader)-1)*every%publicOnes + 1
		if community >= own && community < own+every {
			if a := o.read(t, reader, feedOf(community)); a.status != http.StatusOK {
				o.wrong(t, "opening %s as reader %d: %d %s", feedOf(community), reader, a.status, a.body)
			}
		}
	})
}

// likerOpens has the liker open all communities, and the second pages of those where
// something is posted and nothing deleted. It returns the paths of these.
func (o *outage) likerOpens(t *testing.T) map[string]int {
	t.Helper()
	others := map[string]int{}
	for c := 1; c <= publicOnes; c++ {
		first := o.expect(t, http.StatusOK, liker, "GET", feedOf(c), "")
		if deletedIn(c) != 0 || !postsAndIsRead(c) && !postsUnread(c) {
			continue
		}
		_, next, found := strings.Cut(first.body, `"next":"`)
		if !found {
			t.Fatalf("%s has no next page", feedOf(c))
		}
		next, _, _ = strings.Cut(next, `"`)
		path := feedOf(c) + "?after=" + next
		o.expect(t, http.StatusOK, liker, "GET", path, "")
		others[path] = c
	}
	return others
}

// openHidden has the members of private communities open their pages, and a reader the
// posts that will be deleted.
func (o *outage) openHidden(t *testing.T) {
	t.Helper()
	for i := range privateOnes {
		for _, path := range hiddenPaths(publicOnes + 1 + i) {
			o.expect(t, http.StatusOK, firstGone+identity.UserID(i), "GET", path, "")
			o.expect(t, http.StatusOK, firstMember+identity.UserID(i), "GET", path, "")
		}
		o.expect(t, http.StatusOK, firstGone+identity.UserID(i), "GET", "/api/communities?limit=50", "")
	}
	for c := 1; deletedIn(c) != 0; c++ {
		o.expect(t, http.StatusOK, lastBlocks, "GET", postPath(deletedIn(c)), "")
	}
}

// withdraw deletes posts, removes members and has authors blocked. One read follows each.
func (o *outage) withdraw(t *testing.T) {
	t.Helper()
	for c := 1; deletedIn(c) != 0; c++ {
		o.expect(t, http.StatusNoContent, authorOf(deletedIn(c)), "DELETE", postPath(deletedIn(c)), "")
		o.expect(t, http.StatusOK, identity.UserID(c), "GET", feedOf(c), "")
	}
	for i := range privateOnes {
		gone, community := firstGone+identity.UserID(i), publicOnes+1+i
		o.expect(t, http.StatusNoContent, firstAuthor, "DELETE", fmt.Sprintf("/api/communities/%d/members/%d", community, gone), "")
		o.expect(t, http.StatusNotFound, gone, "GET", feedOf(community), "")
	}
	for reader := firstBlocks; reader <= lastBlocks; reader++ {
		o.expect(t, http.StatusNoContent, reader, "PUT", fmt.Sprintf("/api/blocks/%d", blockedBy(reader)), "")
		o.expect(t, http.StatusOK, reader, "GET", feedOf(int(reader)), "")
	}
}

// post posts in some communities, and some of these are read once after it.
func (o *outage) post(t *testing.T) {
	t.Helper()
	for c := 1; c <= publicOnes; c++ {
		if !postsAndIsRead(c) && !postsUnread(c) {
			continue
		}
		o.expect(t, http.StatusCreated, firstAuthor+1, "POST", feedOf(c), fmt.Sprintf(`{"title":%q,"body":"It is said."}`, newTitle(c)))
		if postsAndIsRead(c) {
			o.expect(t, http.StatusOK, firstMember, "GET", feedOf(c), "")
		}
	}
}

// shows reads a page that must be there as it was read, or as it was before a post that was
// not read.
func (o *outage) shows(t *testing.T, reader identity.UserID, community int, otherwise string) {
	want := otherwise
	if postsUnread(community) {
		want = "STALE"
	}
	a := o.read(t, reader, feedOf(community))
	o.right(t, a, reader, community, want)
	if postsAndIsRead(community) && blockedBy(reader) != firstAuthor+1 && !strings.Contains(a.body, newTitle(community)) {
		o.wrong(t, "%s as reader %d lacks the post that was read before the outage: %s", feedOf(community), reader, a.body)
	}
}

// right checks a page. One that is to be a hit may be stale: its time may be over.
func (o *outage) right(t *testing.T, a answer, reader identity.UserID, community int, want string) {
	if a.status != http.StatusOK || a.cache() != want && a.cache() != "STALE" {
		o.wrong(t, "%s as reader %d: %d %s, want a %s: %s", feedOf(community), reader, a.status, a.cache(), want, a.body)
	} else if err := withdrawn(a, reader, community); err != nil {
		o.wrong(t, "%s as reader %d, %s: %v: %s", feedOf(community), reader, a.cache(), err, a.body)
	}
}

// hides checks that what is not for a reader is not shown, and that members have theirs.
func (o *outage) hides(t *testing.T, what string) {
	t.Helper()
	hidden := func(reader identity.UserID, path string) {
		t.Helper()
		a := o.read(t, reader, path)
		if a.status != http.StatusNotFound && a.status != http.StatusServiceUnavailable {
			t.Errorf("%s: %s as reader %d: %d %s", what, path, reader, a.status, a.body)
		}
	}
	for i := range privateOnes {
		gone, member, community := firstGone+identity.UserID(i), firstMember+identity.UserID(i), publicOnes+1+i
		for _, path := range hiddenPaths(community) {
			hidden(gone, path)
			hidden(liker, path) // was never a member
			if a := o.read(t, member, path); a.status != http.StatusOK || !strings.Contains(a.body, "Hidden") && !strings.Contains(a.body, "private") {
				t.Errorf("%s: %s as its member %d: %d %s", what, path, member, a.status, a.body)
			}
		}
		name := fmt.Sprintf("Hidden %d", community)
		if a := o.read(t, gone, "/api/communities?limit=50"); strings.Contains(a.body, name) {
			t.Errorf("%s: the list of the former member %d has community %d: %s", what, gone, community, a.body)
		}
	}
	for c := 1; deletedIn(c) != 0; c++ {
		hidden(lastBlocks, postPath(deletedIn(c)))
		hidden(liker, postPath(deletedIn(c)))
	}
}

// heals lets the outage go on for a while and then end, with readers who ask all the time,
// and checks that twenty pages are fresh soon.
func (o *outage) heals(t *testing.T) {
	t.Helper()
	ended := make(chan struct{})
	var crowd, pages sync.WaitGroup
	for i := range outageClients {
		crowd.Go(func() {
			for n := i; ; n += outageClients {
				select {
				case <-ended:
					return
				default:
					reader, community := identity.UserID(n%o.readers+1), n/o.readers%publicOnes+1
					if a := o.read(t, reader, feedOf(community)); a.status == http.StatusOK {
						if err := withdrawn(a, reader, community); err != nil {
							o.wrong(t, "%s as reader %d, %s: %v: %s", feedOf(community), reader, a.cache(), err, a.body)
						}
					}
				}
			}
		})
	}
	for began := time.Now(); time.Since(began) < *outageTime; {
		if a := o.read(t, liker, feedOf(publicOnes)); a.status == http.StatusOK && a.cache() != "STALE" {
			t.Errorf("with Postgres gone, a page is %s", a.cache())
			break
		}
	}
	t.Logf("while it goes on: %s", o.counted())

	o.postgres.Start()
	healed := time.Now()
	took := make([]time.Duration, 20)
	for i := range took {
		reader, community := identity.UserID(i+1), 2*(i+1)
		pages.Go(func() {
			for {
				a := o.read(t, reader, feedOf(community))
				took[i] = time.Since(healed)
				fresh := a.status == http.StatusOK && a.cache() != "STALE"
				switch {
				case fresh && o.redisURL != "" && postsUnread(community) && blockedBy(reader) != firstAuthor+1 &&
					!strings.Contains(a.body, newTitle(community)):
					o.wrong(t, "%s as reader %d is %s and old: %s", feedOf(community), reader, a.cache(), a.body)
					return
				case fresh:
					return
				case took[i] > healing:
					o.wrong(t, "%v after healing, %s as reader %d is %d %s", took[i], feedOf(community), reader, a.status, a.cache())
					return
				}
			}
		})
	}
	pages.Wait()
	close(ended)
	crowd.Wait()
	most := time.Duration(0)
	for _, d := range took {
		most = max(most, d)
	}
	t.Logf("fresh again after %v at the most: %s", most.Round(time.Millisecond), o.counted())
}
