package cache

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Rule 10: what L1 says it holds is what it holds, after any sequence of operations.
func TestBytesInL1AreThoseOfItsCopies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		operateL1(t, rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "operations"))
	})
}

func FuzzBytesInL1AreThoseOfItsCopies(f *testing.F) {
	f.Add([]byte{0, 100, 1, 0, 50, 2, 13, 0, 0, 0, 50, 1})               // overwritten, read, not overwritten by an older one
	f.Add([]byte{0, 140, 0, 1, 140, 0, 2, 140, 0, 3, 140, 0, 4, 255, 0}) // evicted for its bytes, and too large
	f.Fuzz(func(t *testing.T, operations []byte) { operateL1(t, operations) })
}

// operateL1 reads or stores copies, three bytes an operation (which key, what size, how
// young a snapshot), and checks after each of them.
func operateL1(t interface{ Fatalf(string, ...any) }, operations []byte) {
	const keys, maxEntries, maxBytes, maxCopy = 13, 8, 1000, 300
	m := newMemory(maxEntries, maxBytes, maxCopy)
	for operation := range slices.Chunk(operations, 3) {
		if len(operation) < 3 {
			break
		}
		key := fmt.Sprint(operation[0] % keys)
		before, _ := m.index.Load(key)
		if operation[0]/keys%4 == 1 {
			if got := m.get([]byte(key)); got != before {
				t.Fatalf("key %s: got %+v, holds %+v", key, got, before)
			}
		} else {
			c := &l1Copy{key: key, size: 1 + 2*int64(operation[1]), answer: answer{snap: snapshot{n: uint64(operation[2])}}}
			m.keep(c)
			if now, _ := m.index.Load(key); now != before && now != c && now != nil || before != nil && now == c && before.snap.n > c.snap.n {
				t.Fatalf("key %s: %+v stored over %+v left %+v", key, c, before, now)
			}
		}
		entries, bytes, _ := m.usage()
		var sum int64
		for _, c := range m.list.Values() {
			sum += c.size
			if c.size > maxCopy {
				t.Fatalf("a copy of %d bytes was kept", c.size)
			}
		}
		if sum != bytes || bytes > maxBytes || entries > maxEntries || entries != m.list.Len() || entries != m.index.Size() {
			t.Fatalf("says %d copies of %d bytes, holds %d of %d", entries, bytes, m.list.Len(), sum)
		}
	}
}

func TestOlderSnapshotDoesNotReplaceAYoungerOne(t *testing.T) {
	m := newMemory(8, 1000, 1000)
	for _, number := range []uint64{1, 3, 2} {
		m.keep(&l1Copy{key: "k", size: 1, answer: answer{snap: snapshot{n: number}}})
	}
	if got := m.get([]byte("k")).snap.n; got != 3 {
		t.Errorf("kept the copy of snapshot %d", got)
	}
}

// What is read stays; what nobody has read since it came makes room.
func TestWhatWasUsedGetsASecondChance(t *testing.T) {
	m := newMemory(3, 1000, 1000)
	keep := func(keys ...string) {
		for _, key := range keys {
			m.keep(&l1Copy{key: key, size: 1})
		}
	}
	keep("a", "b", "c")
	m.get([]byte("a"))
	keep("d") // in the place of b: a is older, but was read
	m.get([]byte("a"))
	keep("e", "f") // in the places of c and d
	for key, want := range map[string]bool{"a": true, "b": false, "c": false, "d": false, "e": true, "f": true} {
		if got := m.get([]byte(key)) != nil; got != want {
			t.Errorf("%s is there: %v", key, got)
		}
	}
	keep("g", "h") // all are marked now: once round, and the oldest goes
	if entries, _, evictions := m.usage(); entries != 3 || evictions != 5 {
		t.Errorf("%d copies after %d evictions", entries, evictions)
	}
}
