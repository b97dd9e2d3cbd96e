package server

import "testing"

func TestReadsKeepTheContract(t *testing.T) {
	c := newContract(t)
	c.hold(t, []rule{
		{name: "design 6, methods: GET is cached", path: "FEED", as: "ada", status: 200, want: []string{"X-Cache: HIT"}},
		{name: "design 6, methods: HEAD is cached", method: "HEAD", path: "FEED", as: "ada", status: 200, want: []string{"X-Cache: HIT", "Etag: \"{FEED}\""}},
		{name: "design 6, methods: POST passes by untouched", method: "POST", path: "FEED", as: "ada", body: `{"title":"Rye","body":"Sour."}`, status: 201,
			want: []string{"X-Cache:", "Cache-Status:", "Cache-Groups:"}},
		{name: "design 6, ETag: of a list it is a hash", path: "FEED", as: "ada", status: 200, want: []string{`Etag: "{FEED}"`}},
		{name: "design 6, ETag: of a product it begins with the version", path: "PRODUCT", status: 200, want: []string{`Etag: "1.…"`}},
		{name: "design 6, ETag: of a post it begins with the version", path: "POST", as: "ada", status: 200, want: []string{`Etag: "1.…"`}},
		{name: "design 6, Cache-Control: personal", path: "FEED", as: "ada", status: 200, want: []string{"Cache-Control: private, max-age=15, stale-while-revalidate=60"}},
		{name: "design 6, Cache-Control: shared, with stale-if-error (RFC 5861 4)", path: "PRODUCT", status: 200,
			want: []string{"Cache-Control: public, max-age=15, stale-while-revalidate=60, stale-if-error=86400"}},
		{name: "design 6, Vary: the headers behind the dimensions", path: "FEED", as: "ada", status: 200, want: []string{"Vary: Authorization, Accept-Language, X-FF-Feed-V2, Accept-Encoding"}},
		{name: "design 6, Vary: no others", path: "PRODUCT", status: 200, want: []string{"Vary: Accept-Encoding"}},
		{name: "design 6, X-Cache: a first read", path: "FEED?limit=10", as: "ada", status: 200, want: []string{"X-Cache: MISS"}},
		{name: "design 6, errors: never stored", path: "/api/posts/999999", as: "ada", status: 404,
			want: []string{"Content-Type: application/problem+json", "Cache-Control: no-store", "Etag:"}},

		{name: "RFC 9110 8.8.3.3: each coding has a tag of its own, gzip", path: "FEED", as: "ada", header: []string{"Accept-Encoding: gzip"}, status: 200,
			want: []string{`Etag: "{FEED}-gzip"`}},
		{name: "RFC 9110 8.8.3.3: each coding has a tag of its own, zstd", path: "FEED", as: "ada", header: []string{"Accept-Encoding: zstd"}, status: 200,
			want: []string{`Etag: "{FEED}-zstd"`}},

		{name: "RFC 9110 13.1.2: the tag", path: "FEED", as: "ada", header: []string{`If-None-Match: "{FEED}"`}, status: 304},
		{name: "RFC 9110 13.1.2: HEAD, too", method: "HEAD", path: "FEED", as: "ada", header: []string{`If-None-Match: "{FEED}"`}, status: 304},
		{name: "RFC 9110 13.1.2: any of a list", path: "FEED", as: "ada", header: []string{`If-None-Match: "x","y" , "{FEED}"`}, status: 304},
		{name: "RFC 9110 13.1.2: none of a list", path: "FEED", as: "ada", header: []string{`If-None-Match: "x", "y"`}, status: 200},
		{name: "RFC 9110 5.3: a list in several lines", path: "FEED", as: "ada", header: []string{`If-None-Match: "x"`, `If-None-Match: "{FEED}"`}, status: 304},
		{name: "RFC 9110 5.6.1.2: empty elements", path: "FEED", as: "ada", header: []string{`If-None-Match: , ,"{FEED}",`}, status: 304},
		{name: "RFC 9110 13.1.2: a star", path: "FEED", as: "ada", header: []string{`If-None-Match: *`}, status: 304},
		{name: "RFC 9110 13.1.2: a star stands alone", path: "FEED", as: "ada", header: []string{`If-None-Match: *, "x"`}, status: 200},
		{name: "RFC 9110 8.8.3.2: the comparison is weak", path: "FEED", as: "ada", header: []string{`If-None-Match: W/"{FEED}"`}, status: 304},
		{name: "RFC 9110 8.8.3: a comma inside a tag", path: "FEED", as: "ada", header: []string{`If-None-Match: "a,b", "{FEED}"`}, status: 304},
		{name: "RFC 9110 8.8.3: W/ is case-sensitive", path: "FEED", as: "ada", header: []string{`If-None-Match: w/"{FEED}"`}, status: 200},
		{name: "RFC 9110 8.8.3: a tag has quotes", path: "FEED", as: "ada", header: []string{`If-None-Match: {FEED}`}, status: 200},
		{name: "http.md: a malformed list counts up to there", path: "FEED", as: "ada", header: []string{`If-None-Match: "{FEED}" and more`}, status: 304},
		{name: "http.md: a malformed list does not count after it", path: "FEED", as: "ada", header: []string{`If-None-Match: "a b", "{FEED}"`}, status: 200},
		{name: "http.md: nor after a missing comma", path: "FEED", as: "ada", header: []string{`If-None-Match: "x" "{FEED}"`}, status: 200},
		{name: "RFC 9110 13.1.2: another user's page is not ours", path: "FEED", as: "ada", header: []string{`If-None-Match: "{FEED-bob}"`}, status: 200},
		{name: "RFC 9110 13.1.2: who has the gzip and wants it plain has other bytes", path: "FEED", as: "ada", header: []string{`If-None-Match: "{FEED-gzip}"`}, status: 200,
			want: []string{`Etag: "{FEED}"`, "Content-Encoding:"}},
		{name: "RFC 9110 13.1.2: who has the plain and wants it in gzip has other bytes", path: "FEED", as: "ada",
			header: []string{`If-None-Match: "{FEED}"`, "Accept-Encoding: gzip"}, status: 200, want: []string{`Etag: "{FEED-gzip}"`}},
		{name: "RFC 9110 15.4.5: of several variants, the 304 names the one that would be sent", path: "FEED", as: "ada",
			header: []string{`If-None-Match: "{FEED}", "{FEED-gzip}", "{FEED-zstd}"`, "Accept-Encoding: gzip"}, status: 304, want: []string{`Etag: "{FEED-gzip}"`}},
		{name: "RFC 9110 15.4.5: a 304 repeats what a 200 would say to caches", path: "FEED", as: "ada", header: []string{`If-None-Match: "{FEED}"`}, status: 304, want: []string{
			`Etag: "{FEED}"`, "Cache-Control: private, max-age=15, stale-while-revalidate=60", "Vary: Authorization, Accept-Language, X-FF-Feed-V2, Accept-Encoding", "Date: …",
			"X-Cache: HIT", "Cache-Status: communityfeed; hit; ttl=…; detail=l1", `Cache-Groups: "about:#COMMUNITY", "community:#COMMUNITY", "reader:42", "user:42"`}},
		{name: "RFC 9110 15.4.5: a 304 does not describe content", path: "FEED", as: "ada", header: []string{`If-None-Match: "{FEED-gzip}"`, "Accept-Encoding: gzip"}, status: 304,
			want: []string{"Content-Type:", "Content-Length:", "Content-Encoding:"}},
		{name: "RFC 9110 13.1.3: If-None-Match beats If-Modified-Since", path: "FEED", as: "ada",
			header: []string{`If-None-Match: "x"`, "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT"}, status: 200},
		{name: "RFC 9110 13.1.3: no Last-Modified, no If-Modified-Since", path: "FEED", as: "ada", header: []string{"If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT"}, status: 200,
			want: []string{"Last-Modified:"}},
		{name: "RFC 9110 13.1.4: no Last-Modified, no If-Unmodified-Since", path: "FEED", as: "ada", header: []string{"If-Unmodified-Since: Mon, 01 Jan 1990 00:00:00 GMT"}, status: 200},
		{name: "RFC 9110 13.2.1: preconditions come after 404", path: "/api/posts/999999", as: "ada", header: []string{"If-None-Match: *", `If-Match: "x"`}, status: 404},
		{name: "RFC 9110 13.2.1: preconditions come after 400", path: "FEED?limit=3", as: "ada", header: []string{"If-None-Match: *", `If-Match: "x"`}, status: 400},
		{name: "RFC 9110 13.2.1: preconditions come after 401", path: "FEED", as: "forged", header: []string{"If-None-Match: *", `If-Match: "x"`}, status: 401},
		{name: "RFC 9110 13.1.1: If-Match on a read", path: "FEED", as: "ada", header: []string{`If-Match: "{FEED}"`}, status: 200},
		{name: "RFC 9110 13.1.1: If-Match on a read that names something else", path: "FEED", as: "ada", header: []string{`If-Match: "x"`}, status: 412,
			want: []string{"Content-Type: application/problem+json"}},
		{name: "RFC 9110 13.1.1: If-Match compares strongly", path: "FEED", as: "ada", header: []string{`If-Match: W/"{FEED}"`}, status: 412},
		{name: "RFC 9110 13.1.1: a star matches what exists", path: "FEED", as: "ada", header: []string{"If-Match: *"}, status: 200},
		{name: "RFC 9110 13.2.2: If-Match comes before If-None-Match", path: "FEED", as: "ada", header: []string{`If-Match: "x"`, `If-None-Match: "{FEED}"`}, status: 412},
		{name: "RFC 9110 14.2: a Range may be ignored", path: "FEED", as: "ada", header: []string{"Range: bytes=0-9"}, status: 200, want: []string{"Content-Range:"}},

		{name: "RFC 9211 2: a hit in L1", path: "FEED", as: "ada", status: 200, want: []string{"Cache-Status: communityfeed; hit; ttl=…; detail=l1"}},
		{name: "RFC 9211 2.2: a miss", path: "FEED?limit=10", as: "ada", status: 200, want: []string{"Cache-Status: communityfeed; fwd=miss; ttl=…"}},
		{name: "RFC 9875 2: a page's groups are its tags", path: "FEED", as: "ada", status: 200, want: []string{`Cache-Groups: "about:#COMMUNITY", "community:#COMMUNITY", "reader:42", "user:42"`}},
		{name: "RFC 9875 2: the tag of everything is no group", path: "PRODUCT", status: 200, want: []string{`Cache-Groups: "product:#PRODUCT"`}},
		{name: "RFC 9875 3: a read invalidates nothing", path: "FEED", as: "ada", status: 200, want: []string{"Cache-Group-Invalidation:"}},
	})
}

