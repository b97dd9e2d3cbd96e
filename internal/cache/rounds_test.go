package cache

import (
	"bytes"
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"example.com/communityfeed/internal/testenv"

	"example.com/communityfeed/internal/cache/remote"
)

// A wire notes the commands that are written to Redis, by round trip.
type wire struct {
	mu    sync.Mutex
	trips []string // the names of the commands of each, as they follow one another
}

// A tapped connection notes what is written on it. The client writes a command or a
// pipeline at once, and reads all replies before it writes again.
type tapped struct {
	net.Conn
	wire *wire
}

func (c tapped) Write(b []byte) (int, error) {
	c.wire.mu.Lock()
	defer c.wire.mu.Unlock()
	c.wire.trips = append(c.wire.trips, strings.Join(commandNames(b), " "))
	return c.Conn.Write(b)
}

// commandNames takes a pipeline in RESP apart.
func commandNames(b []byte) (names []string) {
	length := func() (n int) {
		head, rest, _ := bytes.Cut(b[1:], []byte("\r\n"))
		n, _ = strconv.Atoi(string(head))
		b = rest
		return n
	}
	for len(b) > 0 {
		for i := range length() {
			n := length()
			if i == 0 {
				names = append(names, strings.ToLower(string(b[:n])))
			}
			b = b[n+len("\r\n"):]
		}
	}
	return names
}

// during returns the round trips that do has made, but for those that begin a connection.
func (w *wire) during(do func()) []string {
	w.mu.Lock()
	w.trips = nil
	w.mu.Unlock()
	do()
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.trips), func(trip string) bool {
		return slices.Contains([]string{"hello", "select", "client client"}, trip)
	})
}

// What a read and a move of a key with two tags cost, counted on the wire to a real
// server. The tag of everything is the third.
func TestRoundTripsAndCommands(t *testing.T) {
	c, w := tappedCache(t, Options{L1Entries: -1})
	spec := rowSpec("row")
	spec.Tags = func(k Key) []Tag { return []Tag{rowTag(k.Get("name")), rowTag("shared")} }
	row := NewSource(c, spec, JSON[string]{}, func(context.Context, Key) (string, error) { return "v", nil })
	read := func(name string, want Outcome) func() {
		return func() {
			if r, err := row.Fetch(t.Context(), name); r.Outcome != want || err != nil {
				t.Errorf("read %s: %v, %v", name, r.Outcome, err)
			}
		}
	}
	read("greeting", Miss)()
	for _, test := range []struct {
		name string
		do   func()
		want []string
	}{
		{"miss of a key with a tag that is new", read("a", Miss), []string{
			"pttl get hmget hmget hmget",
			"set pttl get eval hmget hmget",
			"eval pexpire pexpire",
		}},
		{"hit in L2", read("a", HitL2), []string{"pttl get hmget hmget hmget"}},
		{"move", func() {
			if err := c.Invalidate(t.Context(), Changed(rowTag("a"), rowTag("shared"))); err != nil {
				t.Error(err)
			}
		}, []string{"eval eval"}},
		{"miss of a key that was moved", read("a", Miss), []string{
			"pttl get hmget hmget hmget",
			"set pttl get hmget hmget hmget",
			"eval pexpire pexpire",
		}},
		{"many hits, whose common tags are asked about once", func() {
			if _, errs := row.GetMany(t.Context(), [][]string{{"a"}, {"a2"}, {"greeting"}}); errs != nil {
				t.Error(errs)
			}
		}, []string{"pttl get hmget hmget hmget pttl get hmget pttl get hmget"}},
	} {
		if test.name == "many hits, whose common tags are asked about once" {
			read("a2", Miss)()
			read("greeting", Miss)()
		}
		if diff := cmp.Diff(test.want, w.during(test.do)); diff != "" {
			t.Errorf("%s: round trips (-want +got):\n%s", test.name, diff)
		}
	}
}

