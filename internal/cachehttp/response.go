package cachehttp

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"
)

// A response is what is kept of a handler's answer. It is made once, at fill;
// every hit writes the same bytes and the same header values.
type response struct {
	// stored is the response as it lies in L2. All bodies below lie in it, so its
	// length is what the response costs in L1, too.
	stored []byte

	contentType, groups []string // as net/http keeps header values
	variants            [codings]*variant
}

// A variant is the response in one content coding.
type variant struct {
	body                   []byte
	etag, length, encoding []string // as net/http keeps header values
}

// newResponse makes a response of what a handler wrote. Version is the row's that
// the body shows, or 0; groups is the value of Cache-Groups.
func newResponse(contentType, groups string, version int64, bodies [codings][]byte) (*response, error) {
	tag := hash(bodies[plain])
	if version != 0 {
		tag = strconv.FormatInt(version, 10) + "." + tag
	}
	return unpack(pack([]byte(contentType), []byte(groups), []byte(tag), bodies[zstded], bodies[gzipped], bodies[plain]))
}

// hash is equal for equal bytes, and for nothing else.
func hash(body []byte) string {
	sum := sha256.Sum256(body)
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// format begins what is stored. To a version that knew no formats it is a length
// that no response has.
const format = "\xff\xff\xff\x02"

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

// unpack is the inverse of pack. What it returns lies in stored.
func unpack(stored []byte) (*response, error) {
	rest, ok := bytes.CutPrefix(stored, []byte(format))
	if !ok {
		return nil, errNotResponse
	}
	var fields [5][]byte
	for i := range fields {
		n, used := binary.Uvarint(rest)
		if used <= 0 || n > uint64(len(rest)-used) {
			return nil, errNotResponse
		}
		rest = rest[used:]
		fields[i], rest = rest[:n:n], rest[n:]
	}
	r := &response{stored: stored, contentType: header(string(fields[0]))}
	if len(fields[1]) > 0 {
		r.groups = header(string(fields[1]))
	}
	for i, body := range [codings][]byte{plain: rest, gzipped: fields[4], zstded: fields[3]} {
		if c := coding(i); c == plain || len(body) > 0 {
			r.variants[c] = newVariant(string(fields[2]), c, body)
		}
	}
	return r, nil
}

func newVariant(tag string, c coding, body []byte) *variant {
	v := &variant{body: body, length: header(strconv.Itoa(len(body)))}
	if c != plain {
		v.encoding = header(codingNames[c])
		tag += "-" + codingNames[c]
	}
	v.etag = header(`"` + tag + `"`)
	return v
}

// codec keeps a response in L2.
type codec struct{}

func (codec) Encode(r *response) ([]byte, error) { return r.stored, nil }
func (codec) Decode(b []byte) (*response, error) { return unpack(b) }

// A recorder is the ResponseWriter of a cached handler.
type recorder struct {
	header  http.Header
	status  int
	body    bytes.Buffer
	version int64
}

// Version says of which version of its row a cached handler's answer is made, from
// 1. It becomes the first part of the entity tag, the one that an If-Match is
// compared with; see [Preconditions]. To what is not cached, it does nothing.
func Version(c echo.Context, version int64) {
	if r, ok := c.Response().Writer.(*recorder); ok {
		r.version = version
	}
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

func (r *recorder) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(b)
}

// response returns what was recorded. Only 200 is kept, and only the header that
// says what the bytes are; a handler that wants more is told so on its first run,
// instead of losing it on the second.
func (r *recorder) response(groups string, c *compressor) (*response, error) {
	if r.status != http.StatusOK {
		return nil, fmt.Errorf("cachehttp: a cached handler answers 200 or returns an error; it wrote status %d", r.status)
	}
	for name := range r.header {
		if name != echo.HeaderContentType && name != echo.HeaderContentLength {
			return nil, fmt.Errorf("cachehttp: a cached handler's %s would be lost: only Content-Type is kept", name)
		}
	}
	contentType := r.header.Get(echo.HeaderContentType)
	if contentType == "" {
		return nil, errors.New("cachehttp: a cached handler says what its bytes are; it set no Content-Type")
	}
	return newResponse(contentType, groups, r.version, c.variants(r.body.Bytes()))
}
