package cachehttp

import (
	"bytes"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// FuzzNoneMatch: a list matches by the tags that are in it, whatever is in the tags
// around; and what is no list matches only where the tag or the star is in it.
func FuzzNoneMatch(f *testing.F) {
	const own = "own"
	const etag = `"` + own + `"`
	f.Add("a", "b, c")
	f.Add("a,b", "c")
	f.Add("*", etag)
	f.Add(own, `W/"`)
	f.Add(own+"er", "")
	f.Fuzz(func(t *testing.T, one, two string) {
		if noneMatch([]string{one, two}, etag) && !strings.Contains(one+" "+two, etag) {
			t.Errorf("%q and %q match %s", one, two, etag)
		}
		foreign := func(r rune) rune { // what no tag may contain
			if r <= ' ' || r == '"' || r == 0x7f {
				return -1
			}
			return r
		}
		one, two = strings.Map(foreign, one), strings.Map(foreign, two)
		if list := `"` + one + `", W/"` + two + `"`; noneMatch([]string{list}, etag) != (one == own || two == own) {
			t.Errorf("%s: matches %s or not, wrongly", list, etag)
		}
		if list := `"` + one + `" ,W/` + etag + `,"` + two + `"`; !noneMatch([]string{list}, etag) {
			t.Errorf("%s does not match %s", list, etag)
		}
	})
}

// FuzzAcceptEncoding: the parser agrees with one that was written for reading, and
// what is sent is something that there is.
func FuzzAcceptEncoding(f *testing.F) {
	for _, list := range []string{"", "*", "gzip, deflate, br, zstd", "gzip;q=0.5, zstd;q=0", "identity;q=0, *;q=0.001", "x-gzip;Q=1.000,zstd;q=1.001", "gzip;q=,;;,"} {
		f.Add(list, "zstd")
	}
	full := newResponse("application/json", "", 0, feedLike(4<<10))
	small := newResponse("application/json", "", 0, []byte("{}"))
	f.Fuzz(func(t *testing.T, one, two string) {
		want := readable(one + "," + two)
		if got := parseWeights([]string{one, two}); got != want {
			t.Errorf("%q and %q weigh %v, want %v", one, two, got, want)
		}
		if got, want := accepted([]string{one}), readable(one); got != want {
			t.Errorf("%q weighs %v, want %v", one, got, want)
		}
		if c := full.choose([]string{one, two}); c != plain && want[c] <= 0 {
			t.Errorf("%q and %q are sent %s", one, two, codingNames[c])
		}
		if small.choose([]string{one, two}) != plain {
			t.Errorf("%q and %q are sent what there is not", one, two)
		}
	})
}

var (
	element = regexp.MustCompile(`^[ \t]*([^;]*?)[ \t]*(?:;[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*)?$`)
	named   = map[string]int{"*": int(codings), "identity": int(plain), "gzip": int(gzipped), "x-gzip": int(gzipped), "zstd": int(zstded)}
)

// readable is parseWeights, slowly.
func readable(list string) (w weights) {
	said := map[int]int{}
	for _, part := range strings.Split(list, ",") {
		m := element.FindStringSubmatch(part)
		if m == nil {
			continue
		}
		q := 1.0
		if m[2] != "" {
			q, _ = strconv.ParseFloat(m[2], 64)
		}
		for name, c := range named {
			if strings.EqualFold(m[1], name) {
				said[c] = int(math.Round(q * 1000))
			}
		}
	}
	for c := range w {
		w[c] = -1
		for _, from := range []int{int(codings), c} {
			if q, ok := said[from]; ok {
				w[c] = q
			}
		}
	}
	return w
}

// FuzzCursors: what was sealed opens, and nothing else does.
func FuzzCursors(f *testing.F) {
	c := NewCursors("a secret")
	f.Add("newest.991")
	f.Add(c.Seal("newest.991"))
	f.Add(c.Seal("newest.991") + "\n")
	f.Fuzz(func(t *testing.T, text string) {
		if payload, err := c.Open(text); err == nil && c.Seal(payload) != text {
			t.Errorf("%q opened to %q, which is sealed otherwise", text, payload)
		}
		cursor := c.Seal(text)
		if got, err := c.Open(cursor); len(cursor) <= cursorMost && (err != nil || got != text) {
			t.Errorf("%q opened to %q, %v", text, got, err)
		}
	})
}

// FuzzDecodeResponse: what decodes is what is stored, taken apart: nothing is made up,
// the plain body is the end, and storing it again loses nothing.
func FuzzDecodeResponse(f *testing.F) {
	for _, body := range [][]byte{[]byte(`{"a":1}`), feedLike(4 << 10)} {
		stored, err := codec{}.Encode(newResponse("application/json", `"thing:1"`, 3, body))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(stored)
	}
	f.Add(pack([]byte("text/css"), nil, []byte("tag"), []byte("zstd"), []byte("gzip"), []byte("body")))
	f.Add([]byte(format + "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := codec{}.Decode(b)
		if err != nil {
			return
		}
		if !bytes.HasSuffix(b, r.body()) || !bytes.Contains(b, []byte(r.tag)) || !bytes.Contains(b, []byte(r.contentType[0])) {
			t.Errorf("%q came to %+v", b, r)
		}
		stored, err := codec{}.Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := (codec{}).Decode(stored); err != nil || !same(r, again) {
			t.Errorf("%q came back as %+v, %v", stored, again, err)
		}
	})
}
