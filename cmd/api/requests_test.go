package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"example.com/communityfeed/internal/identity"
)

// Whoever opens requests.http sends what stands in it, one after the other, and
// gets what the names of the requests say.
func TestTheRequestsInRequestsHTTPAreAnsweredAsTheySay(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../requests.http")
	if err != nil {
		t.Fatal(err)
	}
	args, _ := seeded(t)
	requests := parseRequests(t, string(content), map[string]string{
		"host":  serve(t, args...).base,
		"token": signed(t, 42, ""),
		"admin": signed(t, 1, identity.Admin),
	})
	if len(requests) == 0 {
		t.Fatal("requests.http holds no requests")
	}
	for _, r := range requests {
		response, err := http.DefaultClient.Do(r.Request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(response.StatusCode); got != r.status {
			t.Errorf("### %s %s\n%s %s answers %s: %s", r.status, r.name, r.Method, r.URL, got, body)
		}
	}
}

// Scripts outside the program sign as it does.
func TestLoadTestsSignWithTheDevelopmentSecret(t *testing.T) {
	const script = "../../loadtest/lib/token.js"
	content, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(content), "'"+developmentSecret+"'") {
		t.Errorf("%s does not name the development secret of token.go", script)
	}
}

func signed(t *testing.T, user identity.UserID, role identity.Role) string {
	t.Helper()
	token, err := identity.Sign(developmentSecret, user, role, tokenLife)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// fileRequest is a request of requests.http: "### STATUS NAME", the request's line,
// its header, an empty line, its body.
type fileRequest struct {
	status, name string
	*http.Request
}

var (
	variable  = regexp.MustCompile(`(?m)^@(\w+) *= *(.*)$`)
	reference = regexp.MustCompile(`{{(\w+)}}`)
)

// parseRequests reads what the clients of JetBrains and VS Code both understand.
// Of the file's variables, those given are replaced.
func parseRequests(t *testing.T, content string, given map[string]string) []fileRequest {
	t.Helper()
	values := make(map[string]string)
	for _, v := range variable.FindAllStringSubmatch(content, -1) {
		values[v[1]] = v[2]
	}
	for name := range given {
		if _, ok := values[name]; !ok {
			t.Errorf("requests.http has no @%s", name)
		}
	}
	maps.Copy(values, given)

	var requests []fileRequest
	for _, part := range strings.Split("\n"+content, "\n### ")[1:] {
		part = reference.ReplaceAllStringFunc(part, func(r string) string {
			value, ok := values[strings.Trim(r, "{}")]
			if !ok {
				t.Errorf("requests.http uses %s and does not define it", r)
			}
			return value
		})
		title, text, _ := strings.Cut(part, "\n")
		status, name, _ := strings.Cut(title, " ")
		head, body, _ := strings.Cut(text, "\n\n")
		lines := strings.Split(strings.TrimSpace(head), "\n")
		method, url, _ := strings.Cut(lines[0], " ")
		request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(strings.TrimSpace(body)))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range lines[1:] {
			header, value, _ := strings.Cut(line, ": ")
			request.Header.Add(header, value)
		}
		requests = append(requests, fileRequest{status, name, request})
	}
	return requests
}
