package cachehttp

import "strings"

// An If-Match or If-None-Match header is "*" or a list of entity tags: RFC 9110,
// 8.8.3 and 13.1. listed reports whether one of them is the same as ours, in the
// opinion of same, which is asked with what stands between the quotes. Weak tags
// are asked about only in a weak comparison (8.8.3.2). A malformed list counts up
// to where it is well-formed; "*" counts alone.
func listed(values []string, weakly bool, same func(opaque string) bool) bool {
	if len(values) == 1 && strings.Trim(values[0], " \t") == "*" {
		return true
	}
	for _, list := range values {
		for {
			opaque, weak, rest, ok := nextTag(list)
			if !ok {
				break
			}
			if (weakly || !weak) && same(opaque) {
				return true
			}
			list = rest
		}
	}
	return false
}

// nextTag takes the first entity tag from a list. A comma may stand inside its
// quotes, so the list is not split at commas.
func nextTag(list string) (opaque string, weak bool, rest string, ok bool) {
	list = strings.TrimLeft(list, " \t,") // empty elements are allowed: 5.6.1.2
	list, weak = strings.CutPrefix(list, "W/")
	list, ok = strings.CutPrefix(list, `"`)
	end := strings.IndexByte(list, '"')
	if !ok || end < 0 {
		return "", false, "", false
	}
	opaque, rest = list[:end], strings.TrimLeft(list[end+1:], " \t")
	for i := 0; i < len(opaque); i++ {
		if opaque[i] <= ' ' || opaque[i] == 0x7f {
			return "", false, "", false
		}
	}
	if rest != "" && rest[0] != ',' {
		rest = "" // this tag is whole; what follows it is not a list any more
	}
	return opaque, weak, rest, true
}

// noneMatch reports whether an If-None-Match header lets the client keep what it
// has: RFC 9110, 13.1.2. Etag is that of the variant which would be sent; a tag of
// another coding is that of other bytes.
func noneMatch(values []string, etag string) bool {
	if len(values) == 1 && values[0] == etag { // nearly always
		return true
	}
	return listed(values, true, func(opaque string) bool { return opaque == etag[1:len(etag)-1] })
}

// match reports whether a read with an If-Match header may be answered: RFC 9110,
// 13.1.1.
func match(values []string, etag string) bool {
	return listed(values, false, func(opaque string) bool { return opaque == etag[1:len(etag)-1] })
}
