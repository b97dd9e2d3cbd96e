package cachehttp

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// format begins what is stored. To a version that knew no formats it is a length
// that no response has.
//
// A version before this one stored two codings beside the plain body, each left out where
// it is not smaller. This one leaves out both, and skips those that it finds. So either
// reads what the other has stored, while they run beside each other on one Redis: with
// another format, each would fill anew what the other has filled, and log it.
const format = "\xff\xff\xff\x02"

// codec keeps a response in L2: its headers and the plain body.
//
// That is not compressed. Storing a response and reading it once, as it is and with zstd
// at its fastest (BenchmarkStored), takes of the processor, in this process and in Redis:
//
//	feed page of 20 posts   36 + 16 µs, 9.8 KB      72 + 15 µs, 1.8 KB
//	list of 20 products     24 + 14 µs, 3.1 KB      42 + 14 µs, 0.7 KB
//
// Redis does not feel the bytes, and few are kept: what is stored whole is the same for
// everybody, or small.
type codec struct{}

func (codec) Encode(r *response) ([]byte, error) {
	groups := ""
	if r.groups != nil {
		groups = r.groups[0]
	}
	return pack([]byte(r.contentType[0]), []byte(groups), []byte(r.tag), nil, nil, r.body()), nil
}

func (codec) Decode(b []byte) (*response, error) { return unpack(b) }

// pack puts fields one behind the other, each behind its length. The last one, the
// plain body, needs none.
func pack(fields ...[]byte) []byte {
	size := len(format)
	for _, f := range fields {
		size += binary.MaxVarintLen32 + len(f)
	}
	b := append(make([]byte, 0, size), format...)
	last := len(fields) - 1
	for _, f := range fields[:last] {
		b = append(binary.AppendUvarint(b, uint64(len(f))), f...)
	}
	return append(b, fields[last]...)
}

var errNotResponse = errors.New("cachehttp: not a stored response")

// unpack is the inverse of pack. The body is part of stored, unless that has codings as
// well, which are not kept.
func unpack(stored []byte) (*response, error) {
	rest, ok := bytes.CutPrefix(stored, []byte(format))
	if !ok {
		return nil, errNotResponse
	}
	var fields [5][]byte // content type, groups, tag, zstd, gzip
	for i := range fields {
		n, used := binary.Uvarint(rest)
		if used <= 0 || n > uint64(len(rest)-used) {
			return nil, errNotResponse
		}
		rest = rest[used:]
		fields[i], rest = rest[:n:n], rest[n:]
	}
	if len(fields[3])+len(fields[4]) > 0 {
		rest = bytes.Clone(rest)
	}
	return describedAs(string(fields[0]), string(fields[1]), string(fields[2]), rest), nil
}
