package server

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestWritesKeepTheContract(t *testing.T) {
	c := newContract(t)
	const changed = `{"name":"Globe","category":"toys","price":{"amount":1,"currency":"EUR"},"stock":1}`
	const text = `{"title":"Brot","body":"Mehl."}`
	problem := []string{"Content-Type: application/problem+json", "Cache-Group-Invalidation:", "Etag:"}

	var rules []rule
	// What If-Match lets pass, on every method that has it.
	for _, m := range []struct{ method, path, as, body, name string }{
		{"PUT", "PRODUCT", "admin", changed, "PRODUCT"},
		{"DELETE", "PRODUCT", "admin", "", "PRODUCT"},
		{"PATCH", "POST", "ada", `{"title":"Rye"}`, "POST"},
		{"DELETE", "POST", "ada", "", "POST"},
		{"PUT", "POST/translations/de", "ada", text, "POST"},
	} {
		for _, r := range []struct {
			rule, header string
			pass         bool
		}{
			{"RFC 9110 13.1.1: no If-Match", "", true},
			{"RFC 9110 13.1.1: the present tag", `If-Match: "{NAME}"`, true},
			{"RFC 9110 13.1.1: another tag", `If-Match: "2.x"`, false},
			{"RFC 9110 13.1.1: any of a list", `If-Match: "2.x", "{NAME}"`, true},
			{"RFC 9110 13.1.1: none of a list", `If-Match: "2.x", "11.x"`, false},
			{"RFC 9110 13.1.1: a star is whatever exists", `If-Match: *`, true},
			{"RFC 9110 8.8.3.2: a weak tag never matches strongly", `If-Match: W/"{NAME}"`, false},
			{"RFC 9110 13.1.1: what is no list matches nothing", `If-Match: {NAME}`, false},
			{"RFC 9110 13.1.1: nor does an empty one", `If-Match:`, false},
			{"RFC 9110 13.1.2: If-None-Match with what is there", `If-None-Match: "{NAME}"`, false},
			{"RFC 9110 13.1.2: If-None-Match compares weakly", `If-None-Match: W/"{NAME}"`, false},
			{"RFC 9110 13.1.2: If-None-Match with a star", `If-None-Match: *`, false},
			{"RFC 9110 13.1.2: If-None-Match with something else", `If-None-Match: "2.x"`, true},
			{"RFC 9110 13.1.4: no Last-Modified, no If-Unmodified-Since", "If-Unmodified-Since: Mon, 01 Jan 1990 00:00:00 GMT", true},
			{"http.md: the version is compared, not the hash", `If-Match: "1.x"`, true},
			{"http.md: nor the coding", `If-Match: "1.x-gzip"`, true},
			{"http.md: the version alone will do", `If-Match: "1"`, true},
			{"http.md: a hash alone is no version", `If-Match: "x"`, false},
			{"http.md: a version has one spelling", `If-Match: "01.x", "+1.x", "1 .x", " 1"`, false},
		} {
			status := map[string]int{"PUT": 200, "PATCH": 200, "DELETE": 204}[m.method]
			want := []string(nil)
			if !r.pass {
				status, want = 412, problem
			}
			one := rule{name: m.method + " " + m.path + " " + r.rule, method: m.method, path: m.path, as: m.as, body: m.body, status: status, want: want}
			if r.header != "" {
				one.header = []string{strings.ReplaceAll(r.header, "NAME", m.name)}
			}
			rules = append(rules, one)
		}
	}
	stale := []string{`If-Match: "9.x"`}
	rules = append(rules, []rule{
		{name: "RFC 9110 13.2.1: 401 comes before 412", method: "PUT", path: "PRODUCT", body: changed, header: stale, status: 401},
		{name: "RFC 9110 13.2.1: 403 comes before 412", method: "PUT", path: "PRODUCT", as: "ada", body: changed, header: stale, status: 403},
		{name: "RFC 9110 13.2.1: 404 comes before 412", method: "PUT", path: "/api/products/999999", as: "admin", body: changed, header: stale, status: 404},
		{name: "RFC 9110 13.2.1: 400 comes before 412", method: "PUT", path: "PRODUCT", as: "admin", body: `{}`, header: stale, status: 400},
		{name: "RFC 9110 13.2.1: 403 of another's post", method: "PATCH", path: "POST", as: "bob", body: `{"title":"Rye"}`, header: stale, status: 403},
		{name: "RFC 9110 13.2.1: 404 of no post", method: "DELETE", path: "/api/posts/999999", as: "ada", header: stale, status: 404},
		{name: "RFC 9110 13.2.1: 409 comes before 412", method: "PUT", path: "POST/translations/en", as: "ada", body: text, header: stale, status: 409},
		{name: "http.md: a like has no version to match", method: "PUT", path: "POST/like", as: "bob", header: stale, status: 204},
		{name: "http.md: nor has a membership", method: "PUT", path: "COMMUNITY/members/me", as: "bob", header: stale, status: 204},
		{name: "http.md: nor what is yet to be", method: "POST", path: "FEED", as: "ada", body: text, header: stale, status: 201},

		{name: "RFC 9875 3: a new product's groups", method: "POST", path: "/api/products", as: "admin", body: productBody, status: 201,
			want: []string{`Cache-Group-Invalidation: "products", "products:books", "product:…"`}},
		{name: "RFC 9875 3: a product that changes its category", method: "PUT", path: "PRODUCT", as: "admin", body: changed, status: 200,
			want: []string{`Cache-Group-Invalidation: "products", "products:books", "products:toys", "product:#PRODUCT"`}},
		{name: "RFC 9875 3: each group once", method: "PUT", path: "PRODUCT", as: "admin", body: strings.Replace(productBody, "Atlas", "Globe", 1), status: 200,
			want: []string{`Cache-Group-Invalidation: "products", "products:books", "product:#PRODUCT"`}},
		{name: "RFC 9875 3: a write that changes nothing", method: "PUT", path: "PRODUCT", as: "admin", body: productBody, status: 200, want: []string{"Cache-Group-Invalidation:"}},
		{name: "RFC 9875 3: a deleted product", method: "DELETE", path: "PRODUCT", as: "admin", status: 204,
			want: []string{`Cache-Group-Invalidation: "products", "products:books", "product:#PRODUCT"`}},
		{name: "RFC 9875 3: a post", method: "POST", path: "FEED", as: "ada", body: text, status: 201,
			want: []string{`Cache-Group-Invalidation: "community:#COMMUNITY", "post:…"`}},
		{name: "RFC 9875 3: an edit", method: "PATCH", path: "POST", as: "ada", body: `{"title":"Rye"}`, status: 200,
			want: []string{`Cache-Group-Invalidation: "community:#COMMUNITY", "post:#POST"`}},
		{name: "RFC 9875 3: a like is the liker's", method: "PUT", path: "POST/like", as: "bob", status: 204, want: []string{`Cache-Group-Invalidation: "reader:7"`}},
		{name: "RFC 9875 3: a like that was none", method: "DELETE", path: "POST/like", as: "bob", status: 204, want: []string{"Cache-Group-Invalidation:"}},
		{name: "RFC 9875 3: a membership is the member's", method: "PUT", path: "COMMUNITY/members/me", as: "bob", status: 204,
			want: []string{`Cache-Group-Invalidation: "member:#COMMUNITY:7", "members:7"`}},
		{name: "RFC 9875 3: what is refused invalidates nothing", method: "PUT", path: "PRODUCT", as: "ada", body: changed, status: 403, want: problem},
		{name: "RFC 9875 3: everything is no group", method: "POST", path: "/admin/cache/purge", as: "admin", status: 204, want: []string{"Cache-Group-Invalidation:"}},

		{name: "RFC 9110 8.7: an answer that is the resource says so", method: "PUT", path: "PRODUCT", as: "admin", body: changed, status: 200,
			want: []string{"Content-Location: PRODUCT", `Etag: "2.…"`, "Vary: Accept-Encoding"}},
		{name: "RFC 9110 15.3.2: what was created has a place and a tag", method: "POST", path: "/api/products", as: "admin", body: productBody, status: 201,
			want: []string{"Location: /api/products/…", "Content-Location: /api/products/…", `Etag: "1.…"`}},
		{name: "http.md: an edit in another language than one reads has no tag", method: "PUT", path: "POST/translations/de", as: "ada", body: text, status: 200,
			want: []string{"Content-Location:", "Etag:"}},
		{name: "http.md: an edit in the language that one reads has", method: "PUT", path: "POST/translations/de", as: "ada", body: text, header: []string{"Accept-Language: de"}, status: 200,
			want: []string{"Content-Location: POST", `Etag: "2.…"`}},
	}...)
	c.hold(t, rules)
}

