package cachetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/communityfeed/internal/cache"
)

// The promises of the contract that hold with either tier and with both. What only
// an L2 can promise says so.

var bothMoves = map[string]func(...cache.Tag) cache.Invalidation{"changed": cache.Changed, "revoked": cache.Revoked}

func TestCopyAnswersUntilItExpires(t *testing.T) {
	eachTier(t, func(t *testing.T, r *rig) {
		r.set("a", "v")
		for range 3 {
			r.reads(t, "a", "v")
		}
		r.loaded(t, "item/1 a", 1)
		r.set("a", "w") // nobody is told
		time.Sleep(33*time.Second + time.Millisecond)
		r.reads(t, "a", "w")
	})
}

func TestMoveEndsTheCopiesUnderItsTagAndNoOthers(t *testing.T) {
	for name, m := range bothMoves {
		t.Run(name, func(t *testing.T) {
			eachTier(t, func(t *testing.T, r *rig) {
				r.set("a", "v")
				r.set("b", "v")
				r.reads(t, "a", "v")
				r.reads(t, "b", "v")
				r.write(t, "a", "w", m)
				r.reads(t, "a", "w")
				r.reads(t, "b", "v")
				r.loaded(t, "item/1 b", 1)
			})
		})
	}
}

func TestMoveOfEverythingEndsEveryCopy(t *testing.T) {
	eachTier(t, func(t *testing.T, r *rig) {
		for _, name := range []string{"a", "b"} {
			r.set(name, "v")
			r.reads(t, name, "v")
			r.set(name, "w")
		}
		if err := r.Invalidate(t.Context(), cache.Revoked(cache.Everything)); err != nil {
			t.Fatal(err)
		}
		r.reads(t, "a", "w")
		r.reads(t, "b", "w")
	})
}

func TestFillFromBeforeAWriteAnswersNobodyWhoAsksAfterIt(t *testing.T) {
	for name, m := range bothMoves {
		t.Run(name, func(t *testing.T) {
			eachTier(t, func(t *testing.T, r *rig) {
				r.set("a", "old")
				release := r.hold()
				var reader, author string
				var reads sync.WaitGroup
				reads.Go(func() { reader, _ = r.item.GetOrSet(context.Background(), "a") })
				synctest.Wait()
				r.write(t, "a", "new", m)
				reads.Go(func() { author, _ = r.item.GetOrSet(context.Background(), "a") })
				synctest.Wait()
				release()
				reads.Wait()
				if reader != "old" || author != "new" {
					t.Errorf("the reader from before got %q, the author %q", reader, author)
				}
				r.reads(t, "a", "new")
			})
		})
	}
}

func TestManyReadersCauseOneLoad(t *testing.T) {
	eachTier(t, func(t *testing.T, r *rig) {
		r.set("a", "v")
		release := r.hold()
		var reads sync.WaitGroup
		for range 100 {
			reads.Go(func() { r.reads(t, "a", "v") })
		}
		synctest.Wait()
		release()
		reads.Wait()
		r.loaded(t, "item/1 a", 1)
	})
}

func TestWhoLeavesGetsTheirOwnErrorAndTakesNobodyAlong(t *testing.T) {
	eachTier(t, func(t *testing.T, r *rig) {
		r.set("a", "v")
		release := r.hold()
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		go func() {
			_, err := r.item.GetOrSet(ctx, "a")
			gone <- err
		}()
		synctest.Wait()
		var stays sync.WaitGroup
		stays.Go(func() { r.reads(t, "a", "v") })
		synctest.Wait()
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("who left got %v", err)
		}
		release()
		stays.Wait()
		r.loaded(t, "item/1 a", 1)
	})
}

func TestFailedLoadIsAnErrorForASecond(t *testing.T) {
	eachTier(t, func(t *testing.T, r *rig) {
		r.set("a", "v")
		r.fail(errBroken)
		for range 3 {
			if _, err := r.item.GetOrSet(t.Context(), "a"); !errors.Is(err, errBroken) {
				t.Errorf("got %v", err)
			}
		}
		r.loaded(t, "item/1 a", 1)
		r.fail(nil)
		time.Sleep(time.Second)
		r.reads(t, "a", "v")
	})
}

func TestPanicIsAnErrorAndTheNextReadGoesOn(t *testing.T) {
	eachTier(t, func(t *testing.T, r *rig) {
		r.set("a", "panic")
		if _, err := r.item.GetOrSet(t.Context(), "a"); !errors.As(err, new(*cache.PanicError)) {
			t.Errorf("got %v", err)
		}
		r.set("a", "v")
		time.Sleep(time.Second)
		r.reads(t, "a", "v")
	})
}

func TestChangedCopyStandsInForAFailedLoadAndARevokedOneDoesNot(t *testing.T) {
	eachTier(t, func(t *testing.T, r *rig) {
		r.set("a", "v")
		r.reads(t, "a", "v")
		r.fail(errBroken)
		r.write(t, "a", "w", cache.Changed)
		if got, err := r.item.Fetch(t.Context(), "a"); r.l2 && (err != nil || got.Outcome != cache.Stale || got.Value != "v") {
			t.Errorf("a changed copy: got %+v, %v", got, err)
		} else if !r.l2 && !errors.Is(err, errBroken) { // L1 keeps no such copies
			t.Errorf("without L2: got %+v, %v", got, err)
		}
		r.write(t, "a", "", cache.Revoked)
		if got, err := r.item.Fetch(t.Context(), "a"); !errors.Is(err, errBroken) {
			t.Errorf("a revoked copy: got %+v, %v", got, err)
		}
	})
}

