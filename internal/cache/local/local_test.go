package local

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"example.com/communityfeed/internal/cache/fence"
)

// Rule 10: what L1 says it holds is what it holds, after any sequence of operations.
func TestBytesInL1AreThoseOfItsCopies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		operateL1(t, rapid.SliceOfN(rapid.Byte(), 90, 900).Draw(t, "operations"))
	})
}

func FuzzBytesInL1AreThoseOfItsCopies(f *testing.F) {
	f.Add([]byte{0, 100, 1, 0, 50, 2, 13, 0, 0, 0, 50, 1})                                         // overwritten, read, not overwritten by an older one
	f.Add([]byte{0, 140, 0, 1, 140, 0, 2, 140, 0, 3, 140, 0, 4, 255, 0})                           // near the largest that is kept
	f.Add([]byte{0, 200, 0, 39, 255, 0, 0, 200, 1, 39, 255, 0, 39, 255, 1})                        // grows, is replaced, grows, and its successor grows
	f.Add([]byte{26, 200, 0, 27, 200, 0, 28, 200, 0, 29, 200, 0, 4, 200, 0, 5, 200, 0, 6, 200, 0}) // pages make room
	f.Fuzz(func(t *testing.T, operations []byte) { operateL1(t, operations) })
}

// keep is Keep for a value that may grow. An entry without a snapshot has the first.
func keep(m *Cache[any], e *Entry[any]) {
	if e.Snapshot == nil {
		e.Snapshot = new(fence.Snapshot)
	}
	grows, _ := e.Value.(Growing)
	m.Keep(e, grows)
}

// A swelling value takes more bytes whenever it is told to.
type swelling struct {
	size  int
	grown []func(int)
}

func (s *swelling) Size(grown func(int)) int {
	s.grown = append(s.grown, grown)
	return s.size
}

func (s *swelling) swell(n int) {
	s.size += n
	for _, grown := range s.grown {
		grown(n)
	}
}

// operateL1 reads or stores copies, or has one grow that is or was there, three bytes an
// operation (which key and what to do, what size, how young a snapshot or which copy),
// and checks after each of them.
func operateL1(t interface{ Fatalf(string, ...any) }, operations []byte) {
	const keys, maxEntries, maxBytes, maxCopy = 13, 8, 11_000, 2200
	m := New[any](maxEntries, maxBytes, maxCopy)
	var copies []*Entry[any]
	sizes := map[*Entry[any]]int64{} // what they should count
	for operation := range slices.Chunk(operations, 3) {
		if len(operation) < 3 {
			break
		}
		key, size := fmt.Sprint(operation[0]%keys), int(operation[1])
		before := contents(m)
		kind := operation[0] / keys % 4
		switch {
		case kind == 1:
			if got := m.Get([]byte(key)); got != before[key] {
				t.Fatalf("key %s: got %+v, holds %+v", key, got, before[key])
			}
		case kind == 3 && len(copies) > 0:
			c := copies[int(operation[2])%len(copies)]
			key = c.Key
			if v, ok := c.Value.(*swelling); ok {
				sizes[c] += int64(size)
				v.swell(size)
			}
			if now, _ := m.index.Load(key); now != before[key] && before[key] != c {
				t.Fatalf("key %s: another copy grew, and now it has %+v", key, now)
			}
		default:
			c := &Entry[any]{Key: key, Cheap: kind == 2, Snapshot: &fence.Snapshot{Number: uint64(operation[2])}}
			if size < 100 {
				c.Size, sizes[c] = 1+int64(size), 1+int64(size)
			} else {
				c.Value, sizes[c] = &swelling{size: 2 * size}, int64(len(key)+2*size)+Overhead
			}
			copies = append(copies, c)
			keep(m, c)
			if now, was := contents(m)[key], before[key]; now != was && now != c && now != nil || was != nil && now == c && was.Snapshot.Number > c.Snapshot.Number {
				t.Fatalf("key %s: %+v stored over %+v left %+v", key, c, was, now)
			}
		}
		after := contents(m)
		exact(t, m, sizes)
		if c := after[key]; c != nil && (c.Size > maxCopy || c.Cheap && c.Size > share[int64](maxBytes)) {
			t.Fatalf("a copy of %d bytes was kept", c.Size)
		}
		for k, c := range before {
			if k != key && !c.Cheap && after[k] == nil && m.cheap.list.Len() > share(maxEntries) && m.cheap.bytes > share[int64](maxBytes) {
				t.Fatalf("key %s was evicted, and pages have %d copies of %d bytes", k, m.cheap.list.Len(), m.cheap.bytes)
			}
		}
	}
	for m.entries() > 0 {
		m.evict(m.entries()%2 == 0)
	}
	exact(t, m, sizes)
}

// contents are the copies that can be read, by their keys.
func contents(m *Cache[any]) map[string]*Entry[any] {
	all := map[string]*Entry[any]{}
	for key, c := range m.index.All() {
		all[key] = c
	}
	return all
}

