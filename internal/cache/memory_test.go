package cache

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// Rule 10: what L1 says it holds is what it holds, after any sequence of stores.
func TestBytesInL1AreThoseOfItsCopies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const maxBytes, maxCopy = 1000, 300
		m := newMemory(8, maxBytes, maxCopy)
		number := uint64(0)
		for range rapid.IntRange(1, 100).Draw(t, "stores") {
			number++
			m.keep(&l1Copy{
				key:    fmt.Sprint(rapid.IntRange(0, 12).Draw(t, "key")),
				size:   rapid.Int64Range(1, 400).Draw(t, "size"),
				answer: answer{snap: snapshot{n: number}},
			})
			entries, bytes, _ := m.usage()
			var sum int64
			for _, c := range m.lru.Values() {
				sum += c.size
				if c.size > maxCopy {
					t.Fatalf("a copy of %d bytes was kept", c.size)
				}
			}
			if sum != bytes || bytes > maxBytes || entries > 8 || entries != m.lru.Len() {
				t.Fatalf("says %d copies of %d bytes, holds %d of %d", entries, bytes, m.lru.Len(), sum)
			}
		}
	})
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
