package cache

import (
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// replica makes a copy of what Redis holds, and returns what fails over to it: Redis
// then knows nothing of what was written since.
func (f *fleet) replica() (failover func()) {
	texts := make(map[string]string)
	hashes := make(map[string][]string)
	ends := make(map[string]time.Time)
	for _, key := range f.redis.Keys() {
		ends[key] = time.Now().Add(f.redis.TTL(key))
		if f.redis.Type(key) == "string" {
			texts[key], _ = f.redis.Get(key)
			continue
		}
		fields, _ := f.redis.HKeys(key)
		for _, field := range fields {
			hashes[key] = append(hashes[key], field, f.redis.HGet(key, field))
		}
	}
	return func() {
		f.redis.FlushAll()
		for key, text := range texts {
			if err := f.redis.Set(key, text); err != nil {
				f.t.Error(err)
			}
		}
		for key, pairs := range hashes {
			f.redis.HSet(key, pairs...)
		}
		for key, end := range ends {
			f.redis.SetTTL(key, time.Until(end))
		}
	}
}

// Interleaving 15: a counter after a failover. A fill reads its ids from a primary that
// dies with them, and lands after the next move: had that one the same ids again, what
// the fill has stored would pass for fresh.
func TestIDLostInAFailoverIsNotIssuedAgain(t *testing.T) {
	for _, m := range moves {
		t.Run(m.name, func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				id := func() string { return f.redis.HGet("cf:t:row:a", m.name[:1]) }
				var between func()
				writer, p := f.process(), f.through(func() (net.Conn, error) {
					conn, err := f.dial()
					return betweenCommands{conn, "pttl", &between}, err
				})
				f.write(writer, "a", "one", m.move)
				atMiss := p.gate.holdAfter("cf:e:{row/1|name=a}")
				later(p.row, "a") // is about to ask for the lease
				var failover func()
				var lost string
				moved := make(chan struct{})
				between = func() { // it has the lease, and no ids yet
					defer close(moved)
					synctest.Wait()
					failover = f.replica()
					f.write(writer, "a", "two", m.move)
					lost = id()
				}
				atLoad := f.origin.hold("a")
				atMiss.release()
				<-moved
				synctest.Wait() // the fill has read its ids, and the row
				if lost == "" || !f.redis.Exists("cf:l:{row/1|name=a}") {
					t.Fatal("the fill has no lease")
				}
				failover()
				f.write(writer, "a", "three", m.move)
				if id() == lost {
					t.Errorf("the id %s was issued twice", lost)
				}
				atLoad.release()
				synctest.Wait()
				if !f.redis.Exists("cf:e:{row/1|name=a}") {
					t.Fatal("the replica knew of the lease, so the fill was to land")
				}
				got, _ := f.process().read("a")
				equal(t, "what everybody reads", got, "three")
			})
		})
	}
}

// Interleaving 11: a move that landed is lost in a failover, and the entry that it ended
// passes for fresh. The failover breaks the subscriptions, so L2 is distrusted until the
// moves of the last seconds have been repeated.
func TestMoveLostInAFailoverIsRepeatedBeforeL2IsRead(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p, other := f.process(), f.process()
		f.origin.set("a", "old")
		p.read("a")
		failover := f.replica()
		f.write(p, "a", "new", Changed)
		failover()
		for _, who := range []*process{p, other} {
			who.Lost()
			got, how := who.read("a")
			equal(t, "a read before the drain", got, "new")
			equal(t, "its outcome", how, Miss)
		}
		if !p.drain("a") {
			t.Error("the drain did not win trust back")
		}
		got, _ := f.process().read("a")
		equal(t, "a read of L2 after it", got, "new")
	})
}