// exact fails t unless m is within its limits, counts what it holds, and holds what can
// be read.
func exact(t interface{ Fatalf(string, ...any) }, m *Cache[any], sizes map[*Entry[any]]int64) {
	stats := m.Stats()
	entries, bytes := stats.Entries, stats.Bytes
	var sum int64
	for _, of := range []*class[any]{&m.cheap, &m.others} {
		var own int64
		for _, c := range of.list.Values() {
			if own += sizes[c]; m.class(c) != of {
				t.Fatalf("%s is on the wrong list", c.Key)
			}
			if now, _ := m.index.Load(c.Key); now != c {
				t.Fatalf("%s is on a list and cannot be read", c.Key)
			}
		}
		if own != of.bytes {
			t.Fatalf("a class says %d bytes, and holds %d", of.bytes, own)
		}
		sum += own
	}
	if sum != bytes || bytes > m.maxBytes || entries > m.maxEntries || entries != m.index.Size() {
		t.Fatalf("says %d copies of %d bytes, holds %d of %d", entries, bytes, m.index.Size(), sum)
	}
}

func TestOlderSnapshotDoesNotReplaceAYoungerOne(t *testing.T) {
	m := New[any](8, 1000, 1000)
	for _, number := range []uint64{1, 3, 2} {
		keep(m, &Entry[any]{Key: "k", Size: 1, Snapshot: &fence.Snapshot{Number: number}})
	}
	if got := m.Get([]byte("k")).Snapshot.Number; got != 3 {
		t.Errorf("kept the copy of snapshot %d", got)
	}
}

// What is read stays; what nobody has read since it came makes room.
func TestWhatWasUsedGetsASecondChance(t *testing.T) {
	m := New[any](3, 1000, 1000)
	keepAll := func(keys ...string) {
		for _, key := range keys {
			keep(m, &Entry[any]{Key: key, Size: 1})
		}
	}
	keepAll("a", "b", "c")
	m.Get([]byte("a"))
	keepAll("d") // in the place of b: a is older, but was read
	m.Get([]byte("a"))
	keepAll("e", "f") // in the places of c and d
	for key, want := range map[string]bool{"a": true, "b": false, "c": false, "d": false, "e": true, "f": true} {
		if got := m.Get([]byte(key)) != nil; got != want {
			t.Errorf("%s is there: %v", key, got)
		}
	}
	keepAll("g", "h") // all are marked now: once round, and the oldest goes
	if s := m.Stats(); s.Entries != 3 || s.Evictions != 5 {
		t.Errorf("%d copies after %d evictions", s.Entries, s.Evictions)
	}
}

// An operator who looks at a copy does not keep it from being evicted.
func TestPeekIsNoUse(t *testing.T) {
	m := New[any](3, 1000, 1000)
	for _, key := range []string{"a", "b", "c"} {
		keep(m, &Entry[any]{Key: key, Size: 1})
	}
	if e, size := m.Peek("a"); e == nil || size != 1 {
		t.Errorf("looked at %+v of %d bytes", e, size)
	}
	keep(m, &Entry[any]{Key: "d", Size: 1})
	if e, _ := m.Peek("a"); e != nil {
		t.Error("it stays because it was looked at")
	}
}

// flood reads pages, each a different one, in an L1 for 5,000 copies with 500 fragments,
// each of which is read once meanwhile. It returns what is left of both.
func flood(m *Cache[any], pages bool) (fragments, flooded int) {
	const shared, flood = 500, 10_000
	name := func(kind string, i int) string { return fmt.Sprint(kind, i) }
	for i := range shared {
		keep(m, &Entry[any]{Key: name("fragment", i), Size: 5000})
	}
	for i := range flood {
		keep(m, &Entry[any]{Key: name("page", i), Size: 10_000, Cheap: pages})
		if every := flood / shared; i%every == 0 {
			m.Get([]byte(name("fragment", i/every)))
		}
	}
	for i := range shared {
		if m.Get([]byte(name("fragment", i))) != nil {
			fragments++
		}
	}
	return fragments, m.entries() - fragments
}

// Whether entries are short or bytes, pages evict pages. Were they like anything else,
// few fragments would be left.
func TestAFloodOfPagesLeavesFragmentsWhereTheyAre(t *testing.T) {
	for name, bytes := range map[string]int64{"entries are short": 1 << 40, "bytes are short": 20 << 20} {
		t.Run(name, func(t *testing.T) {
			m := New[any](5000, bytes, 1<<20)
			fragments, pages := flood(m, true)
			if fragments != 500 {
				t.Errorf("%d fragments of 500 are left", fragments)
			}
			if most := min(4500, int(bytes-500*5000)/10_000); pages != most {
				t.Errorf("%d pages use the free room, want %d", pages, most)
			}
			if without, _ := flood(New[any](5000, bytes, 1<<20), false); without > 250 {
				t.Errorf("without classes %d of 500 are left: the flood is none", without)
			}
		})
	}
}

