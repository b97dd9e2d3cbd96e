package events_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/communityfeed/internal/events"
)

// marked is one UPDATE.
type marked struct {
	After time.Duration // the beginning of the test
	IDs   []int64
}

// ledger notes what is marked, on the clock of a synctest bubble.
type ledger struct {
	began time.Time
	takes time.Duration // for one UPDATE

	mu   sync.Mutex
	list []marked
}

func newLedger() *ledger { return &ledger{began: time.Now()} }

func (l *ledger) mark(ids []int64) {
	l.mu.Lock()
	l.list = append(l.list, marked{time.Since(l.began), slices.Clone(ids)})
	l.mu.Unlock()
	time.Sleep(l.takes)
}

func (l *ledger) want(t *testing.T, want ...marked) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if diff := cmp.Diff(want, l.list); diff != "" {
		t.Errorf("marked (-want +got):\n%s", diff)
	}
}

const soon = 50 * time.Millisecond

func upTo(n int64) []int64 {
	ids := make([]int64, n)
	for i := range ids {
		ids[i] = int64(i) + 1
	}
	return ids
}

func TestRowsAreMarkedTogetherSoonAfterTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger()
		m := events.NewMarks(l.mark)
		m.Add(1)
		time.Sleep(soon - time.Millisecond)
		m.Add(2, 3)
		l.want(t)
		time.Sleep(2 * time.Millisecond)
		l.want(t, marked{soon, []int64{1, 2, 3}})

		time.Sleep(time.Second) // the goroutine has ended, and begins anew
		m.Add()
		m.Add(4)
		time.Sleep(time.Second)
		l.want(t, marked{soon, []int64{1, 2, 3}}, marked{time.Second + soon + time.Millisecond + soon, []int64{4}})
	})
}

func TestManyRowsDoNotWaitForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger()
		m := events.NewMarks(l.mark)
		m.Add(upTo(100)...)
		time.Sleep(time.Second)
		l.want(t, marked{0, upTo(100)})
	})
}

// While one UPDATE is under way there is no second: what is delivered meanwhile is in
// the next.
func TestRowsThatAreDeliveredDuringAMarkAreInTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger()
		l.takes = 3 * soon
		m := events.NewMarks(l.mark)
		m.Add(1)
		for id := int64(2); id <= 4; id++ {
			time.Sleep(soon + time.Millisecond)
			m.Add(id)
		}
		time.Sleep(time.Second)
		l.want(t, marked{soon, []int64{1}}, marked{5 * soon, []int64{2, 3, 4}})
	})
}

func TestCloseMarksWhatWaitsAndWhatIsDeliveredAfterIsMarkedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger()
		l.takes = time.Second
		m := events.NewMarks(l.mark)
		m.Add(1)
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(l.began); took != time.Second {
			t.Errorf("Close took %v, and the mark %v", took, l.takes)
		}
		m.Add(2)
		l.want(t, marked{0, []int64{1}}, marked{time.Second, []int64{2}})
		if took := time.Since(l.began); took != 2*time.Second {
			t.Errorf("a straggler is told after %v, before its row is marked", took)
		}
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestCloseDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger()
		l.takes = time.Minute
		m := events.NewMarks(l.mark)
		m.Add(1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := m.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		time.Sleep(l.takes) // the bubble has no goroutines at its end
	})
}

func TestARowThatCannotBeMarkedIsCountedAndLeft(t *testing.T) {
	p := newPlace(t)
	p.exec(t, `ALTER TABLE outbox ADD CONSTRAINT never CHECK (delivered_at IS NULL)`)
	if err := p.outbox.Write(t.Context(), plant(t.Context(), 1)); err != nil {
		t.Fatal(err)
	}
	closeOutbox(t, p.outbox)
	equal(t, "stats", p.outbox.Stats(), events.OutboxStats{Written: 1, Undelivered: 1})
	equal(t, "left open", p.open(t), []int{1})
}