// RFC 9110 12.5.3, in a table of its own: what is sent for what is accepted.
func TestCodingsAreNegotiated(t *testing.T) {
	c := newContract(t)
	var rules []rule
	for _, r := range []struct{ name, accepts, coding string }{
		{"RFC 9110 12.5.3: gzip", "gzip", "gzip"},
		{"RFC 9110 12.5.3: zstd", "zstd", "zstd"},
		{"RFC 9110 12.5.3: empty is plain", "", ""},
		{"RFC 9110 12.5.3: unknown codings", "br, deflate, compress", ""},
		{"RFC 9110 12.5.3: identity alone", "identity", ""},
		{"RFC 9110 12.5.3: a star is any coding", "*", "zstd"},
		{"RFC 9110 12.5.3: a star is those that are not named", "zstd;q=0, *", "gzip"},
		{"RFC 9110 12.5.3: a star that refuses", "gzip, *;q=0", "gzip"},
		{"RFC 9110 12.4.2: 0 is not acceptable", "gzip;q=0, zstd;q=0.000", ""},
		{"RFC 9110 12.4.2: the greater weight", "gzip;q=0.9, zstd;q=0.8", "gzip"},
		{"RFC 9110 12.4.2: plain may weigh more", "identity, gzip;q=0.5", ""},
		{"RFC 9110 12.4.2: plain may weigh less", "identity;q=0.5, gzip;q=0.501", "gzip"},
		{"RFC 9110 12.4.2: the smallest weight is one", "zstd;q=0.001", "zstd"},
		{"RFC 9110 12.4.2: spaces and case", " GZip ; Q=0.7 ,\tzstd;q=0.6", "gzip"},
		{"RFC 9110 8.4.1.3: x-gzip is gzip", "x-gzip", "gzip"},
		{"http.md: a tie goes to zstd", "gzip, zstd", "zstd"},
		{"http.md: a tie with plain goes to gzip", "identity, gzip", "gzip"},
		{"http.md: what is not named is not sent", "gzip;q=0.1", "gzip"},
		{"http.md: refusing even plain is disregarded (12.1)", "identity;q=0", ""},
		{"http.md: refusing everything is disregarded (12.1)", "*;q=0", ""},
		{"http.md: a malformed weight is no element", "zstd;q=2, gzip;q=0.5", "gzip"},
		{"http.md: a weight of four digits is no element", "zstd;q=0.9999, gzip;q=0.5", "gzip"},
		{"http.md: another parameter is no element", "zstd;level=1, gzip", "gzip"},
		{"client: Chrome, Firefox", "gzip, deflate, br, zstd", "zstd"},
		{"client: Safari", "gzip, deflate, br", "gzip"},
		{"client: curl --compressed", "deflate, gzip, br, zstd", "zstd"},
		{"client: Python", "gzip, deflate", "gzip"},
	} {
		tag := "Etag: \"{FEED}\""
		if r.coding != "" {
			tag = "Etag: \"{FEED-" + r.coding + "}\""
		}
		rules = append(rules, rule{name: r.name, path: "FEED", as: "ada", header: []string{"Accept-Encoding: " + r.accepts}, status: 200,
			want: []string{"Content-Encoding: " + r.coding, tag, "Vary: … Accept-Encoding"}})
	}
	c.hold(t, append(rules,
		rule{name: "RFC 9110 12.5.3: no header", path: "FEED", as: "ada", status: 200, want: []string{"Content-Encoding:", `Etag: "{FEED}"`}},
		rule{name: "RFC 9110 5.3: a list in several lines", path: "FEED", as: "ada", header: []string{"Accept-Encoding: gzip;q=0.5", "Accept-Encoding: zstd;q=0.6"}, status: 200,
			want: []string{"Content-Encoding: zstd"}},
		rule{name: "http.md: up to 1 KiB nothing is compressed", path: "PRODUCT", header: []string{"Accept-Encoding: gzip, zstd"}, status: 200,
			want: []string{"Content-Encoding:", `Etag: "{PRODUCT}"`, "Vary: Accept-Encoding"}},
		rule{name: "RFC 9110 12.5.3: HEAD says what GET would send", method: "HEAD", path: "FEED", as: "ada", header: []string{"Accept-Encoding: gzip"}, status: 200,
			want: []string{"Content-Encoding: gzip", `Etag: "{FEED-gzip}"`}},
	))
}
