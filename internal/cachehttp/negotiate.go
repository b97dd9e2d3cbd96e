package cachehttp

import "strings"

// weights are what an Accept-Encoding header says of each coding, in thousandths: 0
// is "not acceptable", below that the header does not name it.
type weights [codings]int

// choose returns the coding to send for an Accept-Encoding header: RFC 9110,
// 12.5.3. Of what the client likes equally well it is the one that comes later in
// the order of codings. A coding that the header does not name, also by "*", is not
// sent, but for the plain body, which is what is left when nothing else fits.
//
// That is also the answer to a client that refuses even that ("identity;q=0"). The
// section leaves a choice between it and a 406; what a client can read helps it
// more than an error, and 12.1 lets a server disregard the header.
func (r *response) choose(accepts []string) coding {
	if len(accepts) == 0 || !r.coded {
		return plain
	}
	w := accepted(accepts)
	best := plain
	for c := plain + 1; c < codings; c++ {
		if w[c] > 0 && w[c] >= w[best] {
			best = c
		}
	}
	return best
}

// accepted reads an Accept-Encoding header.
func accepted(values []string) weights {
	if len(values) == 1 {
		// What nearly everybody sends: Go and fetch libraries, Chrome and Firefox,
		// Safari, curl.
		switch values[0] {
		case "gzip", "gzip, deflate, br", "gzip, deflate", "deflate, gzip":
			return weights{plain: -1, gzipped: 1000, zstded: -1}
		case "gzip, deflate, br, zstd", "deflate, gzip, br, zstd", "zstd, gzip":
			return weights{plain: -1, gzipped: 1000, zstded: 1000}
		case "identity":
			return weights{plain: 1000, gzipped: -1, zstded: -1}
		}
	}
	return parseWeights(values)
}

// parseWeights reads any Accept-Encoding header. An element that is malformed is
// left out; of two that name the same coding, the last one counts. Other codings
// than ours pass by.
func parseWeights(values []string) weights {
	w, rest := weights{-1, -1, -1}, -1 // rest is the weight of "*"
	for _, list := range values {
		for list != "" {
			var element string
			element, list, _ = strings.Cut(list, ",")
			name, q, ok := weighted(element)
			switch {
			case !ok:
			case name == "*":
				rest = q
			case strings.EqualFold(name, "zstd"):
				w[zstded] = q
			case strings.EqualFold(name, "gzip"), strings.EqualFold(name, "x-gzip"): // RFC 9110, 8.4.1.3
				w[gzipped] = q
			case strings.EqualFold(name, "identity"):
				w[plain] = q
			}
		}
	}
	for c := range w {
		if w[c] < 0 {
			w[c] = rest
		}
	}
	return w
}

// weighted reads `name`, or `name;q=0.5`: RFC 9110, 12.4.2.
func weighted(element string) (name string, thousandths int, ok bool) {
	name, weight, has := strings.Cut(element, ";")
	name = strings.Trim(name, " \t")
	if !has {
		return name, 1000, true
	}
	weight = strings.Trim(weight, " \t")
	if len(weight) < 3 || weight[0]|0x20 != 'q' || weight[1] != '=' {
		return "", 0, false
	}
	thousandths, ok = qvalue(weight[2:])
	return name, thousandths, ok
}

// qvalue reads "0", "1" or one of them with up to three digits behind a point, of
// which nothing may exceed 1.
func qvalue(s string) (thousandths int, ok bool) {
	if s == "" || len(s) > 5 || len(s) > 1 && s[1] != '.' {
		return 0, false
	}
	unit := 1000
	for i := 0; i < len(s); i++ {
		if i == 1 {
			continue // the point
		}
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		thousandths += int(s[i]-'0') * unit
		unit /= 10
	}
	return thousandths, thousandths <= 1000
}
