package breaker

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// The breaker: the nth failure in a row keeps calls back for min(n × 200 ms, 5 s).
func TestBreakerKeepsItsSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(0, 5*time.Second)
		for n := 1; n <= 30; n++ {
			if !b.Allow(nil) {
				t.Fatalf("failure %d: the probe was not let through", n)
			}
			if n > 1 && b.Allow(nil) {
				t.Fatalf("failure %d: a second probe was let through", n)
			}
			b.Done(errors.New("away"))
			b.Done(errors.New("away")) // another call that was under way counts with the first
			wait := min(time.Duration(n)*200*time.Millisecond, 5*time.Second)
			time.Sleep(wait - time.Nanosecond)
			if b.Allow(nil) {
				t.Fatalf("failure %d: let through before %v", n, wait)
			}
			time.Sleep(time.Nanosecond)
		}
		if !b.Allow(nil) || !b.Open() {
			t.Fatal("half open: one probe")
		}
		b.Done(nil)
		if b.Open() || !b.Allow(nil) || !b.Allow(nil) {
			t.Error("a probe that succeeds closes it")
		}
	})
}

func TestBreakerForgetsFailuresThatNoCallFollowedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(0, 5*time.Second)
		b.Allow(nil)
		b.Done(errors.New("away"))
		time.Sleep(time.Minute)
		for range 2 {
			if !b.Allow(nil) || b.Open() {
				t.Error("a minute later it is still half open")
			}
		}
	})
}