// What a write adds to the round trip of its move when it is written through.
func TestRoundTripsOfAWriteThatIsWrittenThrough(t *testing.T) {
	for _, test := range []struct {
		name string
		l1   int
		want []string
	}{
		{"the copy is in L1", 0, []string{"eval", "eval"}},
		{"the copy is in L2 alone", -1, []string{"pttl get hmget hmget", "eval", "eval"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, w := tappedCache(t, Options{L1Entries: test.l1})
			row := NewSource(c, rowSpec("row"), JSON[string]{}, func(context.Context, Key) (string, error) { return "v", nil })
			if _, err := row.GetOrSet(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
			got := w.during(func() {
				if err := row.WriteThrough(t.Context(), func(ctx context.Context) error {
					return c.Invalidate(ctx, Changed(rowTag("a")))
				}, func(v string) string { return v + "1" }, "a"); err != nil {
					t.Error(err)
				}
			})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("round trips (-want +got):\n%s", diff)
			}
			equal(t, "counted", c.Stats().Keys["row/1"].WrittenThrough, 1)
			r, err := row.Fetch(t.Context(), "a")
			if err != nil || r.Value != "v1" || r.Outcome != HitL2 {
				t.Errorf("got %q as %v, %v", r.Value, r.Outcome, err)
			}
		})
	}
}

// tappedCache makes a cache over a real server that hears nothing of other processes, and
// what it writes to the server.
func tappedCache(t *testing.T, o Options) (*Cache, *wire) {
	t.Helper()
	w := &wire{}
	url := testenv.Redis(t)
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	tier, err := remote.Open(url, remote.Options{
		Prefix: testenv.Prefix(t), Timeout: 5 * time.Second,
		Dial: func(ctx context.Context) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", options.Addr)
			return tapped{conn, w}, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := newCache(tier, o)
	t.Cleanup(func() { c.Close(); tier.Close() })
	return c, w
}

// The tag of everything outlives the entries: a store renews it unless it is known to live
// for long enough, and anew when it was lost and made again.
func TestTagOfEverythingIsRenewedWhenItMustBe(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a", "v")
		lives := func(when string, least time.Duration) {
			t.Helper()
			if left := f.redis.TTL("cf:t:*"); left < least {
				t.Errorf("%s: the tag of everything lives for %v", when, left)
			}
		}
		entry := testPolicy.StaleIfError
		p.read("a")
		lives("after the first store", testTagLife)
		time.Sleep(testTagLife - entry/2)
		p.read("a")
		lives("after a store near its end", entry)
		f.redis.Del("cf:t:*")
		time.Sleep(time.Minute)
		p.read("a")
		lives("after the store that follows its loss", entry)

		renewals := 0
		p.client.AddHook(counter{"pexpire cf:t:*", &renewals})
		for range 3 {
			f.write(p, "a", "w", Changed)
			p.read("a")
		}
		equal(t, "renewals of a tag that lives for long enough", renewals, 0)
	})
}

// A counter counts the commands that begin like a text.
type counter struct {
	prefix string
	n      *int
}

func (c counter) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (c counter) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (c counter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			if strings.HasPrefix(strings.ToLower(cmd.String()), c.prefix) {
				*c.n++
			}
		}
		return next(ctx, cmds)
	}
}

// Rule 4: who does not get the lease has what L2 holds as of the same round trip.
func TestWhoIsRefusedTheLeaseIsAnsweredByWhatIsThere(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p, other := f.process(), f.process()
		f.origin.set("a", "v")
		atMiss := p.gate.holdAfter("cf:e:{row/1|name=a}")
		reader := later(p.row, "a")
		other.read("a") // fills
		if err := f.redis.Set("cf:l:{row/1|name=a}", "of a process that refreshes"); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		atMiss.release()
		r, err := reader()
		if err != nil || r.Value != "v" || r.Outcome != HitL2 {
			t.Errorf("got %q as %v, %v", r.Value, r.Outcome, err)
		}
		equal(t, "waited", time.Since(began), 0)
		equal(t, "loads", f.origin.count(), 1)
	})
}

// Rule 4: the lease is asked for before the entry is read. Wherever another process's
// store falls, it is either seen or heard of.
func TestStoreBesideAClaimIsSeen(t *testing.T) {
	for _, command := range []string{"set", "pttl", "get"} { // before each of them
		t.Run(command, func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				var between func()
				other, p := f.process(), f.through(func() (net.Conn, error) {
					conn, err := f.dial()
					return betweenCommands{conn, command, &between}, err
				})
				f.origin.set("a", "v")
				atLoad := f.origin.hold("a")
				filling := later(other.row, "a")
				atMiss := p.gate.holdAfter("cf:e:{row/1|name=a}")
				reader := later(p.row, "a") // is about to ask for the lease
				between = func() {
					synctest.Wait()
					atLoad.release()
					synctest.Wait() // the other has stored, and given its lease back
				}
				began := time.Now()
				atMiss.release()
				r, err := reader()
				if err != nil || r.Value != "v" {
					t.Errorf("got %q, %v", r.Value, err)
				}
				filling()
				equal(t, "loads", f.origin.count(), 1)
				equal(t, "waited", time.Since(began), 0)
			})
		})
	}
}

