package cache

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestStateOfIDs(t *testing.T) {
	now := ids{"c2", "r2"}
	for _, test := range []struct {
		name      string
		then, now ids
		want      state
	}{
		{"equal", now, now, fresh},
		{"changed", ids{"c1", "r2"}, now, changed},
		{"revoked", ids{"c2", "r1"}, now, revoked},
		{"revoked, then changed", ids{"c1", "r1"}, now, revoked},
		{"tag lost", now, ids{}, revoked},
		{"absent on both sides", ids{}, ids{}, revoked},
		{"half a tag on both sides", ids{"c2", ""}, ids{"c2", ""}, revoked},
		{"the other half", ids{"", "r2"}, ids{"", "r2"}, changed},
	} {
		if got := test.then.state(test.now); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
	if got := stateOf(nil, nil); got != revoked {
		t.Errorf("no tags: got %v; a copy under no tag could never be withdrawn", got)
	}
	if got := stateOf([]ids{now}, []ids{now, now}); got != revoked {
		t.Errorf("a tag more than at the fill: got %v", got)
	}
}

func TestEntryRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		duration := rapid.Map(rapid.Int64Range(0, maxRetention.Milliseconds()), func(ms int64) time.Duration {
			return time.Duration(ms) * time.Millisecond
		})
		e := &entry{
			retention: duration.Draw(t, "retention"), fresh: duration.Draw(t, "fresh"), cost: duration.Draw(t, "cost"),
			ids: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) ids {
				return ids{rapid.String().Draw(t, "change"), rapid.String().Draw(t, "revoke")}
			}), 1, 5).Draw(t, "ids"),
			body: rapid.SliceOf(rapid.Byte()).Draw(t, "body"),
		}
		got, err := decodeEntry(e.encode())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, got, cmp.AllowUnexported(entry{}, ids{})); diff != "" {
			t.Fatal(diff)
		}
	})
}

// FuzzDecodeEntry: what is cut short or altered is a miss, never a panic and never
// another body.
func FuzzDecodeEntry(f *testing.F) {
	e := &entry{retention: time.Hour, fresh: time.Minute, cost: time.Second, ids: []ids{{"c", "r"}}, body: []byte("body")}
	f.Add(e.encode())
	f.Add([]byte("cf\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := decodeEntry(b)
		if err != nil {
			return
		}
		if !bytes.HasSuffix(b, got.body) {
			t.Errorf("the body is not the end of the entry")
		}
	})
}

func TestCorruptEntryIsRefused(t *testing.T) {
	good := (&entry{retention: time.Hour, fresh: time.Minute, ids: []ids{{"c", "r"}}, body: []byte("body")}).encode()
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
