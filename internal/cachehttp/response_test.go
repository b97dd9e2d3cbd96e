package cachehttp

import (
	"bytes"
	"encoding/binary"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cache"
)

func TestStoredResponseRoundTrips(t *testing.T) {
	r, err := newResponse("application/json", `"thing:1"`, 3, newCompressor().variants(feedLike(4<<10)))
	if err != nil {
		t.Fatal(err)
	}
	b, err := codec{}.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := codec{}.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, got, cmp.AllowUnexported(response{}, variant{})); diff != "" {
		t.Errorf("(-stored +read):\n%s", diff)
	}
	for i := range len(b) - len(r.variants[plain].body) {
		if _, err := (codec{}).Decode(b[:i]); err == nil {
			t.Errorf("cut to %d bytes: accepted", i)
		}
	}
}

// What a version without formats has stored is a miss here, and the reverse: it
// began with the length of the content type, up to the length of all.
func TestResponsesOfTheFirstFormatAreMisses(t *testing.T) {
	old := append([]byte("\x10application/json\x18"), `"AAAAAAAAAAAAAAAAAAAAAA"{"a":1}`...)
	if r, err := (codec{}).Decode(old); err == nil {
		t.Errorf("read as %+v", r)
	}
	const mostStored = 1 << 20 // cache.Options.L1MaxCopy, and no page is near it
	if n, _ := binary.Uvarint([]byte(format)); n < mostStored {
		t.Errorf("the format begins with a length that a response may have: %d", n)
	}
}

// The bytes that L1 counts are those that it keeps: what is stored, and nothing but
// parts of it.
func TestWhatL1CountsIsWhatIsKept(t *testing.T) {
	body := feedLike(8 << 10)
	for name, o := range map[string]cache.Options{
		"there is room for all of it":     {},
		"the bodies together do not fit":  {L1MaxCopy: int64(len(body)) + 2000},
		"not even one body fits":          {L1MaxCopy: 1000},
		"the whole tier is smaller":       {L1Bytes: int64(len(body)) + 2000},
		"the whole tier holds just three": {L1Bytes: 3 * (int64(len(body))*2 + 2000)},
	} {
		t.Run(name, func(t *testing.T) {
			e, c := echo.New(), cache.New(nil, o)
			defer c.Close()
			var kept []*response
			m := New(e, c)
			m.GET(e.Group("/api"), "/things/:id", things, func(c echo.Context) error { return c.JSONBlob(http.StatusOK, body) })
			s := &site{t: t, echo: e}
			for _, target := range []string{"/api/things/1", "/api/things/2", "/api/things/3", "/api/things/4"} {
				s.get(http.MethodGet, target, ada)
				r, err := newResponse("application/json", `"thing:1", "user:42"`, 0, m.compressor.variants(body))
				if err != nil {
					t.Fatal(err)
				}
				kept = append(kept, r)
			}
			entry := int64(len(kept[0].stored))
			for _, v := range kept[0].variants {
				if !bytes.Contains(kept[0].stored, v.body) {
					t.Error("a body is not among what is stored")
				}
			}
			const most = 1800 // of a key and of what surrounds an entry
			got := c.Stats()
			n := int64(got.L1Entries)
			if got.L1Bytes < n*entry || got.L1Bytes > n*(entry+most) {
				t.Errorf("%d entries of %d bytes count %d", n, entry, got.L1Bytes)
			}
			limit := o.L1Bytes
			if limit == 0 {
				limit = 64 << 20
			}
			want := min(int64(len(kept)), limit/(entry+most))
			if o.L1MaxCopy != 0 && o.L1MaxCopy < entry {
				want = 0
			}
			if n != want {
				t.Errorf("%d entries are kept, want %d", n, want)
			}
		})
	}
}
