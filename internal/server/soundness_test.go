package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"
	"github.com/redis/go-redis/v9"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/feed"
	"example.com/communityfeed/internal/postgres"
	"example.com/communityfeed/internal/problem"
	"example.com/communityfeed/internal/testenv"
)

// An answer is what a request gets where nothing is cached, and the key under which
// it would be.
type answer struct {
	request request
	key     string
	status  int
	body    string
}

// Keys are sound when each has one answer, and tight when each of their dimensions
// makes a difference to some answer. Neither shows in the code of one route; both show
// in what the whole service answers to many requests.
func TestKeysAreSoundAndTight(t *testing.T) {
	database := testenv.Database(t)
	plain := furnishOn(t, database, postgres.Options{}, cache.Options{Off: true})
	cached := furnishOn(t, database, postgres.Options{}, cache.Options{Answer: func(err error) bool {
		p, ok := errors.AsType[*problem.Problem](err)
		return ok && p.Status < http.StatusInternalServerError
	}})
	w := newWorld(t, plain)
	answers := plain.answers(t, w.requests())
	cached.gives(t, answers)
	plain.keys(t, answers)
	sound(t, answers)

	told := essences{}
	for _, a := range answers {
		told.add(t, a.key, a.status, a.body)
	}
	for key, body := range cached.fragments(t, slices.Collect(maps.Keys(told))) {
		told.add(t, key, http.StatusOK, body)
	}
	told.tight(t, cached.cache.Specs())
	for _, r := range w.reasons() {
		r.check(t, answers)
	}
}

// gives checks that a house gives what the origin gave, to the first who asks and to
// the next.
func (h house) gives(t *testing.T, answers []answer) {
	t.Helper()
	asked, hits := 0, 0
	for range 2 {
		for _, a := range answers {
			rec := h.send(t, a.request)
			if rec.Code != a.status || rec.Body.String() != a.body {
				t.Fatalf("%s is answered %d %s, without the cache %d %s", a.request, rec.Code, rec.Body, a.status, a.body)
			}
			if rec.Code == http.StatusOK {
				asked++
			}
			if rec.Header().Get("X-Cache") == "HIT" {
				hits++
			}
		}
	}
	if hits < asked/3 { // on a busy machine, not every second read is one
		t.Errorf("only %d of %d reads are hits: the cache was hardly asked", hits, asked)
	}
}

// sound checks that requests with one key have one answer, and that what is in no key
// makes no other key.
func sound(t *testing.T, answers []answer) {
	t.Helper()
	byKey := map[string]answer{}
	for _, a := range answers {
		switch first, ok := byKey[a.key]; {
		case !ok && a.request.disguised:
			t.Errorf("%s has a key of its own: %s", a.request, a.key)
		case !ok:
			byKey[a.key] = a
		case first.status != a.status || first.body != a.body:
			t.Errorf("%s is the key of two answers:\n%s: %d %s\n%s: %d %s",
				a.key, first.request, first.status, first.body, a.request, a.status, a.body)
		}
	}
}

// essences are what keys have told apart: by the name of the key, then by the key.
type essences map[string]map[string]string

// add adds an answer, without what in it merely repeats its key.
func (e essences) add(t *testing.T, key string, status int, body string) {
	t.Helper()
	essence := fmt.Sprint(status)
	if status == http.StatusOK {
		var value any
		if err := json.Unmarshal([]byte(body), &value); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		if fields, ok := value.(map[string]any); ok {
			for _, echo := range []string{"viewer", "community", "locale", "order", "page", "perPage", "id", "next"} {
				delete(fields, echo)
			}
		}
		essence = fmt.Sprint(value) // which sorts the fields
	}
	name, _, _ := strings.Cut(key, "|")
	if e[name] == nil {
		e[name] = map[string]string{}
	}
	e[name][key] = essence
}

// tight drops each dimension from each key in turn. Answers that differ must then
// have come to lie under one key.
func (e essences) tight(t *testing.T, specs []cache.Spec) {
	t.Helper()
	for _, s := range specs {
		name := fmt.Sprintf("%s/%d", s.Name, s.Version)
		if len(e[name]) == 0 {
			t.Errorf("%s has no requests in the soundness test", name)
			continue
		}
		for i, dimension := range s.Dims {
			if !matters(e[name], i) {
				t.Errorf("no two answers under %s differ by %s alone: it is superfluous, or the requests do not show what it is for", name, dimension)
			}
		}
	}
}

// matters reports whether two keys that are equal but for one dimension have
// different essences.
func matters(essences map[string]string, dimension int) bool {
	first := map[string]string{}
	for key, essence := range essences {
		fields := strings.Split(key, "|")
		rest := strings.Join(slices.Delete(fields, 1+dimension, 2+dimension), "|")
		if other, ok := first[rest]; ok && other != essence {
			return true
		}
		first[rest] = essence
	}
	return false
}

