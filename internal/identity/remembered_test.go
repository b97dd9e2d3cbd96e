package identity

import (
	"strconv"
	"sync"
	"testing"
	"unsafe"
)

func TestAsManyTextsAreRememberedAsWasAskedFor(t *testing.T) {
	const n = 100
	r := remember[int](n)
	for round := range 5 {
		for i := range n { // in a circle, the worst order for a memory that is too small
			v, ok := r.get(strconv.Itoa(i))
			if ok != (round > 0) || ok && v != i {
				t.Fatalf("round %d, text %d: %v, %v", round, i, v, ok)
			}
			if !ok {
				r.add(strconv.Itoa(i), i)
			}
		}
	}
}

func TestWhatIsAskedForStaysAndTheRestIsForgotten(t *testing.T) {
	r := remember[int](50)
	r.add("hot", -1)
	for n := range 10_000 {
		r.add(strconv.Itoa(n), n)
		if v, ok := r.get("hot"); !ok || v != -1 {
			t.Fatalf("after %d others: %v, %v", n+1, v, ok)
		}
		if kept := r.young.Load().Size() + r.old.Load().Size(); kept > 100 {
			t.Fatalf("%d texts are kept after %d", kept, n+1)
		}
	}
	if v, ok := r.get("0"); ok {
		t.Errorf("the first is still there: %v", v)
	}
}

func TestARequestsHeaderIsNotKeptForATextInIt(t *testing.T) {
	r := remember[int](10)
	header := []byte("de, fr")
	r.add(unsafe.String(unsafe.SliceData(header), len(header)), 1)
	copy(header, "xx, xx")
	if _, ok := r.get("de, fr"); !ok {
		t.Error("the text has changed with what it was a part of")
	}
}

func TestManyWhoRememberAtOnceKeepToTheBound(t *testing.T) {
	const n = 64
	r := remember[int](n)
	var all sync.WaitGroup
	for who := range 8 {
		all.Go(func() {
			for i := range 5_000 {
				r.add(strconv.Itoa(i*8+who), i)
				r.mu.Lock()
				if kept := r.young.Load().Size() + r.old.Load().Size(); kept > 2*n {
					t.Errorf("%d texts are kept", kept)
				}
				r.mu.Unlock()
			}
		})
	}
	all.Wait()
}
