package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/testenv"
	"example.com/communityfeed/loadtest/internal/rig"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// A pair is the service and the peer on the same data.
type pair struct {
	secret        string
	service, peer string
	otherPeer     string // a second process
	plain         string
}

func start(t *testing.T) pair {
	t.Helper()
	dir := t.TempDir()
	o := rig.Options{Program: filepath.Join(dir, "api"), Size: "small", DatabaseURL: testenv.Database(t), RedisURL: testenv.Redis(t)}
	peer := filepath.Join(dir, "peer")
	for program, source := range map[string]string{o.Program: "example.com/communityfeed/cmd/api", peer: "example.com/communityfeed/loadtest/peer"} {
		if out, err := exec.CommandContext(t.Context(), "go", "build", "-pgo", "off", "-o", program, source).CombinedOutput(); err != nil {
			t.Fatalf("building %s: %v\n%s", source, err, out)
		}
	}
	r, err := rig.Start(t.Context(), o, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	closing(t, r)
	started := func(f rig.Fleet, err error) []string {
		if err != nil {
			t.Fatal(err)
		}
		closing(t, f)
		return f.URLs()
	}
	service := started(r.ServeFleet(t.Context(), 1, "--cache", "off"))
	peers := started(r.Launch(t.Context(), 2, peer))
	plain := started(r.Launch(t.Context(), 1, peer, "--cache", "off"))
	return pair{r.Secret, service[0], peers[0], peers[1], plain[0]}
}

func closing(t *testing.T, c io.Closer) {
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// answered is what of an answer is compared.
type answered struct {
	Status int
	Body   string
	Cache  string
}

// ask sends a request as a user, or as nobody.
func (p pair) ask(t *testing.T, method, url string, user identity.UserID, locale string, ranked bool, body string) answered {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Language", locale)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if ranked {
		req.Header.Set(identity.HeaderFeedV2, "1")
	}
	if user != 0 {
		token, err := identity.Sign(p.secret, user, "", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answered{Status: resp.StatusCode, Cache: resp.Header.Get("X-Cache")}
	if a.Status < http.StatusBadRequest { // how errors are told is not compared
		a.Body = string(text)
	}
	return a
}

// User 42 likes, has blocked somebody in community 12, and is no member of the private
// community 13. Both are read to their ends.
func TestThePeerAnswersAsTheServiceDoes(t *testing.T) {
	p := start(t)
	pages := 0
	for _, community := range []string{"12", "13", "50", "4711"} {
		for _, user := range []identity.UserID{0, 42, 200} {
			for _, locale := range []string{"en", "de", "pt-BR"} {
				for _, ranked := range []bool{false, true} {
					path := "/api/communities/" + community + "/posts?limit=50"
					for after := ""; ; pages++ {
						want := p.ask(t, http.MethodGet, p.service+path+after, user, locale, ranked, "")
						for _, base := range []string{p.peer, p.peer, p.plain} {
							got := p.ask(t, http.MethodGet, base+path+after, user, locale, ranked, "")
							if got.Cache = want.Cache; got != want {
								t.Fatalf("%s%s by %v in %s (ranked: %t): %s", path, after, user, locale, ranked, cmp.Diff(want, got))
							}
						}
						var body struct{ Next *string }
						if want.Body == "" || json.Unmarshal([]byte(want.Body), &body) != nil || body.Next == nil {
							break
						}
						after = "&after=" + *body.Next
					}
				}
			}
		}
	}
	if pages < 10 {
		t.Errorf("%d pages were followed by another one: too few to compare", pages)
	}
	t.Run("a post", func(t *testing.T) { p.posts(t) })
}

// What was posted is on the next page of the same process, which then is kept in both.
func (p pair) posts(t *testing.T) {
	const path, in = "/api/communities/12/posts", `{"title":"A new one","body":"to be seen at once"}`
	reads := func(base, how string) string {
		t.Helper()
		got := p.ask(t, http.MethodGet, base+path, 42, "fr", false, "")
		if got.Status != http.StatusOK || got.Cache != how {
			t.Errorf("the page is %d, %s, want %s", got.Status, got.Cache, how)
		}
		return got.Body
	}
	reads(p.peer, "MISS")
	reads(p.peer, "HIT")
	reads(p.otherPeer, "HIT") // from Redis
	reads(p.plain, "BYPASS")

	var bodies []map[string]any
	for _, base := range []string{p.service, p.peer} {
		got := p.ask(t, http.MethodPost, base+path, 42, "fr", false, in)
		var body map[string]any
		if err := json.Unmarshal([]byte(got.Body), &body); err != nil || got.Status != http.StatusCreated {
			t.Fatalf("posting is answered %d %q: %v", got.Status, got.Body, err)
		}
		delete(body, "id")
		delete(body, "createdAt")
		bodies = append(bodies, body)
	}
	if diff := cmp.Diff(bodies[0], bodies[1]); diff != "" {
		t.Error(diff)
	}
	if body := reads(p.peer, "MISS"); !strings.Contains(body, "A new one") {
		t.Error("the post is not on the page of the process that took it")
	}
	for _, c := range []struct {
		path string
		user identity.UserID
		want int
	}{{path, 0, 401}, {path, 300, 403}, {"/api/communities/13/posts", 42, 404}} {
		for _, base := range []string{p.service, p.peer} {
			if got := p.ask(t, http.MethodPost, base+c.path, c.user, "en", false, in); got.Status != c.want {
				t.Errorf("user %v posts to %s%s and is answered %d, want %d", c.user, base, c.path, got.Status, c.want)
			}
		}
	}
}
