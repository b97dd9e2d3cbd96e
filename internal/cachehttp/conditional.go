package cachehttp

import "strings"

// noneMatch reports whether an If-None-Match header lets the client keep what it
// has: RFC 9110, 13.1.2. The comparison is weak, as the section asks. A malformed
// list matches up to where it is well-formed.
func noneMatch(values []string, etag string) (match bool) {
	for _, list := range values {
		if strings.TrimSpace(list) == "*" {
			return true
		}
		for list != "" {
			list = strings.TrimLeft(list, " \t,")
			list = strings.TrimPrefix(list, "W/")
			if !strings.HasPrefix(list, `"`) {
				break
			}
			// A comma may stand inside the quotes, so the list is not split at them.
			end := strings.IndexByte(list[1:], '"')
			if end < 0 {
				break
			}
			if list[:end+2] == etag {
				return true
			}
			list = list[end+2:]
		}
	}
	return false
}
