package cache

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// The last look of a page that has a stale fragment: a copy that is expired, or whose load
// has failed. The numbers are those of docs/interleavings.md.

// staleRow leaves the row "a" with a copy that is served because its load fails.
func (f *fleet) staleRow(p *process) {
	f.origin.set("a", "old")
	p.read("a")
	f.write(p, "a", "new", Changed)
	f.origin.fail("a", errBroken)
	f.origin.set("b", "b")
}

// Interleaving 19: the flight is joined while it takes its last look.
func TestPagesFlightIsNotJoinedOnceItTakesItsLastLook(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		pair := p.pair()
		f.staleRow(p)
		atLoad := f.origin.hold("b")
		reader := later(pair, "a", "42") // has the stale row
		atIDs := p.gate.holdAfter("HMGET cf:t:row:a")
		atLoad.release()
		synctest.Wait() // it has read the ids of now, and nothing is revoked
		time.Sleep(failureLife)
		f.origin.fail("a", nil)
		f.write(p, "a", "newest", Revoked)
		author := later(pair, "a", "42")
		atIDs.release()
		shows(t, "the author", author, "newest+b")
		if r, err := reader(); err != nil || r.Outcome != Stale {
			t.Errorf("whoever read from before: got %q as %v, %v", r.Value, r.Outcome, err)
		}
	})
}

// Interleavings 22 and 24: a fragment is served stale, is revoked while the page waits for
// another one, and the writer has their answer. The process does not hear of it.
func TestRevokedFragmentIsNotShownByAPageThatWaitedForAnother(t *testing.T) {
	for _, test := range []struct {
		name string
		now  error // what the origin says of the row
	}{{"the origin answers", nil}, {"the origin is broken", errBroken}} {
		t.Run(test.name, func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				writer, p := f.process(), f.process()
				pair := p.pair()
				f.staleRow(p)
				atLoad := f.origin.hold("b")
				reader := later(pair, "a", "42") // has the stale row
				p.send(lost)
				f.write(writer, "a", "withdrawn", Revoked)
				time.Sleep(2 * time.Second)
				f.origin.fail("a", test.now)
				atLoad.release()
				if test.now == nil {
					shows(t, "the page", reader, "withdrawn+b")
				} else if r, err := reader(); !errors.Is(err, test.now) {
					t.Errorf("got %q as %v, %v, want the load's error", r.Value, r.Outcome, err)
				}
			})
		})
	}
}

// Interleaving 24: nothing was waited for since the row was read, but somebody joined since
// who may know that it was revoked, or the process has heard of it.
func TestStaleFragmentIsLookedAtAgainForWhoeverJoinedSince(t *testing.T) {
	for _, test := range []struct {
		name string
		join bool
		post post
	}{{"a read joined", true, lost}, {"the process has heard", false, punctual}} {
		t.Run(test.name, func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				writer, p := f.process(), f.process()
				f.staleRow(p)
				p.own.Fetch(t.Context(), "a", "42")
				atLoad := f.origin.hold("a")
				reader := later(p.page, "a", "42")
				atRead := p.gate.holdAfter("get cf:e:{row/1|name=a}")
				atLoad.release()
				synctest.Wait() // the load has failed, and the copy that stands in is on its way
				p.send(test.post)
				f.write(writer, "a", "withdrawn", Revoked)
				reads := []readUnderWay{reader}
				if test.join {
					reads = append(reads, later(p.page, "a", "42"))
				}
				atRead.release()
				for _, read := range reads {
					if r, err := read(); !errors.Is(err, errBroken) {
						t.Errorf("got %q as %v, %v, want the load's error", r.Value, r.Outcome, err)
					}
				}
			})
		})
	}
}

// Interleaving 24: reading the ids is a wait like any other. A stale fragment that only the
// run after it uses is revoked meanwhile, and the process does not hear of it.
func TestStaleFragmentIsLookedAtAgainAfterTheIDsOfOthersWereRead(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		writer, p := f.process(), f.process()
		page := NewPage(p.Cache, pageSpec("late"), textSize, func(m *Composition) (string, error) {
			a, b, c := p.row.Want(m, "a"), p.row.Want(m, "b"), p.row.Want(m, "c")
			first, err := a.Get()
			if err != nil {
				return "", err
			}
			second, err := c.Get()
			if err != nil || first == "old" {
				return first + second, err
			}
			third, err := b.Get()
			return first + second + third, err
		})
		for _, name := range []string{"a", "b"} {
			f.origin.set(name, "old")
			p.read(name)
			f.write(p, name, "new", Changed)
			f.origin.fail(name, errBroken)
		}
		f.origin.set("c", "+")
		atB, atC := f.origin.hold("b"), f.origin.hold("c")
		reader := later(page, "a", "42") // has the stale a, and waits for c
		p.send(lost)
		f.write(writer, "a", "newest", Revoked)
		atIDs := p.gate.holdAfter("HMGET cf:t:row:a")
		atC.release()
		synctest.Wait() // it has read the ids: a is revoked
		atB.release()
		synctest.Wait() // b is stale now, too, and was not waited for
		time.Sleep(failureLife)
		f.origin.fail("a", nil)
		f.origin.fail("b", nil)
		p.read("a") // so that the next run need not wait for it
		f.write(writer, "b", "newest", Revoked)
		atIDs.release()
		shows(t, "the page", reader, "newest+newest")
	})
}