func TestNothingThereIsKeptInTheProcessAndEndsWithAMove(t *testing.T) {
	eachTier(t, func(t *testing.T, r *rig) {
		for range 3 {
			if _, err := r.item.GetOrSet(t.Context(), "a"); !errors.Is(err, errAbsent) {
				t.Errorf("got %v", err)
			}
		}
		if r.l1 {
			r.loaded(t, "item/1 a", 1)
		}
		r.write(t, "a", "v", cache.Changed)
		r.reads(t, "a", "v")
	})
}

func TestPageEndsWithItsFragment(t *testing.T) {
	eachTier(t, func(t *testing.T, r *rig) {
		for i, want := range []string{"v", "w"} {
			r.write(t, "a", want, cache.Changed)
			for _, viewer := range []string{"1", "2"} {
				if got, err := r.list.Fetch(t.Context(), "a", viewer); err != nil || got.Value != want+" for "+viewer {
					t.Errorf("got %+v, %v", got, err)
				}
			}
			r.loaded(t, "item/1 a", i+1)
		}
	})
}

func TestKeysAreApartWhateverIsInTheirValues(t *testing.T) {
	eachTier(t, func(t *testing.T, r *rig) {
		odd := []string{"", "a", "a|viewer=1", "{a}", "a}", "ä", "%61", "\x00", "a b", "*"}
		for i, name := range odd {
			r.set(name, fmt.Sprint("v", i))
		}
		for range 2 {
			for i, name := range odd {
				r.reads(t, name, fmt.Sprint("v", i))
			}
		}
	})
}

func TestManyReadsAreAsGoodAsOneByOne(t *testing.T) {
	eachTier(t, func(t *testing.T, r *rig) {
		r.set("a", "v")
		r.set("b", "v")
		r.reads(t, "a", "v")
		for round := range 2 {
			got, errs := r.item.GetMany(t.Context(), [][]string{{"a"}, {"b"}, {"none"}, {"a"}})
			if errs == nil || errs[0] != nil || errs[1] != nil || !errors.Is(errs[2], errAbsent) || errs[3] != nil {
				t.Errorf("round %d: got errors %v", round, errs)
			}
			if got[0].Value != "v" || got[1].Value != "v" || got[3].Value != "v" {
				t.Errorf("round %d: got %+v", round, got)
			}
		}
		r.loaded(t, "item/1 a", 1)
		r.loaded(t, "item/1 b", 1)
		r.write(t, "a", "w", cache.Changed)
		if got, errs := r.item.GetMany(t.Context(), [][]string{{"a"}, {"b"}}); errs != nil || got[0].Value != "w" || got[1].Value != "v" {
			t.Errorf("after a move: %+v, %v", got, errs)
		}
		r.loaded(t, "item/1 b", 1)
	})
}

func TestValueThatIsSetIsReadAndEndsWithAMove(t *testing.T) {
	for name, m := range bothMoves {
		t.Run(name, func(t *testing.T) {
			eachTier(t, func(t *testing.T, r *rig) {
				if got, found := r.item.Get(t.Context(), "a"); found {
					t.Errorf("found %q", got.Value)
				}
				from := r.item.Snapshot(t.Context(), "a")
				if err := r.item.Set(t.Context(), from, "v"); err != nil {
					t.Fatal(err)
				}
				if got, found := r.item.Get(t.Context(), "a"); !found || got.Value != "v" {
					t.Errorf("got %q, %v", got.Value, found)
				}
				r.reads(t, "a", "v")
				r.loaded(t, "item/1 a", 0)
				r.write(t, "a", "w", m)
				if got, found := r.item.Get(t.Context(), "a"); found {
					t.Errorf("found %q after a move", got.Value)
				}
				r.reads(t, "a", "w")
			})
		})
	}
}

func TestValueOfASnapshotFromBeforeAWriteIsNotRead(t *testing.T) {
	eachTier(t, func(t *testing.T, r *rig) {
		from := r.item.Snapshot(t.Context(), "a")
		r.write(t, "a", "new", cache.Changed)
		_ = r.item.Set(t.Context(), from, "old") // whether it is stored does not matter
		r.reads(t, "a", "new")
	})
}

func TestValueThatIsSetWhileTheKeyIsBeingFilledIsNotStored(t *testing.T) {
	eachTier(t, func(t *testing.T, r *rig) {
		r.set("a", "loaded")
		from := r.item.Snapshot(t.Context(), "a")
		release := r.hold()
		var reads sync.WaitGroup
		reads.Go(func() { r.reads(t, "a", "loaded") })
		synctest.Wait()
		err := r.item.Set(t.Context(), from, "set")
		if r.l2 && !errors.Is(err, cache.ErrNotStored) || !r.l2 && err != nil {
			t.Errorf("got %v", err)
		}
		release()
		reads.Wait()
	})
}

func TestOneAtATimeRunsUnderALock(t *testing.T) {
	eachTier(t, func(t *testing.T, r *rig) {
		ran, err := r.WithLock(t.Context(), "sweep", func(ctx context.Context) error {
			again, _ := r.WithLock(ctx, "sweep", func(context.Context) error { return nil })
			if again == r.l2 {
				t.Errorf("ran under a lock that is held: %v", again)
			}
			return errBroken
		})
		if !ran || !errors.Is(err, errBroken) {
			t.Errorf("got %v, %v", ran, err)
		}
	})
}

func TestClosedCacheSaysSo(t *testing.T) {
	eachTier(t, func(t *testing.T, r *rig) {
		r.Close()
		if _, err := r.item.GetOrSet(t.Context(), "a"); !errors.Is(err, cache.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
}
