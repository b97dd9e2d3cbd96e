package cachehttp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cache/local"
)

// same reports whether two responses are the same but for the codings that were made.
func same(a, b *response) bool {
	for c := range codings {
		v, w := &a.variants[c], &b.variants[c]
		if !slices.Equal(v.etag, w.etag) || !slices.Equal(v.encoding, w.encoding) {
			return false
		}
	}
	return slices.Equal(a.contentType, b.contentType) && slices.Equal(a.groups, b.groups) && a.tag == b.tag &&
		a.coded == b.coded && bytes.Equal(a.body(), b.body())
}

func TestStoredResponseRoundTrips(t *testing.T) {
	for _, groups := range []string{"", `"thing:1"`} {
		r := newResponse("application/json", groups, 3, feedLike(4<<10))
		r.in(gzipped, newCompressor()) // which is not stored
		b, err := codec{}.Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := codec{}.Decode(b)
		if err != nil || !same(r, got) || got.size >= r.size {
			t.Errorf("stored %+v, read %+v, %v", r, got, err)
		}
		for i := range len(b) - len(r.body()) {
			if _, err := (codec{}).Decode(b[:i]); err == nil {
				t.Errorf("cut to %d bytes: accepted", i)
			}
		}
	}
}

// The version before stored a small body like this, and reads it, whatever the length of
// the body; and it stored the codings of a large one, which are skipped here.
func TestTheVersionBeforeReadsWhatIsStoredAndTheReverse(t *testing.T) {
	r := newResponse("text/css", `"t"`, 3, []byte("body"))
	got, err := codec{}.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	small := "\xff\xff\xff\x02" + "\x08text/css" + "\x03\"t\"" + "\x18" + r.tag + "\x00" + "\x00" + "body"
	if string(got) != small {
		t.Errorf("stored %q, want %q", got, small)
	}

	body := feedLike(2000)
	r = newResponse("application/json", "", 0, body)
	large := "\xff\xff\xff\x02" + "\x10application/json" + "\x00" + "\x16" + r.tag + "\x04zstd" + "\x04gzip" + string(body)
	stored := []byte(large)
	read, err := codec{}.Decode(stored)
	if err != nil || !same(r, read) || read.size != r.size {
		t.Fatalf("read %+v, %v", read, err)
	}
	clear(stored)
	if !bytes.Equal(read.body(), body) {
		t.Error("the codings are kept beside the body")
	}
	for _, c := range []coding{gzipped, zstded} {
		if made := read.in(c, newCompressor()); !bytes.Equal(decoded(t, codingNames[c], made.body), body) {
			t.Errorf("%s: what was stored is sent: %q", codingNames[c], made.body)
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
	const mostStored = 1 << 20 // cache.Options.L1MaxEntry, and no page is near it
	if n, _ := binary.Uvarint([]byte(format)); n < mostStored {
		t.Errorf("the format begins with a length that a response may have: %d", n)
	}
}

// Clients that ask at once for what nobody has asked for before get the same bytes, made
// once, and room is made for them once.
func TestACodingIsMadeOnce(t *testing.T) {
	by, body := newCompressor(), feedLike(32<<10)
	for range 50 {
		r := newResponse("application/json", "", 0, body)
		var added []int
		before := r.Size(func(n int) {
			added = append(added, n)
			if r.variants[gzipped].content.Load() != nil {
				t.Error("the bytes are there before they have room")
			}
		})
		start, got := make(chan struct{}), make([]*content, 8)
		var all sync.WaitGroup
		for i := range got {
			all.Go(func() {
				<-start
				got[i] = r.in(gzipped, by)
			})
		}
		close(start)
		all.Wait()
		if slices.ContainsFunc(got, func(c *content) bool { return c != got[0] }) || len(added) != 1 || added[0] != len(got[0].body) {
			t.Fatalf("made of %d bytes for %v, room for %v", len(got[0].body), got, added)
		}
		if after := r.Size(func(int) {}); after != before+len(got[0].body) || before < len(body) {
			t.Errorf("%d bytes, then %d", before, after)
		}
		if r.variants[zstded].content.Load() != nil {
			t.Error("a coding was made unasked")
		}
		if waste := cap(got[0].body) - len(got[0].body); waste > len(got[0].body)/4 {
			t.Errorf("%d bytes are kept for %d", cap(got[0].body), len(got[0].body))
		}
	}
}

// The encoders' buffers are used again, and what they made stays.
func TestCodingsShareNoBytes(t *testing.T) {
	by, one, two := newCompressor(), feedLike(8<<10), feedLike(4<<10)
	for _, c := range []coding{gzipped, zstded} {
		first := by.compress(one, c)
		for range 10 {
			by.compress(two, gzipped)
			by.compress(two, zstded)
		}
		if !bytes.Equal(decoded(t, codingNames[c], first), one) {
			t.Errorf("%s: written over", codingNames[c])
		}
	}
}

// What nobody asks for is not made: not at fill, not for a 304, not for HEAD, not with the
// cache off, not of what a write answers; and of two codings only the one that is sent. A
// compressor that is asked for another one panics.
func TestNothingIsCompressedUnasked(t *testing.T) {
	for _, off := range []bool{false, true} {
		t.Run(fmt.Sprintf("off=%v", off), func(t *testing.T) {
			e, c := echo.New(), cache.New(nil, cache.Options{Off: off})
			defer c.Close()
			cached := New(e, c)
			cached.GET(e.Group("/api"), "/things/:id", things, func(ec echo.Context) error { return ec.JSONBlob(http.StatusOK, feedLike(8<<10)) })
			e.PUT("/api/things/:id", cached.Written(func(echo.Context) (Row, error) {
				return Row{Body: string(feedLike(8 << 10)), Version: 1, Path: "/api/things/1"}, nil
			}))
			s, able := &site{t: t, echo: e}, cached.compressor
			var tag string
			for _, step := range []struct {
				method, coding string
				conditional    bool
				with           *compressor
				status         int
				length         bool // whether Content-Length is known
			}{
				{http.MethodGet, "", false, nil, 200, true},
				{http.MethodPut, "", false, nil, 200, true},
				{http.MethodHead, "", false, nil, 200, true},
				{http.MethodHead, "gzip", false, nil, 200, false},
				{http.MethodGet, "gzip", true, nil, 304, false},
				{http.MethodGet, "gzip", false, &compressor{writers: sync.Pool{New: able.writers.New}, buffers: sync.Pool{New: able.buffers.New}}, 200, true},
				{http.MethodHead, "gzip", false, nil, 200, !off},
				{http.MethodHead, "zstd", false, nil, 200, false},
				{http.MethodGet, "zstd", true, nil, 304, false},
				{http.MethodGet, "zstd", false, &compressor{encoder: able.encoder, buffers: sync.Pool{New: able.buffers.New}}, 200, true},
				{http.MethodPut, "zstd", false, &compressor{encoder: able.encoder, buffers: sync.Pool{New: able.buffers.New}}, 200, true},
				{http.MethodHead, "zstd", false, nil, 200, !off},
			} {
				cached.compressor = step.with
				headers := []string{"Accept-Encoding: " + step.coding}
				if step.conditional {
					headers = append(headers, "If-None-Match: "+tag)
				}
				rec := s.get(step.method, "/api/things/1", ada, headers...)
				length, coding := rec.Header().Get("Content-Length"), rec.Header().Get("Content-Encoding")
				if rec.Code != step.status || (length != "") != step.length || step.status == 200 && coding != step.coding {
					t.Errorf("%+v: %d, Content-Length %q, Content-Encoding %q", step, rec.Code, length, coding)
				}
				if length != "" && step.method != http.MethodHead && length != fmt.Sprint(rec.Body.Len()) {
					t.Errorf("%+v: %d bytes, said to be %s", step, rec.Body.Len(), length)
				}
				if step.method == http.MethodHead {
					tag = rec.Header().Get("Etag") // of this coding, before there are bytes of it
				}
				if step.status == 200 && step.method == http.MethodGet && step.coding != "" && rec.Header().Get("Etag") != tag {
					t.Errorf("%+v: HEAD and 304 said %s, now it is %s", step, tag, rec.Header().Get("Etag"))
				}
			}
		})
	}
}

// The bytes that L1 counts are those that it keeps: the plain body, and each coding from
// when it is first asked for; and there are never more than there may be.
func TestWhatL1CountsIsWhatIsKept(t *testing.T) {
	body := feedLike(8 << 10)
	gzip, zstd := newCompressor().compress(body, gzipped), newCompressor().compress(body, zstded)
	for name, test := range map[string]struct {
		o      cache.Options
		copies [3]int // that are kept: plain, with gzip, with both
	}{
		"there is room for all of it":   {cache.Options{}, [3]int{4, 4, 4}},
		"all three together do not fit": {cache.Options{L1MaxEntry: int64(len(body)+len(gzip)) + 2000}, [3]int{4, 4, 0}},
		"not even one body fits":        {cache.Options{L1MaxEntry: 1000}, [3]int{}},
		"the tier holds just three":     {cache.Options{L1Bytes: 3 * int64(len(body)+2000)}, [3]int{3, 2, 2}},
		"the tier holds four, plain":    {cache.Options{L1Bytes: 4 * int64(len(body)+2000)}, [3]int{4, 3, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			e, c := echo.New(), cache.New(nil, test.o)
			defer c.Close()
			New(e, c).GET(e.Group("/api"), "/things/:id", things, func(c echo.Context) error { return c.JSONBlob(http.StatusOK, body) })
			s := &site{t: t, echo: e}
			size := int64(len(body))
			for i, accepts := range []string{"", "gzip", "zstd"} {
				size += []int64{0, int64(len(gzip)), int64(len(zstd))}[i]
				for _, target := range []string{"/api/things/1", "/api/things/2", "/api/things/3", "/api/things/4"} {
					s.get(http.MethodGet, target, ada, "Accept-Encoding: "+accepts)
					if i == 2 { // in case it was evicted meanwhile
						s.get(http.MethodGet, target, ada, "Accept-Encoding: gzip")
						s.get(http.MethodGet, target, ada, "Accept-Encoding: zstd")
					}
				}
				const most = 1800 // of a key and of what surrounds an entry
				got := c.Stats()
				n := int64(got.L1.Entries)
				if n != int64(test.copies[i]) || got.L1.Bytes < n*size || got.L1.Bytes > n*(size+most) {
					t.Errorf("%q: %d entries are kept of %d bytes, counting %d; want %d", accepts, n, size, got.L1.Bytes, test.copies[i])
				}
				if most := test.o.L1Bytes; most != 0 && got.L1.Bytes > most {
					t.Errorf("%q: %d bytes are more than %d", accepts, got.L1.Bytes, most)
				}
			}
		})
	}
}

var _ local.Growing = (*response)(nil)