// Interleaving 22: what was revoked is fetched again, and what this process has of it
// passes for fresh, since the message is late.
func TestWhatWasFoundRevokedIsNotTakenAgain(t *testing.T) {
	t.Run("from L1", func(t *testing.T) {
		inFleet(t, func(t *testing.T, f *fleet) {
			writer, p := f.process(), f.process()
			three := NewPage(p.Cache, pageSpec("three"), textSize, func(m *Composition) (string, error) {
				text := ""
				for _, w := range []Wanted[string]{p.row.Want(m, "a"), p.row.Want(m, "c"), p.row.Want(m, "b")} {
					v, err := w.Get()
					if err != nil {
						return "", err
					}
					text += v
				}
				return text, nil
			})
			f.staleRow(p)
			f.origin.set("c", "old")
			p.read("c") // is in L1
			atLoad := f.origin.hold("b")
			reader := later(three, "a", "42")
			p.delayMessages()
			f.write(writer, "c", "withdrawn", Revoked)
			atLoad.release()
			shows(t, "the page", reader, "oldwithdrawnb")
		})
	})
	t.Run("from a flight", func(t *testing.T) {
		inFleet(t, func(t *testing.T, f *fleet) {
			writer, p := f.process(), f.process()
			pair := p.pair()
			f.staleRow(p)
			atB := f.origin.hold("b")
			reader := later(pair, "a", "42") // has the stale row
			time.Sleep(failureLife)
			f.origin.fail("a", nil)
			atA := f.origin.hold("a")
			other := later(p.row, "a") // has read the row
			p.delayMessages()
			f.write(writer, "a", "withdrawn", Revoked)
			atB.release()
			synctest.Wait() // the page has read the ids
			atA.release()
			shows(t, "the page", reader, "withdrawn+b")
			shows(t, "whoever read the row before", other, "new")
		})
	})
	t.Run("from a fill that is being stored", func(t *testing.T) {
		inFleet(t, func(t *testing.T, f *fleet) {
			writer, p := f.process(), f.process()
			pair := p.pair()
			f.staleRow(p)
			atB := f.origin.hold("b")
			reader := later(pair, "a", "42") // has the stale row
			time.Sleep(failureLife)
			f.origin.fail("a", nil)
			atStore := p.gate.holdBefore("'SET', KEYS[1], ARGV[2]")
			other := later(p.row, "a") // has loaded the row
			p.delayMessages()
			f.write(writer, "a", "withdrawn", Revoked)
			atB.release()
			synctest.Wait() // the page has read the ids, and was refused the lease
			atStore.release()
			shows(t, "the page", reader, "withdrawn+b")
			shows(t, "whoever read the row before", other, "new")
		})
	})
}

// Interleaving 23: the ids are read while L2 is distrusted, and it is trusted again when
// that is looked at.
func TestIDsOfAStaleFragmentFromBeforeADrainAreNotTrustedAfterIt(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		writer, p := f.process(), f.process()
		pair := p.pair()
		f.staleRow(p)
		atLoad := f.origin.hold("b")
		reader := later(pair, "a", "42") // has the stale row
		time.Sleep(failureLife)
		f.origin.set("a", "withdrawn") // by a writer that died before their move
		f.origin.fail("a", nil)
		p.Distrust()                                  // the row of the event is there
		atIDs := p.gate.holdAfter("HMGET cf:t:row:a") // if they are read at all
		atLoad.release()
		synctest.Wait()
		p.send(lost)
		_, end, _ := p.BeginDrain()
		writer.Invalidate(t.Context(), Revoked(rowTag("a"))) // delivers it
		end()
		atIDs.release()
		shows(t, "the page", reader, "withdrawn+b")
	})
}

// Interleaving 25: a stale page is kept, and passes for fresh when its fragment has been
// loaded long since.
func TestStalePageIsKeptNowhere(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.staleRow(p)
		got, how := p.readPage("a", "42")
		equal(t, "while the origin fails", got, "old+")
		equal(t, "its outcome", how, Stale)
		f.origin.fail("a", nil)
		time.Sleep(failureLife)
		got, how = p.readPage("a", "42")
		equal(t, "when it answers", got, "new+")
		equal(t, "its outcome", how, Miss)
	})
}

