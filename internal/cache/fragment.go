package cache

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unsafe"
)

// A Fragment declares a cached load whose value depends on its key alone. K is a struct: each
// of its fields is a dimension of the key, in their order, named by its tag:
//
//	type bucketKey struct {
//		User   identity.UserID `key:"user,owner"`
//		Bucket int64           `key:"bucket"`
//	}
//
// A field is an integer or a string, or a type based on one. The dimension that is marked
// as owner says whose the value is: a page that uses the fragment is theirs, too. It has a
// dimension of the same name, with the same value.
type Fragment[K, V any] struct {
	Name    string // as of a [Spec]
	Version int
	Policy  Policy
	Tags    func(K) []Tag // they follow from the key; see [Spec]
}

// Fragments are the values of a declared fragment: what its reads go through.
type Fragments[K, V any] struct {
	source *source
	shape  *keyShape
}

// NewFragments binds a load to the keys of a fragment. See [NewSource], which it is like but
// for the types: it panics when the declaration is malformed or its name and version are
// taken, and load must return nothing that depends on anything but its key.
func NewFragments[K, V any](c *Cache, f Fragment[K, V], load func(context.Context, K) (V, error)) *Fragments[K, V] {
	shape, err := shapeOf(reflect.TypeFor[K]())
	if err == nil && f.Tags == nil {
		err = errors.New("it has no tags: no write could make it stale")
	}
	if err != nil {
		panic(fmt.Errorf("cache: fragment %s: %w", f.Name, err))
	}
	key := func(k Key) (typed K) {
		shape.decode(k.values, unsafe.Pointer(&typed))
		return typed
	}
	spec := Spec{
		Name: f.Name, Version: f.Version, Dims: shape.dims, Owner: shape.owner, Policy: f.Policy, Value: reflect.TypeFor[V](),
		Tags: func(k Key) []Tag { return f.Tags(key(k)) },
	}
	s := NewSource(c, spec, JSON[V]{}, func(ctx context.Context, k Key) (V, error) { return load(ctx, key(k)) })
	return &Fragments[K, V]{s.source, shape}
}

// Fetch returns the fragment of a key. The value is shared and must not be changed. A hit in
// L1 allocates nothing. Inside a load it fails; see alone.
func (f *Fragments[K, V]) Fetch(ctx context.Context, k K) (Result[V], error) {
	var scratch [256]byte
	return fetch[V](ctx, f.source, f.render(scratch[:0], &k))
}

// Want names a fragment that a page is going to use; see [Source.Want].
func (f *Fragments[K, V]) Want(m *Composition, k K) Wanted[V] {
	var scratch [256]byte
	return Wanted[V]{m, m.want(f.source, f.render(scratch[:0], &k))}
}

// WriteThrough is [Source.WriteThrough].
func (f *Fragments[K, V]) WriteThrough(ctx context.Context, k K, write func(context.Context) error, change func(V) V) error {
	return f.source.writeThrough(ctx, f.source.spec.split(string(f.render(nil, &k))), write, func(v any) any { return change(v.(V)) })
}

func (f *Fragments[K, V]) render(b []byte, k *K) []byte {
	return f.shape.append(b, f.source.spec, unsafe.Pointer(k))
}

// A keyShape is how a struct is a key.
type keyShape struct {
	dims   []string
	owner  string
	fields []keyField // one for each dimension
}

type keyField struct {
	offset uintptr
	typ    reflect.Type
}

// shapeOf reads the shape of a type of keys.
func shapeOf(t reflect.Type) (*keyShape, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("its key %s is not a struct", t)
	}
	s := new(keyShape)
	for i := range t.NumField() {
		field := t.Field(i)
		name, mark, _ := strings.Cut(field.Tag.Get("key"), ",")
		switch {
		case name == "":
			return nil, fmt.Errorf("field %s of its key %s has no tag key:\"name\"", field.Name, t)
		case mark != "" && mark != "owner":
			return nil, fmt.Errorf("field %s of its key %s is marked %q: only owner is known", field.Name, t, mark)
		case field.Type.Kind() != reflect.Int && field.Type.Kind() != reflect.Int64 && field.Type.Kind() != reflect.String:
			return nil, fmt.Errorf("field %s of its key %s is neither an int, an int64 nor a string", field.Name, t)
		}
		if mark == "owner" {
			s.owner = name
		}
		s.dims = append(s.dims, name)
		s.fields = append(s.fields, keyField{field.Offset, field.Type})
	}
	return s, nil
}

// append renders the key that is at p. It reads the fields by their offsets: reflection
// would move every key to the heap, and a hit allocates nothing.
func (s *keyShape) append(b []byte, of *spec, p unsafe.Pointer) []byte {
	b = append(b, of.head...)
	for i, f := range s.fields {
		b = append(b, of.fields[i]...)
		at := unsafe.Add(p, f.offset)
		switch f.typ.Kind() {
		case reflect.Int:
			b = strconv.AppendInt(b, int64(*(*int)(at)), 10)
		case reflect.Int64:
			b = strconv.AppendInt(b, *(*int64)(at), 10)
		default:
			b = appendEscaped(b, *(*string)(at))
		}
	}
	return b
}

// decode is the inverse of append. What is not a number is zero: the text was rendered by
// append, or is one that an operator has typed, under which there is nothing.
func (s *keyShape) decode(values []string, p unsafe.Pointer) {
	for i, f := range s.fields {
		to := reflect.NewAt(f.typ, unsafe.Add(p, f.offset)).Elem()
		if f.typ.Kind() == reflect.String {
			to.SetString(values[i])
		} else if n, err := strconv.ParseInt(values[i], 10, f.typ.Bits()); err == nil {
			to.SetInt(n)
		}
	}
}
