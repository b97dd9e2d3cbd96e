package server

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"example.com/communityfeed/internal/identity"
)

func TestOperatorsSeeAndRemoveWhatRedisHolds(t *testing.T) {
	h := newHouse(t)
	if _, err := h.pool.Exec(t.Context(), `INSERT INTO users (id, name) VALUES (42, 'Ada')`); err != nil {
		t.Fatal(err)
	}
	ada, admin := sign(t, 42, ""), sign(t, 1, identity.Admin)
	_, header, _ := h.ask(t, "POST", "/api/communities", ada, `{"name": "Gardeners"}`)
	community := header.Get("Location")
	h.ask(t, "GET", community, ada, "")

	id := community[len("/api/communities/"):]
	entry := "/admin/cache/entries?key=" + url.QueryEscape("communities.one/1|id="+id+"|user=42")
	status, header, answer := h.ask(t, "GET", entry, admin, "")
	var got inspected
	if err := json.Unmarshal([]byte(answer), &got); err != nil {
		t.Fatalf("%d %s", status, answer)
	}
	if got.State != "fresh" || got.Bytes == 0 || !slices.Contains(got.Tags, "user:42") || header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s, %s", answer, header)
	}
	if status, _, answer := h.ask(t, "DELETE", entry, admin, ""); status != 200 || answer != "{\"deleted\":1}\n" {
		t.Errorf("%d %s", status, answer)
	}
	if status, _, answer := h.ask(t, "GET", entry, admin, ""); status != 404 {
		t.Errorf("after it was deleted: %d %s", status, answer)
	}
	pattern := "/admin/cache/entries?pattern=" + url.QueryEscape("communities.one/*")
	if status, _, answer := h.ask(t, "DELETE", pattern, admin, ""); status != 200 || answer != "{\"deleted\":0}\n" {
		t.Errorf("%d %s", status, answer)
	}
}

// Rule 11: purging withdraws everything, through an event row like any write.
func TestPurgeWithdrawsEverythingThroughARow(t *testing.T) {
	h := newHouse(t)
	admin := sign(t, 1, identity.Admin)
	h.ask(t, "GET", "/api/products", "", "")
	if _, header, _ := h.ask(t, "GET", "/api/products", "", ""); header.Get("X-Cache") != "HIT" {
		t.Errorf("the second read is a %s", header.Get("X-Cache"))
	}
	if status, _, answer := h.ask(t, "POST", "/admin/cache/purge", admin, ""); status != http.StatusNoContent {
		t.Fatalf("%d %s", status, answer)
	}
	if _, header, _ := h.ask(t, "GET", "/api/products", "", ""); header.Get("X-Cache") != "MISS" {
		t.Errorf("the read after the purge is a %s", header.Get("X-Cache"))
	}
	if err := h.outbox.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	var rows int
	err := h.pool.QueryRow(t.Context(), `SELECT count(*) FROM outbox WHERE kind = 'server.cache_purged' AND delivered_at IS NOT NULL`).Scan(&rows)
	if err != nil || rows != 1 {
		t.Errorf("%d rows, %v", rows, err)
	}
}

func TestOperatorsAreToldWhatIsWrong(t *testing.T) {
	h := newHouse(t)
	user, admin := sign(t, 42, ""), sign(t, 1, identity.Admin)
	for _, tc := range []struct {
		name, method, path, token string
		status                    int
	}{
		{"nobody", "POST", "/admin/cache/purge", "", 401},
		{"a forged token", "POST", "/admin/cache/purge", "forged", 401},
		{"a user", "POST", "/admin/cache/purge", user, 403},
		{"a user who looks", "GET", "/admin/cache/entries?key=x", user, 403},
		{"no key", "GET", "/admin/cache/entries", admin, 400},
		{"not a key", "GET", "/admin/cache/entries?key=feed.page", admin, 400},
		{"neither", "DELETE", "/admin/cache/entries", admin, 400},
		{"both", "DELETE", "/admin/cache/entries?key=a&pattern=b", admin, 400},
		{"another method", "GET", "/admin/cache/purge", admin, 405},
		{"another path", "GET", "/admin/else", admin, 404},
	} {
		if status, _, answer := h.ask(t, tc.method, tc.path, tc.token, ""); status != tc.status {
			t.Errorf("%s: got %d %s, want %d", tc.name, status, answer, tc.status)
		}
	}
}
