package cache

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/communityfeed/internal/cache/remote"

	"example.com/communityfeed/internal/cache/local"
)

// What a process does to others, and to itself, when something ends in the wrong
// moment.

// On a real socket: the library holds a mutex while it connects, which no bubble
// can wait for.
func TestCloseDoesNotWaitForASilentServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	tier, err := remote.Open("redis://"+listener.Addr().String()+"/0", remote.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer tier.Close()
	c := New(tier, Options{})
	conn, err := listener.Accept() // it has connected, and will not be answered
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	closed := make(chan struct{})
	go func() { c.Close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(2 * time.Second):
		t.Error("Close is still waiting after 2 s")
		<-closed
	}
}

// answeredLate lets the first call with a command of a name reach the server, and its
// answer come after the deadline.
type answeredLate struct {
	once sync.Once
	name string
}

func (h *answeredLate) pass(ctx context.Context, err error, cmds ...redis.Cmder) error {
	if slices.ContainsFunc(cmds, func(cmd redis.Cmder) bool { return cmd.Name() == h.name }) {
		h.once.Do(func() {
			<-ctx.Done()
			err = fail(ctx.Err(), cmds)
		})
	}
	return err
}

func (h *answeredLate) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *answeredLate) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { return h.pass(ctx, next(ctx, cmds), cmds...) }
}

func (h *answeredLate) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { return h.pass(ctx, next(ctx, cmd), cmd) }
}

func TestLeaseWhoseAnswerCameTooLateIsGivenBack(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p, other := f.process(), f.process()
		f.origin.set("a", "v")
		p.client.AddHook(&answeredLate{name: "set"})
		p.read("a")
		synctest.Wait()
		began := time.Now()
		got, _ := other.read("a")
		equal(t, "another process's read", got, "v")
		equal(t, "its wait for a lease that nobody holds", time.Since(began), 0)
	})
}

func TestLeaseWhoseAnswerCameTooLateDoesNotLockItsKey(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		p.l1 = local.New[localCopy](-1, 0, 0)
		f.origin.set("a", "v")
		p.client.AddHook(&answeredLate{name: "set"})
		atRelease := p.gate.holdBefore("'UNLINK', KEYS[1]") // nor is it given back soon
		p.read("a")
		if !f.redis.Exists("cf:l:{row/1|name=a}") {
			t.Fatal("the lease was to be left")
		}
		time.Sleep(testBreakerStep)
		began := time.Now()
		_, how := p.read("a")
		equal(t, "the next read", how, Miss)
		equal(t, "its wait for a lease that nobody holds", time.Since(began), 0)
		_, how = p.read("a")
		equal(t, "the one after", how, HitL2)
		atRelease.release()
	})
}

// slow makes every call take a while.
type slow struct{ by time.Duration }

func (h slow) down(ctx context.Context) error {
	select {
	case <-time.After(h.by):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h slow) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h slow) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := h.down(ctx); err != nil {
			cmd.SetErr(err)
			return err
		}
		return next(ctx, cmd)
	}
}

func (h slow) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if err := h.down(ctx); err != nil {
			for _, cmd := range cmds {
				cmd.SetErr(err)
			}
			return err
		}
		return next(ctx, cmds)
	}
}

func TestMoveDoesNotWaitBehindReads(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		p.client.AddHook(slow{50 * time.Millisecond})
		var reads sync.WaitGroup
		for i := range 200 {
			reads.Go(func() { p.row.GetOrSet(context.Background(), fmt.Sprint(i)) })
		}
		synctest.Wait() // they queue for their turns
		began := time.Now()
		if err := p.Invalidate(t.Context(), Changed("x")); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 150*time.Millisecond { // with two of them to greet the server
			t.Errorf("the move took %v of calls that take 50 ms", took)
		}
		reads.Wait()
	})
}

func TestMoveDoesNotWaitBehindFillsThatEnd(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		var reads sync.WaitGroup
		var loads []*hold
		for i := range 200 {
			loads = append(loads, f.origin.hold(fmt.Sprint(i)))
			reads.Go(func() { p.row.GetOrSet(context.Background(), fmt.Sprint(i)) })
		}
		synctest.Wait() // all of them have a lease, and load
		p.client.AddHook(slow{50 * time.Millisecond})
		for _, h := range loads {
			h.release()
		}
		synctest.Wait() // they queue to store
		began := time.Now()
		if err := p.Invalidate(t.Context(), Changed("x")); err != nil {
			t.Error(err)
		}
		equal(t, "the move took", time.Since(began), 50*time.Millisecond)
		reads.Wait()
	})
}

// betweenCommands runs something on the wire in front of a command of a pipeline.
type betweenCommands struct {
	net.Conn
	command string
	do      *func()
}

func (c betweenCommands) Write(b []byte) (int, error) {
	at := strings.Index(string(b), fmt.Sprintf("\r\n$%d\r\n%s\r\n", len(c.command), c.command))
	if *c.do == nil || at < 0 {
		return c.Conn.Write(b)
	}
	do := *c.do
	*c.do = nil
	at = strings.LastIndexByte(string(b[:at]), '*')
	before, err := c.Conn.Write(b[:at])
	if err != nil {
		return before, err
	}
	do()
	after, err := c.Conn.Write(b[at:])
	return before + after, err
}

