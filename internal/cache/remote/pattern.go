package remote

// Matches reports whether a pattern matches a key as [Redis.Scan] would match it.
func Matches(pattern, key string) bool {
	// The brace ends the key in Redis, where an escape or a class without an end takes it in.
	return matches(pattern+"}", key+"}")
}

// matches reports whether a pattern of Redis's SCAN matches a text: * is any number of bytes, ?
// is one, [a-z] and [^a-z] are one of some, and \ makes the next byte mean itself. What
// Redis makes of a malformed one, it makes, too.
func matches(pattern, text string) bool {
	star, rest := -1, "" // the pattern after the last star, and the text that it has not taken
	p, t := 0, text
	for {
		if p < len(pattern) && pattern[p] == '*' {
			p++
			star, rest = p, t
			continue
		}
		if t == "" {
			return p == len(pattern)
		}
		if p < len(pattern) {
			if ok, n := matchesOne(pattern[p:], t[0]); ok {
				p, t = p+n, t[1:]
				continue
			}
		}
		if star < 0 || rest == "" {
			return false
		}
		rest = rest[1:] // the last star takes one more: what is before it fits as it is
		p, t = star, rest
	}
}

// matchesOne reports whether what a pattern begins with matches a byte, and how long that is.
func matchesOne(pattern string, b byte) (ok bool, n int) {
	switch {
	case pattern[0] == '?':
		return true, 1
	case pattern[0] == '[':
		return inClass(pattern, b)
	case pattern[0] == '\\' && len(pattern) > 1:
		return pattern[1] == b, 2
	}
	return pattern[0] == b, 1
}

// inClass is matchesOne of a class. One that does not end goes to the end of the pattern.
func inClass(pattern string, b byte) (in bool, n int) {
	n = 1
	not := len(pattern) > n && pattern[n] == '^'
	if not {
		n++
	}
	for n < len(pattern) && pattern[n] != ']' {
		low, high := pattern[n], pattern[n]
		switch left := len(pattern) - n; {
		case low == '\\' && left >= 2:
			low, high = pattern[n+1], pattern[n+1]
			n += 2
		case left >= 3 && pattern[n+1] == '-':
			high = pattern[n+2]
			n += 3
		default:
			n++
		}
		in = in || min(low, high) <= b && b <= max(low, high)
	}
	return in != not, min(n+1, len(pattern))
}
