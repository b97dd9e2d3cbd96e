package cachehttp

import (
	"bytes"
	"strings"
	"testing"
)

// FuzzNoneMatch: a list matches by the tags that are in it, whatever is in the tags
// around; and what is no list matches only where the tag or the star is in it.
func FuzzNoneMatch(f *testing.F) {
	const own = "own"
	const etag = `"` + own + `"`
	f.Add("a", "b, c")
	f.Add("*", etag)
	f.Add(own, `W/"`)
	f.Add(own+"er", "")
	f.Fuzz(func(t *testing.T, one, two string) {
		if noneMatch([]string{one, two}, etag) && !strings.Contains(one+" "+two, etag) &&
			strings.TrimSpace(one) != "*" && strings.TrimSpace(two) != "*" {
			t.Errorf("%q and %q match %s", one, two, etag)
		}
		one, two = strings.ReplaceAll(one, `"`, ""), strings.ReplaceAll(two, `"`, "")
		if list := `"` + one + `", W/"` + two + `"`; noneMatch([]string{list}, etag) != (one == own || two == own) {
			t.Errorf("%s: matches %s or not, wrongly", list, etag)
		}
		if list := `"` + one + `" ,W/` + etag + `,"` + two + `"`; !noneMatch([]string{list}, etag) {
			t.Errorf("%s does not match %s", list, etag)
		}
	})
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

// FuzzDecodeResponse: what decodes comes back the same from another round, with the
// body as it lies there.
func FuzzDecodeResponse(f *testing.F) {
	good, err := codec{}.Encode(newResponse("application/json", `"e"`, []byte(`{"a":1}`)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := codec{}.Decode(b)
		if err != nil {
			return
		}
		if !bytes.HasSuffix(b, r.body) {
			t.Error("the body is not the end")
		}
		again, err := codec{}.Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := codec{}.Decode(again)
		if err != nil || got.etag != r.etag || got.contentType[0] != r.contentType[0] || !bytes.Equal(got.body, r.body) {
			t.Errorf("%+v came back as %+v, %v", r, got, err)
		}
	})
}
