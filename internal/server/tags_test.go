package server

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/events"
	"example.com/communityfeed/internal/feed"
	"example.com/communityfeed/internal/products"
)

// byHand are tags that no event invalidates: they withdraw all that is one user's, or all
// that there is.
var byHand = []cache.Tag{"user:7", cache.Everything}

// A tag that no rule invalidates leaves what has it stale until its time is over, and a rule
// whose tag nothing has does nothing: either may be a spelling mistake, or a forgotten rule.
func TestEveryTagIsInvalidatedAndEveryInvalidationHasItsTag(t *testing.T) {
	h := newHouse(t)
	declared, invalidated := map[cache.Tag]string{}, map[cache.Tag]string{}
	tags := func(s cache.Spec, value string) []cache.Tag {
		i, _, err := h.cache.Inspect(t.Context(), cacheKey(s, value))
		if err != nil {
			t.Fatal(err)
		}
		if !i.Process && len(i.Tags) < 2 {
			t.Errorf("%s has no tag of its own: no write makes it stale", i.Key)
		}
		return i.Tags
	}
	for _, s := range h.cache.Specs() {
		for _, tag := range tags(s, "7") {
			declared[tag] = s.Name
		}
	}
	for _, domain := range []struct {
		kinds events.Kinds
		table cache.Invalidations
	}{{feed.Events, feed.Invalidations}, {products.Events, products.Invalidations}} {
		for _, kind := range domain.kinds {
			event := reflect.New(reflect.TypeOf(kind.Zero())).Elem()
			fill(event)
			inv, ok := domain.table.Of(event.Interface())
			if !ok {
				t.Errorf("event %s has no rule", kind.Name())
			}
			for _, tag := range inv.Tags {
				invalidated[tag] = kind.Name()
			}
		}
	}
	for tag, name := range declared {
		if invalidated[tag] == "" && !slices.Contains(byHand, tag) {
			t.Errorf("%s has the tag %q, which no event invalidates", name, tag)
		}
	}
	for _, s := range h.cache.Specs() {
		for _, tag := range tags(s, "") { // of a list of everything, say
			declared[tag] = s.Name
		}
	}
	for tag, kind := range invalidated {
		if declared[tag] == "" {
			t.Errorf("event %s invalidates %q, which nothing has", kind, tag)
		}
	}
}

// fill puts 7 into every number and text of an event.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i))
			}
		}
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.String:
		v.SetString("7")
	}
}

// cacheKey renders a key of a spec with a value in each dimension.
func cacheKey(s cache.Spec, value string) string {
	var b strings.Builder
	b.WriteString(s.Name + "/" + strconv.Itoa(s.Version))
	for _, d := range s.Dims {
		b.WriteString("|" + d + "=" + value)
	}
	return b.String()
}
