package cachehttp

import (
	"slices"
	"strings"

	"example.com/communityfeed/internal/cache"
)

// HeaderInvalidation is the response header by which a write tells caches on the
// way, such as the browser's, which groups of responses it has made wrong: RFC 9875,
// 3. Its groups are the tags that the write has invalidated. Reads name theirs in
// Cache-Groups.
const HeaderInvalidation = "Cache-Group-Invalidation"

// Groups renders tags as both headers want it: a List of Strings (RFC 9651, 3.1 and
// 3.3.3), each tag once. The tag that everything carries is left out, since a group
// of everything tells nothing; and so is what a String cannot hold, which is
// anything but printable ASCII.
func Groups(tags []cache.Tag) string {
	var b strings.Builder
	for i, t := range tags {
		if t == cache.Everything || !printable(string(t)) || slices.Contains(tags[:i], t) {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		b.WriteByte('"')
		for _, c := range []byte(t) {
			if c == '"' || c == '\\' {
				b.WriteByte('\\')
			}
			b.WriteByte(c)
		}
		b.WriteByte('"')
	}
	return b.String()
}

func printable(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}