// Interleaving 29: a page says "not found" by a stale fragment. What it needs may be there
// by now.
func TestNotFoundByAStaleFragmentIsUnavailable(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		members := NewPage(p.Cache, pageSpec("members"), textSize, func(m *Composition) (string, error) {
			v, err := p.row.Want(m, m.Key().Get("name")).Get()
			if err == nil && v != "new" {
				err = errNothing
			}
			return v, err
		})
		f.origin.set("a", "old")
		if r, err := members.Fetch(t.Context(), "a", "42"); !errors.Is(err, errNothing) {
			t.Errorf("by what is fresh: got %q, %v", r.Value, err)
		}
		f.staleRow(p)
		if r, err := members.Fetch(t.Context(), "a", "42"); !errors.Is(err, ErrUnavailable) || errors.Is(err, errNothing) {
			t.Errorf("by what is stale: got %q, %v", r.Value, err)
		}
		f.origin.fail("a", nil)
		time.Sleep(failureLife)
		if r, err := members.Fetch(t.Context(), "a", "42"); err != nil || r.Value != "new" {
			t.Errorf("when the origin answers: got %q, %v", r.Value, err)
		}
	})
}

// A page that has nothing to show because of a fragment whose time is over loads that first:
// the origin may be well.
func TestNotFoundByAnExpiredFragmentIsLoadedAgainFirst(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		members := NewPage(p.Cache, pageSpec("members"), textSize, func(m *Composition) (string, error) {
			v, err := p.row.Want(m, m.Key().Get("name")).Get()
			if err == nil && v == "private" {
				err = errNothing
			}
			return v, err
		})
		for _, now := range []string{"private", "public"} {
			f.origin.set("a", "private")
			p.read("a")
			time.Sleep(40 * time.Second) // expired, within Stale
			f.origin.set("a", now)
			r, err := members.Fetch(t.Context(), "a", "42")
			if public := now == "public"; public && (err != nil || r.Value != now) || !public && !errors.Is(err, errNothing) {
				t.Errorf("now it is %s: got %q, %v", now, r.Value, err)
			}
			f.write(p, "a", "private", Revoked)
		}
	})
}

// Interleaving 33: a fragment is served stale because its time is over. Its author changes
// it, and joins the page's flight. It is not revoked, but the origin answers.
func TestAuthorsChangeIsInThePageThatHadItsFragmentStale(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		pair := p.pair()
		f.origin.set("a", "old")
		p.read("a")
		time.Sleep(40 * time.Second) // expired, within Stale
		f.origin.hold("a")           // of the refresh
		atLoad := f.origin.hold("b")
		reader := later(pair, "a", "42") // has the stale row
		f.write(p, "a", "new", Changed)
		author := later(pair, "a", "42")
		atLoad.release()
		shows(t, "the author", author, "new+")
		if _, err := reader(); err != nil {
			t.Error(err)
		}
	})
}

// Interleaving 33: the change is another process's, and this one does not hear of it. The page
// waits for another fragment meanwhile, so it reads the ids of now, which tell.
func TestExpiredFragmentThatWasChangedWhileThePageWaitedIsLoaded(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		writer, p := f.process(), f.process()
		pair := p.pair()
		f.origin.set("a", "old")
		f.origin.set("b", "b")
		p.read("a")
		time.Sleep(40 * time.Second) // expired, and within StaleWhileRevalidate
		atRefresh, atB := f.origin.hold("a"), f.origin.hold("b")
		reader := later(pair, "a", "42") // has the expired row
		p.send(lost)
		f.write(writer, "a", "new", Changed)
		atB.release()
		synctest.Wait()
		atRefresh.release()
		shows(t, "the page", reader, "new+b")
	})
}

// Interleaving 24: a stale fragment was fetched after the flight was closed, and is revoked
// before the page's third look. That look does not fetch again what is overtaken, but reads
// the ids of what was heard of.
func TestStaleFragmentThatIsRevokedBeforeTheThirdLookIsNotShown(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		writer, p := f.process(), f.process()
		runs := 0
		page := NewPage(p.Cache, pageSpec("busy"), textSize, func(m *Composition) (string, error) {
			v, err := p.row.Want(m, "a").Get()
			if m.ctx == nil || err != nil {
				return v, err
			}
			if runs++; runs < freshLooks {
				p.fence.Hear(rowTag("a")) // so that it is fetched again
			} else if runs == freshLooks {
				_ = writer.Invalidate(context.Background(), Revoked(rowTag("a")))
				synctest.Wait() // until the process has heard
			}
			return v, err
		})
		f.staleRow(p)
		if r, err := page.Fetch(t.Context(), "a", "42"); !errors.Is(err, errBroken) {
			t.Errorf("got %q as %v, %v, want the load's error", r.Value, r.Outcome, err)
		}
		equal(t, "runs", runs, freshLooks)
	})
}
