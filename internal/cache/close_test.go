package cache

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// What a process leaves behind that is closed while it is at work: no lease.

func TestClosedProcessGivesItsLeasesBack(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p, other := f.process(), f.process()
		f.origin.set("a", "v")
		f.origin.hold("a") // ends with its context
		later(p.row, "a")
		second := later(other.row, "a")
		began := time.Now()
		p.Close()
		if r, err := second(); err != nil || r.Value != "v" {
			t.Errorf("the process that goes on got %q, %v", r.Value, err)
		}
		equal(t, "its wait", time.Since(began), 0)
	})
}

// closing closes the process and reports whether that has come to its end.
func (p *process) closing() (ended func() bool) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Close()
	}()
	synctest.Wait() // it takes no more work from here on
	return func() bool {
		synctest.Wait()
		select {
		case <-done:
			return true
		default:
			return false
		}
	}
}

func TestCloseWaitsForASetUntilItsLeaseHasEnded(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		from := p.row.Snapshot(t.Context(), "a")
		atLease := p.gate.holdAfter("cf:l:{row/1|name=a}")
		atStore := p.gate.holdBefore("'SET', KEYS[1], ARGV[2]")
		set := make(chan error, 1)
		go func() { set <- p.row.Set(context.Background(), from, "v") }()
		synctest.Wait() // it is being given the lease
		ended := p.closing()
		atLease.release()
		equal(t, "Close has returned before the lease has ended", ended(), false)
		atStore.release()
		if err := <-set; err != nil {
			t.Error(err)
		}
		equal(t, "and after it", ended(), true)
		equal(t, "the lease is in Redis", f.redis.Exists("cf:l:{row/1|name=a}"), false)
		if err := p.row.Set(t.Context(), from, "v"); err != ErrNotStored {
			t.Errorf("a Set after Close: %v", err)
		}
	})
}

// Nobody can tell whether the lease was given: it is given back, also by who is being
// closed.
func TestCloseWaitsForALeaseThatMayHaveBeenGiven(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a", "v")
		atLease := p.gate.holdBefore("cf:l:{row/1|name=a}")
		p.gate.refuse("cf:l:{row/1|name=a}")
		atRelease := p.gate.holdBefore("'UNLINK', KEYS[1]")
		reader := later(p.row, "a")
		ended := p.closing()
		atLease.release()
		equal(t, "Close has returned before the lease was given back", ended(), false)
		atRelease.release()
		_, _ = reader() // of a process that is closed
		equal(t, "and after it", ended(), true)
	})
}

// A page that is composed when its process is closed fails, and so does any after it.
func TestClosedProcessComposesNoPage(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.hold("a") // ends with its context
		reader := later(p.page, "a", "42")
		ended := p.closing()
		if r, err := reader(); err == nil {
			t.Errorf("the page that was being composed is %q", r.Value)
		}
		equal(t, "Close has come to its end", ended(), true)
		if r, err := p.page.Fetch(t.Context(), "a", "42"); !errors.Is(err, ErrUnavailable) {
			t.Errorf("a page after it: got %q, %v", r.Value, err)
		}
	})
}
