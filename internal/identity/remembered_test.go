package identity

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
)

func TestWhatIsAskedForAgainStaysAndTheRestIsForgotten(t *testing.T) {
	r := remember[int](100)
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
	if v, ok := r.get("9999"); !ok || v != 9999 {
		t.Errorf("the latest: %v, %v", v, ok)
	}
	if v, ok := r.get("0"); ok {
		t.Errorf("the first is still there: %v", v)
	}
}

func TestManyWhoRememberAtOnceFindOnlyTheirOwn(t *testing.T) {
	r := remember[string](64)
	var all sync.WaitGroup
	for who := range 8 {
		all.Go(func() {
			for n := range 2_000 {
				text := fmt.Sprint(who, "-", n%100)
				if v, ok := r.get(text); ok && v != text {
					t.Errorf("%s is %s", text, v)
				}
				r.add(text, text)
			}
		})
	}
	all.Wait()
	if kept := r.young.Load().Size() + r.old.Load().Size(); kept > 64 {
		t.Errorf("%d texts are kept", kept)
	}
}