// The tag in the answer to a write is the one of the writer's next read, in every
// coding: so that read is a 304.
func TestTheTagOfAWriteIsTheTagOfTheNextRead(t *testing.T) {
	c := newContract(t)
	s := c.scene(t)
	long := strings.Repeat("Mehl, Wasser, Salz und Zeit. ", 60)
	for _, coding := range []string{"", "gzip", "gzip, deflate, br, zstd"} {
		for _, w := range []struct{ method, path, as, body, language string }{
			{"POST", "/api/products", "admin", productBody, ""},
			{"PUT", s["PRODUCT"], "admin", `{"name":"Globe %d","category":"toys","price":{"amount":1,"currency":"EUR"},"stock":1}`, ""},
			{"PUT", s["PRODUCT"] + "?pretty", "admin", `{"name":"Globe %d","category":"toys","price":{"amount":1,"currency":"EUR"},"stock":1}`, ""},
			{"POST", "/api/communities", "ada", `{"name":"Millers"}`, ""},
			{"POST", s["FEED"], "ada", `{"title":"Rye","body":"Sour."}`, ""},
			{"POST", s["FEED"], "ada", `{"title":"Roggen","body":"` + long + `","locale":"de"}`, "en"},
			{"PATCH", s["POST"], "ada", `{"title":"Bread %d"}`, "en"},
			{"PATCH", s["POST"], "ada", `{"title":"Bread %d"}`, "fr"}, // which there is no translation into
			{"PATCH", s["POST"], "ada", `{}`, ""},                     // changes nothing
			{"PUT", s["POST"] + "/translations/de", "ada", `{"title":"Brot %d","body":"` + long + `"}`, "de-AT"},
		} {
			header := []string{"Accept-Encoding: " + coding, "Accept-Language: " + w.language}
			body := w.body
			if strings.Contains(body, "%d") {
				body = fmt.Sprintf(body, len(coding))
			}
			answer, written := c.send(t, w.method, w.path, w.as, body, header...)
			at := answer.Header.Get("Content-Location")
			if answer.StatusCode >= 300 || at == "" {
				t.Fatalf("%s %s: %d %s", w.method, w.path, answer.StatusCode, written)
			}
			read, content := c.send(t, "GET", at, w.as, "", header...)
			for _, name := range []string{"Etag", "Content-Encoding", "Content-Type", "Content-Length"} {
				if got, want := answer.Header.Get(name), read.Header.Get(name); got != want {
					t.Errorf("%s %s in %q: %s is %q, of the next read %q", w.method, w.path, coding, name, got, want)
				}
			}
			if written != content {
				t.Errorf("%s %s in %q shows\n%s\nthe next read\n%s", w.method, w.path, coding, written, content)
			}
			c.must(t, http.StatusNotModified, "GET", at, w.as, "", append(header, "If-None-Match: "+answer.Header.Get("Etag"))...)
		}
	}
}

// No tag where the writer's next read would not be this.
func TestAWriteThatIsReadOtherwiseHasNoTag(t *testing.T) {
	c := newContract(t)
	s := c.scene(t)
	if _, err := c.pool.Exec(t.Context(), `UPDATE communities SET visibility = 'private'`); err != nil {
		t.Fatal(err)
	}
	c.must(t, 200, "PUT", s["POST"]+"/translations/de", "ada", `{"title":"Brot","body":"Mehl."}`)
	for name, w := range map[string]struct{ as, language string }{
		"a translation is read":              {"ada", "de"},
		"an administrator who is no member ": {"admin", "en"},
	} {
		h := c.must(t, 200, "PATCH", s["POST"], w.as, `{"title":"`+name+`"}`, "Accept-Language: "+w.language).Header
		if h.Get("Etag") != "" || h.Get("Content-Location") != "" {
			t.Errorf("%s: Etag %s, Content-Location %s", name, h.Get("Etag"), h.Get("Content-Location"))
		}
	}
}
