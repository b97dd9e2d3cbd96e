package cache

import "encoding/json"

// A Codec turns values into the bytes of an entry and back. Encode must not keep
// the value, Decode may alias the bytes; both are called by many goroutines.
type Codec[T any] interface {
	Encode(T) ([]byte, error)
	Decode([]byte) (T, error)
}

// JSON is the Codec of values that encoding/json can round-trip.
type JSON[T any] struct{}

// Encode implements [Codec].
func (JSON[T]) Encode(v T) ([]byte, error) { return json.Marshal(v) }

// Decode implements [Codec].
func (JSON[T]) Decode(b []byte) (v T, err error) { return v, json.Unmarshal(b, &v) }
