package remote

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"example.com/communityfeed/internal/cache/fence"
)

func TestEntryRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		duration := rapid.Map(rapid.Int64Range(0, MaxRetention.Milliseconds()), func(ms int64) time.Duration {
			return time.Duration(ms) * time.Millisecond
		})
		e := &Entry{
			Retention: duration.Draw(t, "retention"), Fresh: duration.Draw(t, "fresh"), Cost: duration.Draw(t, "cost"),
			IDs: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) fence.IDs {
				return fence.IDs{Change: rapid.String().Draw(t, "change"), Revoke: rapid.String().Draw(t, "revoke")}
			}), 1, 5).Draw(t, "ids"),
			Body: rapid.SliceOf(rapid.Byte()).Draw(t, "body"),
		}
		got, err := decodeEntry(e.encode())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}

// FuzzEntry: an entry comes back as it was, and is a miss when it is cut short or up to
// four bytes in a row are altered, of the preamble or of what follows: the checksum
// promises no more.
func FuzzEntry(f *testing.F) {
	f.Add(uint32(3_600_000), uint32(30_000), uint32(12), "c\x00r", []byte("body"), uint(3), uint(9), uint32(1))
	f.Add(uint32(0), uint32(0), uint32(0), "", []byte{}, uint(0), uint(0), uint32(0))
	f.Fuzz(func(t *testing.T, retention, fresh, cost uint32, pairs string, body []byte, cut, at uint, mask uint32) {
		duration := func(ms uint32) time.Duration { return time.Duration(ms) * time.Millisecond % MaxRetention }
		e := &Entry{Retention: duration(retention), Fresh: duration(fresh), Cost: duration(cost), Body: body}
		for pair := range strings.SplitSeq(pairs, ",") {
			change, revoke, _ := strings.Cut(pair, "\x00")
			e.IDs = append(e.IDs, fence.IDs{Change: change, Revoke: revoke})
		}
		good := e.encode()
		got, err := decodeEntry(good)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.encode(), good) { // which says it faster than a comparison of the fields
			t.Fatalf("%+v came back as %+v", e, got)
		}

		if _, err := decodeEntry(good[:cut%uint(len(good))]); err == nil {
			t.Errorf("cut to %d of %d bytes: accepted", cut%uint(len(good)), len(good))
		}
		bad := bytes.Clone(good)
		altered := bad[:entryPreamble]
		if at %= uint(len(bad)); at >= uint(entryPreamble) {
			altered, at = bad[entryPreamble:], at-uint(entryPreamble)
		}
		for i := range altered[at:min(at+4, uint(len(altered)))] {
			altered[at+uint(i)] ^= byte(mask >> (8 * i))
		}
		if _, err := decodeEntry(bad); err == nil && !bytes.Equal(bad, good) {
			t.Errorf("byte %d and those after it altered by %x: accepted", at, mask)
		}
	})
}

// FuzzDecodeEntry: whatever lies in Redis is a miss or an entry, never a panic. The
// same bytes under a checksum that is right get further.
func FuzzDecodeEntry(f *testing.F) {
	e := &Entry{Retention: time.Hour, Fresh: time.Minute, Cost: time.Second, IDs: []fence.IDs{{Change: "c", Revoke: "r"}}, Body: []byte("body")}
	f.Add(e.encode())
	f.Add(e.encode()[entryPreamble:])
	f.Add([]byte("\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		sealed := binary.BigEndian.AppendUint32(entryMagic[:], crc32.Checksum(b, castagnoli))
		for _, b := range [][]byte{b, append(sealed, b...)} {
			got, err := decodeEntry(b)
			if err != nil {
				continue
			}
			if !bytes.HasSuffix(b, got.Body) {
				t.Errorf("the body is not the end of the entry")
			}
			again, err := decodeEntry(got.encode())
			if err != nil || !bytes.Equal(again.encode(), got.encode()) {
				t.Errorf("%+v came back as %+v, %v", got, again, err)
			}
		}
	})
}

func TestCorruptEntryIsRefused(t *testing.T) {
	good := (&Entry{Retention: time.Hour, Fresh: time.Minute, IDs: []fence.IDs{{Change: "c", Revoke: "r"}}, Body: []byte("body")}).encode()
	for i := range good {
		if _, err := decodeEntry(good[:i]); err == nil {
			t.Errorf("cut to %d bytes: accepted", i)
		}
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		if _, err := decodeEntry(bad); err == nil {
			t.Errorf("byte %d altered: accepted", i)
		}
	}
}
