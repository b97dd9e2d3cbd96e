package products

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/problem"
)

func TestProductReadsAsDocumented(t *testing.T) {
	s := newShop(t)
	const fields = `"name":"Atlas","category":"books","price":{"amount":3749,"currency":"EUR"},"stock":50`
	rec := s.send(admin, 201, "POST", "/products", `{`+fields+`}`)
	if got := rec.Header().Get("Location"); got != "/api/products/1" {
		t.Errorf("Location is %q", got)
	}
	product := `{"id":1,` + fields + `,"version":1}`
	for what, c := range map[string]struct{ got, want string }{
		"created": {rec.Body.String(), product},
		"one":     {s.send(nobody, 200, "GET", "/products/1", "").Body.String(), product},
		"list": {s.send(nobody, 200, "GET", "/products", "").Body.String(),
			`{"items":[` + product + `],"total":1,"page":1,"perPage":20}`},
		"empty list": {s.send(nobody, 200, "GET", "/products?category=toys&page=7&perPage=50", "").Body.String(),
			`{"items":[],"total":0,"page":7,"perPage":50}`},
	} {
		if diff := cmp.Diff(c.want, strings.TrimSpace(c.got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
}

func TestOnlyAdminsWrite(t *testing.T) {
	s := newShop(t)
	s.stock(1, "books")
	const body = `{"name":"Atlas","category":"books","price":{"amount":1,"currency":"EUR"},"stock":1}`
	for who, want := range map[identity.Caller][3]int{nobody: {401, 401, 401}, user: {403, 403, 403}, admin: {201, 200, 204}} {
		s.send(who, want[0], "POST", "/products", body)
		s.send(who, want[1], "PUT", "/products/1", body)
		if who != admin {
			s.send(who, want[2], "DELETE", "/products/1", "")
		}
	}
	s.send(admin, 204, "DELETE", "/products/1", "")
}

func TestRequestsThatAreRefused(t *testing.T) {
	s := newShop(t)
	for _, c := range []struct {
		method, path, body string
		want               int
		fields             []string
	}{
		{"POST", "/products", `{}`, 400, []string{"name", "category", "price.currency"}},
		{"POST", "/products", `{"name":"` + strings.Repeat("x", 201) + `","category":"boats","price":{"amount":-1,"currency":"eur"},"stock":-1}`,
			400, []string{"name", "category", "price.amount", "price.currency", "stock"}},
		{"POST", "/products", `{"name":"a\u0000b","category":"books","price":{"amount":0,"currency":"XYZ"},"stock":0}`,
			400, []string{"name", "price.currency"}},
		{"POST", "/products", `{"name":"Atlas","colour":"red"}`, 400, nil},
		{"PUT", "/products/0", `{}`, 400, []string{"id"}},
		{"PUT", "/products/99", `{"name":"Atlas","category":"books","price":{"amount":1,"currency":"JPY"},"stock":1}`, 404, nil},
		{"DELETE", "/products/99", ``, 404, nil},
		{"GET", "/products/99", ``, 404, nil},
		{"GET", "/products/x", ``, 400, []string{"id"}},
		{"GET", "/products?category=boats&page=0&perPage=7", ``, 400, []string{"category", "page", "perPage"}},
	} {
		rec := s.send(admin, c.want, c.method, c.path, c.body)
		var p problem.Problem
		if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
		var fields []string
		for _, f := range p.Errors {
			fields = append(fields, f.Field)
		}
		if diff := cmp.Diff(c.fields, fields); diff != "" {
			t.Errorf("%s %s names (-want +got):\n%s", c.method, c.path, diff)
		}
	}
}

// After a write has answered, the next read of every page shows it, whatever was
// cached.
func TestWritesAreSeenByTheNextRead(t *testing.T) {
	s := newShop(t)
	totals := func(all, books, toys int64) {
		t.Helper()
		for range 2 { // loaded, then from the cache
			for path, want := range map[string]int64{"/products": all, "/products?category=books": books, "/products?category=toys": toys} {
				var list listBody
				if err := json.Unmarshal(s.send(nobody, 200, "GET", path, "").Body.Bytes(), &list); err != nil {
					t.Fatal(err)
				}
				if list.Total != want || int64(len(list.Items)) != want {
					t.Errorf("%s lists %d of %d, want %d", path, len(list.Items), list.Total, want)
				}
			}
		}
	}
	s.send(nobody, 404, "GET", "/products/1", "")
	totals(0, 0, 0)
	s.send(admin, 201, "POST", "/products", `{"name":"Atlas","category":"books","price":{"amount":1,"currency":"EUR"},"stock":1}`)
	s.send(nobody, 200, "GET", "/products/1", "")
	totals(1, 1, 0)
	s.send(admin, 200, "PUT", "/products/1", `{"name":"Kite","category":"toys","price":{"amount":1,"currency":"EUR"},"stock":1}`)
	if body := s.send(nobody, 200, "GET", "/products/1", "").Body.String(); !strings.Contains(body, "Kite") {
		t.Errorf("after the update: %s", body)
	}
	totals(1, 0, 1)
	s.send(admin, 204, "DELETE", "/products/1", "")
	s.send(nobody, 404, "GET", "/products/1", "")
	totals(0, 0, 0)
}

// The table of the design, word for word.
func TestEveryEventMovesWhatItMakesStale(t *testing.T) {
	book := Product{ID: 5, Fields: book("Atlas")}
	toy := book
	toy.Category = "toys"
	for _, c := range []struct {
		event any
		want  cache.Invalidation
	}{
		{ProductCreated{book}, cache.Changed("products", "products:books", "product:5")},
		{ProductUpdated{book, toy}, cache.Changed("products", "products:books", "products:toys", "product:5")},
		{ProductDeleted{book}, cache.Revoked("products", "products:books", "product:5")},
	} {
		got, known := Invalidations.Of(c.event)
		if diff := cmp.Diff(c.want, got); !known || diff != "" {
			t.Errorf("%T (-want +got):\n%s", c.event, diff)
		}
		row, err := json.Marshal(c.event)
		if err != nil {
			t.Fatal(err)
		}
		read := reflect.New(reflect.TypeOf(c.event))
		if err := json.Unmarshal(row, read.Interface()); err != nil || read.Elem().Interface() != c.event {
			t.Errorf("%T comes back from its row as %+v, %v", c.event, read.Elem(), err)
		}
	}
	if len(Invalidations) != len(Events) {
		t.Errorf("%d events, %d rules", len(Events), len(Invalidations))
	}
}