// Fragments take room from pages until these are down to their share, and no further.
func TestPagesGiveWayDownToTheirShare(t *testing.T) {
	m := New[any](100, 1000, 1000)
	for i := range 100 {
		keep(m, &Entry[any]{Key: fmt.Sprint("page", i), Size: 10, Cheap: true})
	}
	for i := range 200 {
		keep(m, &Entry[any]{Key: fmt.Sprint("fragment", i), Size: 10})
	}
	if m.cheap.list.Len() != 50 || m.others.list.Len() != 50 {
		t.Errorf("%d pages and %d fragments", m.cheap.list.Len(), m.others.list.Len())
	}
	for i := range 200 {
		keep(m, &Entry[any]{Key: fmt.Sprint("another page", i), Size: 10, Cheap: true})
	}
	if m.cheap.list.Len() != 50 || m.others.list.Len() != 50 {
		t.Errorf("after more pages: %d pages and %d fragments", m.cheap.list.Len(), m.others.list.Len())
	}
	keep(m, &Entry[any]{Key: "too large for pages", Size: 501, Cheap: true})
	if m.cheap.list.Len() != 50 || m.others.list.Len() != 50 {
		t.Errorf("a page larger than the share of pages left %d pages and %d fragments", m.cheap.list.Len(), m.others.list.Len())
	}
}

// What a copy adds to itself has its room before anybody can see it.
func TestCopyThatGrowsMakesRoom(t *testing.T) {
	values := map[string]*swelling{}
	m := New[any](8, 4*(Overhead+100), 3*Overhead)
	keepAll := func(keys ...string) {
		for _, key := range keys {
			values[key] = new(swelling)
			keep(m, &Entry[any]{Key: key, Value: values[key]})
		}
	}
	holds := func(when string, want ...string) {
		t.Helper()
		got := slices.Sorted(func(yield func(string) bool) {
			for key := range contents(m) {
				if !yield(key) {
					return
				}
			}
		})
		sum := int64(0)
		for _, key := range want {
			sum += int64(len(key)+values[key].size) + Overhead
		}
		if !slices.Equal(got, want) || m.bytes() != sum {
			t.Errorf("%s: holds %v of %d bytes, want %v of %d", when, got, m.bytes(), want, sum)
		}
	}
	keepAll("a", "b", "c", "d")
	values["a"].swell(300)
	holds("there is room", "a", "b", "c", "d")
	values["a"].swell(200) // the oldest, but just read
	holds("the oldest of the others goes", "a", "c", "d")
	values["b"].swell(100)
	holds("what was evicted counts nowhere", "a", "c", "d")
	old := values["c"]
	keepAll("c")
	old.swell(5000)
	holds("what was replaced counts nowhere", "a", "c", "d")
	values["d"].swell(2 * Overhead)
	holds("what is too large goes", "a", "c")
}

// hasty is a value that grows between being asked for its size and being kept.
type hasty struct{ swelling }

func (h *hasty) Size(grown func(int)) int {
	before := h.swelling.Size(grown)
	h.swell(70)
	return before
}

func TestWhatGrowsWhileItIsBeingKeptIsCounted(t *testing.T) {
	m := New[any](8, 2*Overhead, 2*Overhead)
	keep(m, &Entry[any]{Key: "k", Value: &hasty{swelling{size: 100}}})
	if got, want := m.bytes(), int64(1+100+70+Overhead); got != want {
		t.Errorf("%d bytes are counted, want %d", got, want)
	}
}

// Growth beside reads, replacements and evictions leaves the sums right.
func TestCopiesThatGrowAtOnceAreCounted(t *testing.T) {
	m := New[any](8, 8*Overhead, 2*Overhead)
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := range 500 {
				key := fmt.Sprint(i % 13)
				v := new(swelling)
				keep(m, &Entry[any]{Key: key, Cheap: i%3 == 0, Value: v, Snapshot: &fence.Snapshot{Number: uint64(i + worker)}})
				m.Get([]byte(key))
				v.swell(1 + worker*100)
			}
		})
	}
	all.Wait()
	sizes := map[*Entry[any]]int64{}
	for _, c := range contents(m) {
		sizes[c] = int64(len(c.Key)+c.Value.(*swelling).size) + Overhead
	}
	exact(t, m, sizes)
}

// BenchmarkScanOfL1 is an L1 for 5,000 copies which 10,000 pages pass through, each read
// once, while 500 fragments are read once each; and what is left of these.
func BenchmarkScanOfL1(b *testing.B) {
	for _, pages := range []bool{false, true} {
		b.Run(fmt.Sprintf("classes=%v", pages), func(b *testing.B) {
			left := 0
			for b.Loop() {
				left, _ = flood(New[any](5000, 1<<40, 1<<20), pages)
			}
			b.ReportMetric(float64(left), "fragments-left")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/page")
		})
	}
}
