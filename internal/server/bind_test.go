package server

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/problem"
)

type product struct {
	Name  string `json:"name"`
	Stock *int32 `json:"stock"`
	Price struct {
		Amount int64 `json:"amount"`
	} `json:"price"`
	Tags  []string  `json:"tags"`
	Sold  bool      `json:"sold"`
	Since time.Time `json:"since"`
	Size  Size      `json:"size"`
}

// Size decodes itself.
type Size string

func (s *Size) UnmarshalText(text []byte) error {
	if string(text) != "small" {
		return problem.BadRequest("a size is small")
	}
	*s = Size(text)
	return nil
}

// newBinding answers with what it has bound.
func newBinding(t *testing.T) bare {
	b := newBare(t, Options{})
	b.echo.POST("/products", func(c echo.Context) error {
		var in product
		if err := c.Bind(&in); err != nil {
			return err
		}
		return c.JSON(http.StatusOK, in.Name)
	})
	return b
}

func TestABodyIsBoundStrictly(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		status     int
		detail     string
		fields     []problem.Field
	}{
		{name: "a good one", body: `{"name": "x", "stock": 3, "price": {"amount": 5}}`, status: 200},
		{name: "with white space around", body: "\r\n {\"name\": \"x\"}\t\n", status: 200},
		{name: "no field", body: `{}`, status: 200},
		{name: "an escaped backslash before u0000", body: `{"name": "C:\\u0000"}`, status: 200},

		{name: "nothing", body: "", status: 400, detail: "the request needs a body"},
		{name: "white space", body: " \n", status: 400, detail: "the request needs a body"},
		{name: "an unknown field", body: `{"nmae": "x"}`, status: 400,
			fields: []problem.Field{{Field: "nmae", Message: "is not a field of this request"}}},
		{name: "an unknown field further in", body: `{"price": {"amonut": 5}}`, status: 400,
			fields: []problem.Field{{Field: "amonut", Message: "is not a field of this request"}}},
		{name: "text for a number", body: `{"price": {"amount": "5"}}`, status: 400,
			fields: []problem.Field{{Field: "price.amount", Message: "must be a whole number in range"}}},
		{name: "a fraction for a whole number", body: `{"stock": 1.5}`, status: 400,
			fields: []problem.Field{{Field: "stock", Message: "must be a whole number in range"}}},
		{name: "a number out of range", body: `{"stock": 2147483648}`, status: 400,
			fields: []problem.Field{{Field: "stock", Message: "must be a whole number in range"}}},
		{name: "a number for text", body: `{"name": 5}`, status: 400,
			fields: []problem.Field{{Field: "name", Message: "must be text"}}},
		{name: "text for a list", body: `{"tags": "a"}`, status: 400,
			fields: []problem.Field{{Field: "tags", Message: "must be a list"}}},
		{name: "a list for an object", body: `{"price": []}`, status: 400,
			fields: []problem.Field{{Field: "price", Message: "must be an object"}}},
		{name: "text for a truth", body: `{"sold": "yes"}`, status: 400,
			fields: []problem.Field{{Field: "sold", Message: "must be true or false"}}},
		{name: "a time that is none", body: `{"since": "yesterday"}`, status: 400,
			detail: "the body has a value that cannot be read"},
		{name: "a value whose type says why not", body: `{"size": "huge"}`, status: 400, detail: "a size is small"},
		{name: "a list", body: `[{"name": "x"}]`, status: 400, detail: "the body must be a JSON object"},
		{name: "null", body: `null`, status: 400, detail: "the body must be a JSON object"},
		{name: "a syntax error", body: "{\n  \"näme\": x}", status: 400,
			detail: "the body is not JSON, at line 2, column 11"},
		{name: "not JSON at all", body: "name=x", status: 400, detail: "the body is not JSON, at line 1, column 2"},
		{name: "half of it", body: `{"name": "x"`, status: 400, detail: "the body ends in the middle of its JSON"},
		{name: "a second object", body: `{"name": "x"} {"name": "y"}`, status: 400,
			detail: "the body goes on after its JSON object, at line 1, column 14"},
		{name: "a zero byte in text", body: `{"name": "a\u0000b"}`, status: 400,
			detail: "text must not contain U+0000, at line 1, column 19"},
		{name: "not UTF-8", body: "{\"name\": \"\xff\"}", status: 400, detail: "the body is not UTF-8"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newBinding(t).ask("POST", "/products", tc.body, "Content-Type", "application/json")
			if tc.status == 200 {
				if r.StatusCode != 200 {
					t.Errorf("answered %d: %s", r.StatusCode, readAll(t, r))
				}
				return
			}
			p := problemIn(t, r)
			if p.Status != tc.status || tc.detail != "" && p.Detail != tc.detail {
				t.Errorf("got %d %q, want %d %q", p.Status, p.Detail, tc.status, tc.detail)
			}
			if diff := cmp.Diff(tc.fields, p.Errors); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOnlyJSONInUTF8IsTaken(t *testing.T) {
	b := newBinding(t)
	for media, want := range map[string]int{
		"application/json":                  200,
		"Application/JSON; charset=UTF-8":   200,
		"":                                  415,
		"text/json":                         415,
		"application/x-www-form-urlencoded": 415,
		"application/json; charset=latin1":  415,
		"application/json;;":                415,
	} {
		if got := b.ask("POST", "/products", `{"name":"x"}`, "Content-Type", media).StatusCode; got != want {
			t.Errorf("%q answers %d, want %d", media, got, want)
		}
	}
}

func TestABodyOver64KiBIsRefusedHoweverItIsSent(t *testing.T) {
	b := newBinding(t)
	body := func(size int) []byte {
		frame := `{"name":""}`
		return []byte(`{"name":"` + strings.Repeat("x", size-len(frame)) + `"}`)
	}
	srv := httptest.NewServer(b.Handler())
	defer srv.Close()
	for _, tc := range []struct {
		name string
		size int
		want int
	}{{"just fits", 64 << 10, 200}, {"one byte more", 64<<10 + 1, 413}, {"much more", 1 << 20, 413}} {
		for way, reader := range map[string]io.Reader{
			"with its length": bytes.NewReader(body(tc.size)),
			"in chunks":       io.MultiReader(bytes.NewReader(body(tc.size))),
		} {
			t.Run(tc.name+" "+way, func(t *testing.T) {
				r, err := http.Post(srv.URL+"/products", "application/json", reader)
				if err != nil {
					t.Fatal(err)
				}
				if r.StatusCode != tc.want {
					t.Errorf("answered %d, want %d", r.StatusCode, tc.want)
				}
				if body := readAll(t, r); tc.want == 413 && !strings.Contains(body, "65536") {
					t.Errorf("the answer does not say how large: %s", body)
				}
			})
		}
	}
}

func FuzzBindNeverFailsInside(f *testing.F) {
	f.Add([]byte(`{"name": "x"`))
	f.Add([]byte(`{"stock": 1e99, "": null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(bytes.TrimSpace(body)) == 0 {
			return
		}
		var in product
		err := decode(body, &in)
		if err == nil {
			return
		}
		if p := problemOf(err, "POST"); p.Status != 400 {
			t.Errorf("%q answers %v", body, p)
		}
	})
}
