package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.com/communityfeed/internal/identity"
)

// program is an `api serve` that runs within the test: the whole of it, from its
// arguments to its log, and nothing shared with another one in the same test.
type program struct{ base string }

// serve runs the program on a free port until the test ends, and waits until it
// listens. It must then end by itself and without an error.
func serve(t testing.TB, args ...string) *program {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, append([]string{"serve", "--dev", "--listen=127.0.0.1:0", "--slow-request=10s"}, args...), io.Discard, w)
		w.Close()
		ended <- err
	}()
	at, read := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(read)
		defer close(at)
		readLog(t, r, at)
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("api serve: %v", err)
		}
		<-read
	})
	base := <-at
	if base == "" {
		t.Fatal("the program ended before it listened")
	}
	return &program{base: base}
}

// readLog passes the log on to the test's, and sends the URL at which the program
// says that it listens.
func readLog(t testing.TB, r io.Reader, at chan<- string) {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		var line struct{ Msg, URL string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "listening" {
			at <- line.URL
		}
		if _, measuring := t.(*testing.B); !measuring {
			t.Output().Write(append(lines.Bytes(), '\n'))
		}
	}
}

// caller is who makes a request.
type caller struct {
	user   identity.UserID // 0: nobody
	role   identity.Role
	locale string // Accept-Language
	feedV2 bool
}

// answer is what a program has answered.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) cache() string { return a.header.Get("X-Cache") }

// feedPage is what the tests look at of a page of posts.
type feedPage struct {
	Viewer *identity.UserID
	Locale string
	Order  string
	Items  []struct {
		ID    int64
		Title string
	}
}

func (a answer) page(t *testing.T) feedPage {
	t.Helper()
	var p feedPage
	if a.status != http.StatusOK {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	return p
}

// titles are of the posts on the page, as one text.
func (p feedPage) titles() string {
	var all []string
	for _, post := range p.Items {
		all = append(all, post.Title)
	}
	return strings.Join(all, "\n")
}

func (p *program) get(t testing.TB, who caller, path string, headers ...string) answer {
	t.Helper()
	return p.do(t, who, http.MethodGet, path, "", headers...)
}

// do makes a request; headers are names and values in turn.
func (p *program) do(t testing.TB, who caller, method, path, body string, headers ...string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, p.base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if who.user != 0 {
		token, err := identity.Sign(developmentSecret, who.user, who.role, tokenLife)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if who.locale != "" {
		request.Header.Set("Accept-Language", who.locale)
	}
	if who.feedV2 {
		request.Header.Set(identity.HeaderFeedV2, "1")
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(content)}
}

// want is do for a request that must be answered with a status.
func (p *program) want(t *testing.T, status int, who caller, method, path, body string) answer {
	t.Helper()
	a := p.do(t, who, method, path, body)
	if a.status != status {
		t.Fatalf("%s %s: status %d, want %d: %s", method, path, a.status, status, a.body)
	}
	return a
}

// queryInt asks the test's database behind the programs' backs.
func queryInt(t *testing.T, url, sql string) (n int64) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if err := conn.QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
