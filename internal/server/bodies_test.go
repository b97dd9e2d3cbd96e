package server

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/communityfeed/internal/cache"
)

// The shape of a body is part of its key's contract, and read from the type that its route
// declares. So a body must be the JSON of that type: nothing in it that the type lacks, and
// nothing missing that the type has.
func TestEveryBodyIsOfTheTypeThatItsRouteDeclares(t *testing.T) {
	c := newContract(t)
	s := c.scene(t)
	paths := map[string]string{
		"communities.list": "/api/communities",
		"communities.one":  s["COMMUNITY"],
		"feed.page":        s["FEED"],
		"posts.one":        s["POST"],
		"products.list":    "/api/products",
		"products.one":     s["PRODUCT"],
	}
	specs := c.cache.Specs()
	for _, spec := range specs {
		path, is := paths[spec.Name]
		if !is {
			if spec.Response {
				t.Errorf("no body of %s is looked at", spec.Name)
			}
			continue
		}
		answer, body := c.send(t, "GET", path, "ada", "")
		if answer.StatusCode != 200 {
			t.Fatalf("GET %s: %d %s", path, answer.StatusCode, body)
		}
		value := reflect.New(spec.Value)
		d := json.NewDecoder(bytes.NewReader([]byte(body)))
		d.DisallowUnknownFields()
		if err := d.Decode(value.Interface()); err != nil {
			t.Errorf("%s declares %s, and answers %s: %v", spec.Name, spec.Value, body, err)
			continue
		}
		again, err := json.Marshal(value.Interface())
		if diff := cmp.Diff(body, string(again)+"\n"); err != nil || diff != "" {
			t.Errorf("%s as the %s that it declares, %v (-answered +declared):\n%s", spec.Name, spec.Value, err, diff)
		}
	}
	for name := range paths {
		if !slices.ContainsFunc(specs, func(s cache.Spec) bool { return s.Name == name }) {
			t.Errorf("there is no key %s", name)
		}
	}
}
