package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

type (
	person struct {
		ID   int64  `json:"id"`
		Name string `json:"name"`
	}
	thread struct {
		Text    string     `json:"text"`
		Replies []thread   `json:"replies"`
		Parent  *thread    `json:"parent"`
		By      person     `json:"by"`
		Near    [][]thread `json:"near"`
	}
	list          []list
	tree          map[string]tree
	endless       *endless
	opaque[T any] []T
	cents         int
	named         struct{ Name string }
	tagged        struct {
		Name string `json:"Name"`
	}
	left    struct{ middle }
	right   struct{ middle }
	middle  struct{ deepest }
	deepest struct{ Deep int }
	Itself  struct {
		*Itself
		X int
	}
	Shown  struct{ Seen bool }
	hidden int
)

func (opaque[T]) MarshalJSON() ([]byte, error) { return []byte("1"), nil }
func (*cents) MarshalJSON() ([]byte, error)    { return []byte(`"1 €"`), nil }

func TestTheShapeOfATypeIsThatOfItsJSON(t *testing.T) {
	for _, row := range []struct {
		value any
		want  string
	}{
		{true, "boolean"}, {1, "integer"}, {uint8(1), "integer"}, {cents(1), "<manifest.cents>"}, {float32(1), "number"}, {"", "string"},
		{time.Time{}, "string"}, {time.Second, "integer"}, {netip.Addr{}, "string"}, {json.Number("1"), "number"}, {json.RawMessage("1"), "<json.RawMessage>"},
		{[]byte("x"), "string"}, {[2]byte{}, "[integer]"}, {[]any{}, "[any]"}, {map[string]person{}, "{*:{id:integer name:string}}"},
		{map[int][]*int{}, "{*:[integer?]}"}, {map[netip.Addr]int{}, "{*:integer}"}, {new(person), "{id:integer name:string}?"},
		{struct{}{}, "{}"}, {opaque[person]{}, "<manifest.opaque[manifest.person]>"},
		{thread{}, "{text:string replies:[^2] parent:^1? by:{id:integer name:string} near:[[^3]]}"},
		{list{}, "[^1]"}, {tree{}, "{*:^1}"}, {endless(nil), "^0?"},
		{struct {
			A int `json:"-"`
			b int
			D *string `json:",omitempty"`
			E []int   `json:"e,omitzero"`
			F int     `json:"f,string"`
			G string  `json:"a b"`
			H int     `json:"*"`
		}{}, `{D?:string? e?:[integer] f:string "a b":string "*":integer}`},
		{ofOneField(`json:"-,"`), "{-:integer}"},
		{ofOneField(`json:"quote'"`), "{Field:integer}"}, // no name to encoding/json
		{struct {
			Last int
			person
			*Shown
			hidden
		}{}, "{Last:integer id:integer name:string Seen?:boolean}"},
		{struct {
			Person person `json:"person"`
			person `json:"own"`
		}{}, "{person:{id:integer name:string} own:{id:integer name:string}}"},
		{struct {
			named
			tagged
		}{}, "{Name:string}"},
		{struct {
			named
			Named struct{ Name int }
			Name  int
		}{}, "{Named:{Name:integer} Name:integer}"},
		{struct {
			left
			right
		}{}, "{Deep:integer}"}, // encoding/json looks into middle once
		{struct {
			named
			*Itself
		}{}, "{Name:string X?:integer}"},
	} {
		s, err := shapeOf(reflect.TypeOf(row.value), nil)
		if err != nil || s.String() != row.want {
			t.Errorf("%T has shape %v, %v, want %s", row.value, s, err, row.want)
			continue
		}
		if again, err := parseShape(row.want); err != nil || !reflect.DeepEqual(again, s) {
			t.Errorf("%s parses to %v, %v", row.want, again, err)
		}
		if s.open == "{" { // what encoding/json writes, in the same order
			var want []string
			for _, f := range s.fields {
				if !f.missing {
					want = append(want, f.name)
				}
			}
			if got := writtenNames(t, row.value); !slices.Equal(got, want) {
				t.Errorf("of %T encoding/json writes %q, and the shape has %q", row.value, got, want)
			}
		}
	}
}

// ofOneField is a struct with a tag that no linter lets pass.
func ofOneField(tag reflect.StructTag) any {
	field := reflect.StructField{Name: "Field", Type: reflect.TypeFor[int](), Tag: tag}
	return reflect.Zero(reflect.StructOf([]reflect.StructField{field})).Interface()
}

// writtenNames are the names in an object that encoding/json writes.
func writtenNames(t *testing.T, value any) (names []string) {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	_, _ = d.Token()
	for d.More() {
		name, _ := d.Token()
		names = append(names, fmt.Sprint(name))
		var skipped any
		if err := d.Decode(&skipped); err != nil {
			t.Fatal(err)
		}
	}
	return names
}

