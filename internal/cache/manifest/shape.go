package manifest

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// A shape is what encoding/json makes of a Go type. Its text is one line:
//
//	{viewer:integer? items:[{id:integer author:{name:string}}] texts:{*:string} next?:string}
//
// Here viewer may be null and next may be left out, and texts is a map. A type that marshals
// itself is opaque, and shown as <package.Type>; one that marshals itself to a text, as a
// time does, is a string. An interface is any. ^1 is the shape one bracket out, ^2 the one
// two brackets out: so a type that contains itself ends.
type shape struct {
	open   string  // "{" an object, "{*:" a map, "[" an array, "" none of them
	leaf   string  // what it is, if it is none of them
	fields []field // of an object; of a map or an array, one without a name
	null   bool    // it may be null
}

// field is a field of an object.
type field struct {
	name    string
	missing bool // it may be left out
	shape   *shape
}

var (
	timeType       = reflect.TypeFor[time.Time]()
	numberType     = reflect.TypeFor[json.Number]()
	marshalerType  = reflect.TypeFor[json.Marshaler]()
	textType       = reflect.TypeFor[encoding.TextMarshaler]()
	plainName      = regexp.MustCompile(`^[A-Za-z0-9_-]+`)
	pathOfPackages = regexp.MustCompile(`[^\s\[\](){}*,]*/`)
)

// String returns the text of the shape.
func (s *shape) String() string {
	text := s.open + s.leaf
	for i, f := range s.fields {
		if s.open == "{" {
			name := f.name
			if plainName.FindString(name) != name {
				name = strconv.Quote(name)
			}
			text += either(i > 0, " ", "") + name + either(f.missing, "?:", ":")
		}
		text += f.shape.String()
	}
	return text + closing[s.open] + either(s.null, "?", "")
}

var closing = map[string]string{"{": "}", "{*:": "}", "[": "]"}

func either(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}

// shapeOf returns the shape of a type inside others. It fails for what is not JSON.
func shapeOf(t reflect.Type, around []reflect.Type) (*shape, error) {
	if i := slices.Index(around, t); i >= 0 {
		out := slices.DeleteFunc(slices.Clone(around[i:]), func(t reflect.Type) bool { return t.Kind() == reflect.Pointer })
		return &shape{leaf: "^" + strconv.Itoa(len(out))}, nil
	}
	around = append(slices.Clip(around), t)
	switch {
	case t.Kind() == reflect.Pointer:
		s, err := shapeOf(t.Elem(), around)
		if err != nil {
			return nil, err
		}
		s.null = true
		return s, nil
	case t == timeType:
		return &shape{leaf: "string"}, nil
	case t == numberType:
		return &shape{leaf: "number"}, nil
	case implements(t, marshalerType):
		return &shape{leaf: "<" + pathOfPackages.ReplaceAllString(t.String(), "") + ">"}, nil
	case implements(t, textType):
		return &shape{leaf: "string"}, nil
	}
	switch t.Kind() {
	case reflect.Interface:
		return &shape{leaf: "any"}, nil
	case reflect.Slice, reflect.Array:
		if bytes := t.Elem(); t.Kind() == reflect.Slice && bytes.Kind() == reflect.Uint8 &&
			!implements(bytes, marshalerType) && !implements(bytes, textType) {
			return &shape{leaf: "string"}, nil // in base64
		}
		return containerOf("[", t.Elem(), around)
	case reflect.Map:
		if k := t.Key(); scalar(k) != "string" && scalar(k) != "integer" && !k.Implements(textType) {
			return nil, fmt.Errorf("a map's keys are not %s", k)
		}
		return containerOf("{*:", t.Elem(), around)
	case reflect.Struct:
		return objectOf(t, around)
	}
	if leaf := scalar(t); leaf != "" {
		return &shape{leaf: leaf}, nil
	}
	return nil, fmt.Errorf("there is no %s", t)
}

// containerOf returns the shape of an array or a map whose elements are of a type.
func containerOf(open string, t reflect.Type, around []reflect.Type) (*shape, error) {
	s, err := shapeOf(t, around)
	return &shape{open: open, fields: []field{{shape: s}}}, err
}

// implements reports whether encoding/json may find the methods of an interface on a type.
func implements(t, methods reflect.Type) bool {
	return t.Implements(methods) || reflect.PointerTo(t).Implements(methods)
}

// scalar returns the JSON type of a type that has no parts, or nothing.
func scalar(t reflect.Type) string {
	switch k := t.Kind(); {
	case k == reflect.Bool:
		return "boolean"
	case k == reflect.String:
		return "string"
	case k >= reflect.Int && k <= reflect.Uintptr:
		return "integer"
	case k == reflect.Float32 || k == reflect.Float64:
		return "number"
	}
	return ""
}

// objectOf returns the shape of a struct.
func objectOf(t reflect.Type, around []reflect.Type) (*shape, error) {
	object := &shape{open: "{"}
	for _, m := range members(t) {
		s, err := shapeOf(m.typ, around)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
		if m.text && slices.Contains([]string{"boolean", "integer", "number"}, s.leaf) {
			s.leaf = "string"
		}
		object.fields = append(object.fields, field{m.name, m.missing, s})
	}
	return object, nil
}
