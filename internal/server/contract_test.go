package server

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cache/remote"
	"example.com/communityfeed/internal/cachehttp"
	"example.com/communityfeed/internal/events"
	"example.com/communityfeed/internal/feed"
	"example.com/communityfeed/internal/products"
	"example.com/communityfeed/internal/telemetry"
	"example.com/communityfeed/internal/testenv"
)

// A contract is a house with a door: the service behind net/http, as clients reach
// it, with what the rows of the tables below ask for.
//
// Each row stands for one sentence of an RFC or of docs/http.md, and is named after
// it. It names its resources by what they are called in a scene.
type contract struct {
	house
	url    string
	client *http.Client
	tokens map[string]string
}

// A rule is one row.
type rule struct {
	name string

	method, path string // GET unless it says otherwise
	as, body     string
	header       []string // "Name: value"

	status int
	want   []string // "Name: value" of the answer, "Name:" for none; "…" stands for anything
}

func newContract(t *testing.T) *contract {
	t.Helper()
	h := newHouse(t)
	if _, err := h.pool.Exec(t.Context(), `INSERT INTO users (id, name) VALUES (42, 'Ada'), (7, 'Bob'), (1, 'Root')`); err != nil {
		t.Fatal(err)
	}
	door := httptest.NewServer(h.Handler())
	t.Cleanup(door.Close)
	return &contract{
		house: h, url: door.URL,
		client: &http.Client{Transport: &http.Transport{DisableCompression: true}},
		tokens: map[string]string{"ada": sign(t, 42, ""), "bob": sign(t, 7, ""), "admin": sign(t, 1, "admin"), "forged": "x.y.z"},
	}
}

// send asks for a path and returns the answer with its whole body.
func (c *contract) send(t *testing.T, method, path, as, body string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if as != "" {
		r.Header.Set("Authorization", "Bearer "+c.tokens[as])
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ":")
		r.Header.Add(name, strings.TrimSpace(value))
	}
	answer, err := c.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(content)
}

// must is send for what a test takes for granted.
func (c *contract) must(t *testing.T, status int, method, path, as, body string, header ...string) *http.Response {
	t.Helper()
	answer, content := c.send(t, method, path, as, body, header...)
	if answer.StatusCode != status {
		t.Fatalf("%s %s: %d %s, want %d", method, path, answer.StatusCode, content, status)
	}
	return answer
}

// A scene is what one row has to itself, by the names that stand for it: the paths
// PRODUCT, FEED and POST, and their entity tags, such as {FEED-gzip}, without
// quotes. FEED is a page over 1 KiB; ada has written it, bob reads it, everything
// was read before.
type scene map[string]string

const productBody = `{"name":"Atlas","category":"books","price":{"amount":3749,"currency":"EUR"},"stock":50}`

func (c *contract) scene(t *testing.T) scene {
	t.Helper()
	s := scene{}
	s["PRODUCT"] = c.must(t, 201, "POST", "/api/products", "admin", productBody).Header.Get("Location")
	s["COMMUNITY"] = c.must(t, 201, "POST", "/api/communities", "ada", `{"name":"Bakers"}`).Header.Get("Location")
	s["FEED"] = s["COMMUNITY"] + "/posts"
	long := fmt.Sprintf(`{"title":"Bread","body":"%s"}`, strings.Repeat("Flour, water, salt, and time. ", 60))
	s["POST"] = c.must(t, 201, "POST", s["FEED"], "ada", long).Header.Get("Location")
	for _, name := range []string{"PRODUCT", "FEED", "POST"} {
		for _, coding := range []string{"", "gzip", "zstd"} {
			tag := c.must(t, 200, "GET", s[name], "ada", "", "Accept-Encoding: "+coding).Header.Get("Etag")
			s["{"+strings.Trim(name+"-"+coding, "-")+"}"] = strings.Trim(tag, `"`)
		}
	}
	for _, name := range []string{"PRODUCT", "COMMUNITY", "POST"} {
		s["#"+name] = s[name][strings.LastIndexByte(s[name], '/')+1:]
	}
	s["{FEED-bob}"] = strings.Trim(c.must(t, 200, "GET", s["FEED"], "bob", "").Header.Get("Etag"), `"`)
	return s
}