func TestAValueThatIsNotJSONIsRefusedWithItsPlace(t *testing.T) {
	for want, value := range map[string]any{
		`key feed/1: its value chan int is not JSON: there is no chan int`:                make(chan int),
		`key feed/1: its value map[float64]int is not JSON: a map's keys are not float64`: map[float64]int{},
		`key feed/1: its value []struct { F func() } is not JSON: F: there is no func()`:  []struct{ F func() }{},
		`key feed/1: its value map[string]complex128 is not JSON: there is no complex128`: map[string]complex128{},
	} {
		if _, _, err := Compose("feed", 1, nil, reflect.TypeOf(value)); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

func TestWhatIsNoShapeIsRefused(t *testing.T) {
	for _, text := range []string{
		"", "text", "string ", "string??", "{", "{a}", "{a:}", "{:any}", "{a:any b}", "{a:anyb:any}", "{ a:any}", "{\"a\":any}", "{`a b`:any}",
		"[", "[]", "[any", "[any any]", "{*:any b:any}", "{*:}", "^", "<a", "{a??:any}", "any}",
	} {
		if s, err := parseShape(text); err == nil {
			t.Errorf("%q passes for %s", text, s)
		}
	}
}

// anyShape draws shapes of a depth at most.
func anyShape(depth int) *rapid.Generator[*shape] {
	return rapid.Custom(func(t *rapid.T) *shape {
		s := &shape{null: rapid.Bool().Draw(t, "null")}
		if depth > 0 {
			s.open = rapid.SampledFrom([]string{"", "[", "{*:", "{"}).Draw(t, "open")
		}
		inside := func() *shape { return anyShape(depth-1).Draw(t, "inside") }
		switch s.open {
		case "":
			s.leaf = rapid.SampledFrom([]string{"string", "integer", "any", "^1", "<json.RawMessage>"}).Draw(t, "leaf")
		case "{":
			for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "*", "a b", "é:\""}), 0, 4, rapid.ID).Draw(t, "names") {
				s.fields = append(s.fields, field{name, rapid.Bool().Draw(t, "missing"), inside()})
			}
		default:
			s.fields = []field{{shape: inside()}}
		}
		return s
	})
}

// A change that nothing is said of would pass.
func TestEveryChangeOfAShapeIsTold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		depth := rapid.IntRange(0, 3).Draw(t, "depth") // shallow ones are often alike
		was, is := anyShape(depth).Draw(t, "was"), anyShape(depth).Draw(t, "is")
		for _, s := range []*shape{was, is} {
			if again, err := parseShape(s.String()); err != nil || !reflect.DeepEqual(again, s) {
				t.Fatalf("%s parses to %s, %v", s, again, err)
			}
		}
		if told := changes(nil, "", was, is); (was.String() == is.String()) != (told == nil) {
			t.Fatalf("from %s to %s: %q", was, is, told)
		}
	})
}

func TestAChangeOfAShapeIsToldInWords(t *testing.T) {
	const was = `{id:integer items:[{id:integer author:{id:integer name:string}? likes:number}] texts:{*:{title:string}} next?:string?}`
	for is, want := range map[string]string{
		was: "",
		strings.Replace(was, "name:string}", "name:string avatar:string}", 1):             `items[].author gained "avatar"`,
		strings.Replace(was, " name:string}", "}", 1):                                     `items[].author lost "name"`,
		strings.Replace(was, "likes:number", "likes:string", 1):                           `items[].likes became string, was number`,
		strings.Replace(was, "id:integer name:string", "name:string id:integer", 1):       `items[].author changed its order`,
		strings.Replace(was, "name:string}?", "name:string}", 1):                          `items[].author is never null`,
		strings.Replace(was, "next?:string?", "next:string", 1):                           "next is never left out\nnext became string, was string?",
		strings.Replace(was, "title:string", "title?:string body:string", 1):              "texts[*] gained \"body\"\ntexts[*].title may be left out",
		strings.Replace(was, "{*:{title:string}}", "[string]", 1):                         `texts became [string], was {*:{title:string}}`,
		strings.Replace(was, "{id:integer items", "{viewer:integer sort:string items", 1): "the value lost \"id\"\nthe value gained \"viewer\", \"sort\"",
		"string":    "the value became string, was " + was,
		"<<<< HEAD": "the value became <<<< HEAD, was " + was, // another program has written it
	} {
		if diff := cmp.Diff(want, strings.Join(shapeChanges(was, is), "\n")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", is, diff)
		}
	}
}
