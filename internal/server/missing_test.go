package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/postgres"
	"example.com/communityfeed/internal/problem"
	"example.com/communityfeed/internal/testenv"
)

// What does not exist is loaded once, however often it is asked for, and shows at once when
// it is made, also through another process. The numbers come from sequences, so the next one
// is known.
func TestWhatIsMissingIsLoadedOnceAndShowsWhenItIsMade(t *testing.T) {
	database, l2 := testenv.Database(t), testenv.Redis(t)
	o := cache.Options{Answer: func(err error) bool {
		p, ok := errors.AsType[*problem.Problem](err)
		return ok && p.Status == http.StatusNotFound
	}}
	asked := furnishBeside(t, database, l2, postgres.Options{}, o)
	other := furnishBeside(t, database, l2, postgres.Options{}, o)
	if _, err := asked.pool.Exec(t.Context(), `INSERT INTO users (id, name) VALUES (1, 'User')`); err != nil {
		t.Fatal(err)
	}
	author, admin := sign(t, 1, ""), sign(t, 1, identity.Admin)
	make := func(h house, path, token, body string) (id int64, read string) {
		t.Helper()
		status, _, answer := h.ask(t, http.MethodPost, path, token, body)
		var made struct{ ID int64 }
		if err := json.Unmarshal([]byte(answer), &made); status != http.StatusCreated || err != nil {
			t.Fatalf("%s: %d %s", path, status, answer)
		}
		return made.ID, answer
	}
	const community, post, product = `{"name":"Bakers"}`, `{"title":"Bread","body":"Flour."}`,
		`{"name":"Atlas","category":"books","price":{"amount":1,"currency":"EUR"},"stock":1}`
	home, _ := make(asked, "/api/communities", author, community)
	posts := fmt.Sprintf("/api/communities/%d/posts", home)
	for _, kind := range []struct {
		key, reads, makes, token, body string
	}{
		{"communities.shared/1", "/api/communities/", "/api/communities", author, community},
		{"posts.shared/1", "/api/posts/", posts, author, post},
		{"products.one/1", "/api/products/", "/api/products", admin, product},
	} {
		last, _ := make(asked, kind.makes, kind.token, kind.body)
		next := kind.reads + fmt.Sprint(last+1)
		loads := func() uint64 { return asked.cache.Stats().Keys[kind.key].Loads }
		before := loads()
		for range 5 {
			if status, _, answer := asked.ask(t, http.MethodGet, next, author, ""); status != http.StatusNotFound {
				t.Fatalf("%s: %d %s", next, status, answer)
			}
		}
		if n := loads() - before; n != 1 {
			t.Errorf("%s: five requests for what is missing made %d loads", kind.key, n)
		}
		make(asked, kind.makes, kind.token, kind.body)
		for name, h := range map[string]house{"this process": asked, "another": other} {
			if status, _, answer := h.ask(t, http.MethodGet, next, author, ""); status != http.StatusOK || !strings.Contains(answer, fmt.Sprintf(`"id":%d`, last+1)) {
				t.Errorf("%s, made a moment ago, through %s: %d %s", next, name, status, answer)
			}
		}
	}
}