// in puts what stands for a name in its place.
func (s scene) in(text string) string {
	var pairs []string
	for name, value := range s { // braces and # make the names unlike each other
		if name[0] == '{' || name[0] == '#' {
			pairs = append(pairs, name, value)
		}
	}
	text = strings.NewReplacer(pairs...).Replace(text)
	for _, name := range []string{"PRODUCT", "FEED", "COMMUNITY", "POST"} {
		if text == name || strings.HasPrefix(text, name+"/") || strings.HasPrefix(text, name+"?") || strings.HasSuffix(text, ": "+name) {
			return strings.Replace(text, name, s[name], 1)
		}
	}
	return text
}

// hold plays the rows.
func (c *contract) hold(t *testing.T, rules []rule) {
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			s := c.scene(t)
			method := r.method
			if method == "" {
				method = http.MethodGet
			}
			header := make([]string, len(r.header))
			for i, line := range r.header {
				header[i] = s.in(line)
			}
			answer, content := c.send(t, method, s.in(r.path), r.as, r.body, header...)
			if answer.StatusCode != r.status {
				t.Errorf("%s %s %q: %d %s, want %d", method, s.in(r.path), header, answer.StatusCode, content, r.status)
			}
			for _, line := range r.want {
				name, want, _ := strings.Cut(line, ":")
				want = s.in(strings.TrimSpace(want))
				got := strings.Join(answer.Header.Values(name), " | ")
				before, after, open := strings.Cut(want, "…")
				if open && got != "" && strings.HasPrefix(got, before) && strings.HasSuffix(got, after) {
					continue
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
			if method == http.MethodHead || answer.StatusCode == http.StatusNotModified {
				if content != "" {
					t.Errorf("an answer without content has some: %q", content)
				}
			}
		})
	}
}

// What one process has stored, another finds in Redis with all that it needs: it answers
// with the same bytes in every coding, the same tags and groups.
func TestAnotherProcessAnswersTheSameFromRedis(t *testing.T) {
	c := newContract(t)
	s := c.scene(t)
	other := c.neighbour(t)
	for _, coding := range []string{"", "gzip", "zstd"} {
		for name, how := range map[string]string{"FEED": "composed", "POST": "composed", "PRODUCT": "l2"} {
			accepts := "Accept-Encoding: " + coding
			mine, here := c.send(t, "GET", s[name], "ada", "", accepts)
			got, there := other.send(t, "GET", s[name], "ada", "", accepts)
			if status := got.Header.Get("Cache-Status"); coding == "" && !strings.HasSuffix(status, "; detail="+how) {
				t.Errorf("%s is answered with %s", name, status)
			}
			mine.Header.Del("Cache-Status")
			got.Header.Del("Cache-Status")
			if diff := cmp.Diff(lasting(mine), lasting(got)); diff != "" || here != there {
				t.Errorf("%s in %q (-here +there):\n%s", name, coding, diff)
			}
		}
	}
}

// neighbour is another process of the service, on the same servers.
func (c *contract) neighbour(t *testing.T) *contract {
	t.Helper()
	log := testenv.Log(t)
	l2, err := remote.Open(c.l2URL, remote.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l2.Close() })
	second := cache.New(l2, cache.Options{Log: log})
	t.Cleanup(second.Close)
	s := New(log, c.verifier, second, events.NewBus(log), c.outbox,
		feed.NewHandler(feed.NewStore(c.read, c.outbox), second, cachehttp.NewCursors(secret)),
		products.NewHandler(products.NewStore(c.read, c.outbox)),
		http.NotFoundHandler(), telemetry.NewMetrics(), Options{})
	door := httptest.NewServer(s.Handler())
	t.Cleanup(door.Close)
	return &contract{url: door.URL, client: c.client, tokens: c.tokens}
}