// Interleaving 1, for the read that is made with the lease.
func TestCopyReadWithTheLeaseBeforeAMoveIsNotKeptInL1AfterIt(t *testing.T) {
	for _, lease := range []string{"given", "refused"} {
		t.Run(lease, func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				p, other := f.process(), f.process()
				f.origin.set("a", "old")
				atMiss := p.gate.holdAfter("cf:e:{row/1|name=a}")
				reader := later(p.row, "a")
				other.read("a") // fills
				if lease == "refused" {
					if err := f.redis.Set("cf:l:{row/1|name=a}", "of a process that refreshes"); err != nil {
						t.Fatal(err)
					}
				}
				atClaim := p.gate.holdAfter("cf:l:{row/1|name=a}")
				atMiss.release()
				synctest.Wait() // it has read the old entry, and does not know it yet
				f.write(p, "a", "new", Changed)
				f.redis.Del("cf:l:{row/1|name=a}")
				atClaim.release()
				if _, err := reader(); err != nil {
					t.Error(err)
				}
				got, _ := p.read("a")
				equal(t, "the author's read", got, "new")
			})
		})
	}
}

// Rule 4: a fill without ids stores nothing, so nobody is to wait for one.
func TestLeaseThatCameWithoutIDsIsGivenBack(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a", "v")
		atMiss := p.gate.holdAfter("cf:e:{row/1|name=a}")
		reader := later(p.row, "a")
		if err := f.redis.Set("cf:t:row:a", "no tag"); err != nil { // cannot be read
			t.Fatal(err)
		}
		atLoad := f.origin.hold("a")
		atMiss.release()
		synctest.Wait()
		equal(t, "loads", f.origin.count(), 1)
		equal(t, "somebody has the lease, while it loads", f.redis.Exists("cf:l:{row/1|name=a}"), false)
		atLoad.release()
		if r, err := reader(); err != nil || r.Value != "v" {
			t.Errorf("got %q, %v", r.Value, err)
		}
		equal(t, "leases that this process may have", len(p.leases.byKey), 0)
	})
}

func TestLeaseThatWasRefusedForCertainIsNotGivenBack(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p, holder, waiter := f.process(), f.process(), f.process()
		f.origin.set("a", "v")
		atLoad := f.origin.hold("a")
		holding := later(holder.row, "a")
		waiting := later(waiter.row, "a")
		atMiss := p.gate.holdAfter("cf:e:{row/1|name=a}")
		reader := later(p.row, "a")
		tag := f.redis.HGet("cf:t:row:a", "c")
		f.redis.Del("cf:t:row:a")
		if err := f.redis.Set("cf:t:row:a", "no tag"); err != nil { // cannot be read
			t.Fatal(err)
		}
		atMiss.release()
		if r, err := reader(); err != nil || r.Value != "v" {
			t.Errorf("got %q, %v", r.Value, err)
		}
		synctest.Wait()
		f.redis.Del("cf:t:row:a")
		f.redis.HSet("cf:t:row:a", "c", tag, "r", tag)
		equal(t, "waits that were ended for nothing", waiter.Stats().Keys["row/1"].Waits[waitNotStored], 0)
		atLoad.release()
		holding()
		r, err := waiting()
		if err != nil || r.Outcome != HitL2 {
			t.Errorf("the waiter: %v, %v", r.Outcome, err)
		}
	})
}

// A process that distrusts L2 takes no lease, and refreshes for itself what it has in L1.
func TestRefreshGoesOnWhileL2IsDistrusted(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a", "old")
		p.read("a")
		p.Distrust()
		f.origin.set("a", "new")
		row := p.row.source
		k := row.spec.split("row/1|name=a")
		row.refreshBehind(k, row.spec.tags(k))
		synctest.Wait()
		got, how := p.read("a")
		equal(t, "the copy", got, "new")
		equal(t, "its outcome", how, HitL1)
		equal(t, "somebody has the lease", f.redis.Exists("cf:l:{row/1|name=a}"), false)
	})
}