func TestExpiredEntryIsNotAsYoungAsItsSuccessor(t *testing.T) {
	for _, command := range []string{"pttl", "get"} {
		t.Run(command, func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				var do func()
				dial := func(context.Context) (net.Conn, error) {
					conn, err := f.redis.Dial()
					return betweenCommands{conn, command, &do}, err
				}
				tier, err := remote.Open("redis://127.0.0.1:1", remote.Options{Dial: dial})
				if err != nil {
					t.Fatal(err)
				}
				p, other := f.start(tier), f.process()
				t.Cleanup(func() { p.Close(); tier.Close() })
				f.origin.set("a", "old")
				other.read("a")
				f.origin.set("a", "new")     // nobody moves: time is all there is
				time.Sleep(40 * time.Second) // expired
				do = func() { other.read("a"); synctest.Wait() }
				got, how := p.read("a")
				if got == "old" && how != Stale {
					t.Errorf("a copy that has expired passed as %v", how)
				}
			})
		})
	}
}

func TestReadsOfNothingFillNeitherTier(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("hot", "v")
		p.read("hot")
		p.o.Answer = func(error) bool { return true }
		for i := range 200 {
			name := fmt.Sprint("nothing", i)
			f.origin.fail(name, errNothing)
			if _, err := p.row.GetOrSet(t.Context(), name); !errors.Is(err, errNothing) {
				t.Fatal(err)
			}
		}
		equal(t, "copies in L1", p.l1.Stats().Entries, 1)
		time.Sleep(2 * time.Minute)
		left := 0
		for _, key := range f.redis.Keys() {
			if strings.HasPrefix(key, "cf:t:row:nothing") {
				left++
			}
		}
		equal(t, "tags of nothing in Redis", left, 0)
		equal(t, "the tag of an entry is there", f.redis.Exists("cf:t:row:hot"), true)
	})
}

func TestTagLivesAsLongAsItsEntry(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a", "v")
		p.read("a")
		entry, tag := f.redis.TTL("cf:e:{row/1|name=a}"), f.redis.TTL("cf:t:row:a")
		if tag <= entry {
			t.Errorf("the entry lives for %v, its tag for %v", entry, tag)
		}
		f.write(p, "a", "w", Changed)
		if got := f.redis.TTL("cf:t:row:a"); got != testTagLife {
			t.Errorf("after a move the tag lives for %v", got)
		}
		p.read("a")
		if got := f.redis.TTL("cf:t:row:a"); got != testTagLife {
			t.Errorf("a store shortened the tag's life to %v", got)
		}
	})
}

func TestLoadThatEndsItsGoroutineIsAnError(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		exit := NewSource(p.Cache, rowSpec("exit"), JSON[string]{}, func(context.Context, Key) (string, error) {
			runtime.Goexit()
			return "", nil
		})
		if _, err := exit.GetOrSet(t.Context(), "a"); !errors.Is(err, errEnded) {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		equal(t, "leases that this process may have", len(p.leases.byKey), 0)
		equal(t, "the lease is in Redis", f.redis.Exists("cf:l:{exit/1|name=a}"), false)
	})
}

func TestUsableCopyStandsInAlsoWhenTheFirstReadOfL2Failed(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a", "v")
		p.read("a")
		f.write(p, "a", "w", Changed)
		f.origin.fail("a", errBroken)
		atLoad := f.origin.hold("a")
		f.redis.SetError("LOADING")
		reader := later(p.row, "a")
		f.redis.SetError("")
		atLoad.release()
		if r, err := reader(); err != nil || r.Outcome != Stale {
			t.Errorf("got %q, %v, %v", r.Value, r.Outcome, err)
		}
	})
}

func TestCopyFilledMeanwhileByAnotherIsNoStandIn(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p, other := f.process(), f.process()
		f.origin.set("a", "v")
		atLoad := f.origin.hold("a")
		reader := later(p.row, "a")
		f.redis.Del("cf:l:{row/1|name=a}") // lost
		other.read("a")
		f.origin.fail("a", errBroken)
		atLoad.release()
		r, err := reader()
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "the outcome", r.Outcome, HitL2)
	})
}

func TestIdleSubscriptionIsKept(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p, other := f.process(), f.process()
		before := p.Stats().FenceRaised
		time.Sleep(time.Minute)
		equal(t, "floors raised in a quiet minute", p.Stats().FenceRaised, before)
		f.origin.set("a", "old")
		p.read("a")
		f.write(other, "a", "new", Changed)
		got, _ := p.read("a")
		equal(t, "a read after another process's move", got, "new")
	})
}

func TestAbsentRedisDoesNotEmptyL1AgainAndAgain(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.redis.SetError("away")
		time.Sleep(10 * time.Second) // the subscription breaks
		before := p.Stats().FenceRaised
		time.Sleep(time.Minute)
		equal(t, "floors raised while there was nothing to lose", p.Stats().FenceRaised, before)
	})
}