// send asks as the request says.
func (h house) send(t *testing.T, r request) *httptest.ResponseRecorder {
	t.Helper()
	rec := httptest.NewRecorder()
	h.Handler().ServeHTTP(rec, r.http(t))
	return rec
}

// answers asks a house that caches nothing.
func (h house) answers(t *testing.T, requests []request) (all []answer) {
	t.Helper()
	for _, r := range requests {
		rec := h.send(t, r)
		if how := rec.Header().Get("X-Cache"); rec.Code == http.StatusOK && how != "BYPASS" || rec.Code >= 500 {
			t.Fatalf("%s: %d, %s", r, rec.Code, how)
		}
		a := answer{request: r, status: rec.Code, body: rec.Body.String()}
		a.isFor(t, r)
		all = append(all, a)
	}
	return all
}

// isFor checks what pages say of who they are for. That holds whatever the keys are:
// a key that had lost the user would be the same in both houses.
func (a answer) isFor(t *testing.T, r request) {
	t.Helper()
	viewer, order := "null", feed.Newest
	if r.user != 0 {
		viewer = r.user.String()
	}
	if r.flag {
		order = feed.Ranked
	}
	for says, who := range map[string]string{
		`{"viewer":`: viewer,
		`,"order":`:  `"` + string(order) + `"`,
	} {
		if strings.Contains(a.body, says) && !strings.Contains(a.body, says+who+",") {
			t.Errorf("%s is answered as if it came from somebody else: %.100s", r, a.body)
		}
	}
	if strings.Contains(a.body, `"order"`) && !strings.Contains(a.body, `"locale":"`+r.language+`","order"`) {
		t.Errorf("%s is answered in another language: %.100s", r, a.body)
	}
}

// keys takes the database away from a house. Every load fails from then on, and says
// which key could not be loaded.
func (h house) keys(t *testing.T, answers []answer) {
	t.Helper()
	h.read.Close()
	var failed error
	h.echo.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			failed = next(c)
			return failed
		}
	})
	for i := range answers {
		a := &answers[i]
		h.send(t, a.request)
		if failed == nil {
			t.Fatalf("%s does not need the database", a.request)
		}
		a.key, _, _ = strings.Cut(failed.Error(), ": ")
		if !strings.Contains(a.key, "/") {
			t.Fatalf("%s: the error names no key: %v", a.request, failed)
		}
	}
}

// fragments returns what is kept for other than the given names: fragments of pages. They
// are read from L2.
func (h house) fragments(t *testing.T, pages []string) map[string]string {
	t.Helper()
	o, err := redis.ParseURL(h.l2URL)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(o)
	defer client.Close()
	keys, err := client.Keys(t.Context(), "cf:e:*").Result()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, key := range keys {
		key = strings.Trim(strings.TrimPrefix(key, "cf:e:"), "{}")
		if name, _, _ := strings.Cut(key, "|"); slices.Contains(pages, name) {
			continue
		}
		i, ok, err := h.cache.Inspect(t.Context(), key)
		if err != nil || !ok {
			t.Fatalf("the entry under %s: %v, %v", key, ok, err)
		}
		found[key] = string(i.Body)
	}
	return found
}

// check finds the two requests of a reason among the answers and holds them against
// each other.
func (r reason) check(t *testing.T, answers []answer) {
	t.Helper()
	pick := func(want request) answer {
		i := slices.IndexFunc(answers, func(a answer) bool { return a.request == want })
		if i < 0 {
			t.Fatalf("%s: %s was not asked", r.why, want)
		}
		return answers[i]
	}
	one, two := pick(r.one), pick(r.two)
	if one.status != http.StatusOK || two.status != r.status() {
		t.Errorf("%s: answered %d and %d", r.why, one.status, two.status)
		return
	}
	if r.field != "" && cmp.Equal(valuesOf(t, one.body, r.field), valuesOf(t, two.body, r.field)) {
		t.Errorf("%s does not show: %s and %s have the same %s", r.why, one.request, two.request, r.field)
	}
	var differ []string
	ours, theirs := strings.Split(one.key, "|"), strings.Split(two.key, "|")
	for i := range ours {
		if ours[i] != theirs[i] {
			name, _, _ := strings.Cut(ours[i], "=")
			differ = append(differ, name)
		}
	}
	if !slices.Equal(differ, []string{r.dimension}) {
		t.Errorf("%s: %s and %s differ in %q, want %s alone", r.why, one.key, two.key, differ, r.dimension)
	}
}

// valuesOf collects the values of a field in a JSON text, however deep, in order.
func valuesOf(t *testing.T, text, field string) (values []string) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	for {
		token, err := d.Token()
		if err != nil {
			return values
		}
		if token == field {
			var value json.RawMessage
			if err := d.Decode(&value); err == nil {
				values = append(values, string(value))
			}
		}
	}
}
