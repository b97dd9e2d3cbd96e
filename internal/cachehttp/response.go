package cachehttp

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"
)

// A response is what is kept of a handler's answer. It is made once, at fill;
// every hit writes the same bytes and the same header values.
type response struct {
	body []byte
	etag string // strong: quotes included

	contentType, etagHeader, length []string // as net/http keeps header values
}

func newResponse(contentType, etag string, body []byte) *response {
	return &response{
		body: body, etag: etag,
		contentType: header(contentType), etagHeader: header(etag), length: contentLength(body),
	}
}

// etagOf is a strong validator: equal for equal bytes, and for nothing else.
func etagOf(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
}

// A recorder is the ResponseWriter of a cached handler.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
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
func (r *recorder) response() (*response, error) {
	if r.status != http.StatusOK {
		return nil, fmt.Errorf("cachehttp: a cached handler answers 200 or returns an error; it wrote status %d", r.status)
	}
	for name := range r.header {
		if name != echo.HeaderContentType && name != echo.HeaderContentLength {
			return nil, fmt.Errorf("cachehttp: a cached handler's %s would be lost: only Content-Type is kept", name)
		}
	}
	contentType, body := r.header.Get(echo.HeaderContentType), r.body.Bytes()
	if contentType == "" {
		return nil, errors.New("cachehttp: a cached handler says what its bytes are; it set no Content-Type")
	}
	return newResponse(contentType, etagOf(body), body), nil
}

// codec keeps a response in L2: the two short strings behind their lengths, then
// the body verbatim.
type codec struct{}

func (codec) Encode(r *response) ([]byte, error) {
	b := make([]byte, 0, len(r.contentType[0])+len(r.etag)+len(r.body)+4)
	b = append(binary.AppendUvarint(b, uint64(len(r.contentType[0]))), r.contentType[0]...)
	b = append(binary.AppendUvarint(b, uint64(len(r.etag))), r.etag...)
	return append(b, r.body...), nil
}

var errNotResponse = errors.New("cachehttp: not a stored response")

func (codec) Decode(b []byte) (*response, error) {
	var fields [2]string
	for i := range fields {
		n, used := binary.Uvarint(b)
		if used <= 0 || n > uint64(len(b)-used) {
			return nil, errNotResponse
		}
		b = b[used:]
		fields[i], b = string(b[:n]), b[n:]
	}
	return newResponse(fields[0], fields[1], b), nil
}
