package cachehttp

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/labstack/echo/v4"
)

// A response is what is kept in the process of a handler's answer. It is made once, at
// fill; every hit writes the same bytes and the same header values. What goes to Redis
// is made of it in stored.go.
type response struct {
	contentType, groups []string // as net/http keeps header values
	tag                 string   // the entity tag of the plain body, without quotes
	coded               bool     // whether there are other variants than the plain one
	variants            [codings]variant

	making sync.Mutex // held while a coding is made, and by Size
	size   int
	grown  []func(n int)
}

// A variant is the response in one content coding.
type variant struct {
	etag, encoding []string // as net/http keeps header values
	content        atomic.Pointer[content]
}

// content is the bytes of a variant. The plain ones are always there, the others from
// when they are first asked for.
type content struct {
	body   []byte
	length []string
}

// newResponse makes a response of what a handler wrote. Version is the row's that
// the body shows, or 0; groups is the value of Cache-Groups. It keeps body.
func newResponse(contentType, groups string, version int64, body []byte) *response {
	tag := hash(body)
	if version != 0 {
		tag = strconv.FormatInt(version, 10) + "." + tag
	}
	return describedAs(contentType, groups, tag, body)
}

// describedAs makes a response whose entity tag is known.
func describedAs(contentType, groups, tag string, body []byte) *response {
	r := &response{
		contentType: header(contentType), tag: tag, coded: compressible(contentType, len(body)),
		size: len(contentType) + len(groups) + len(tag) + len(body),
	}
	if groups != "" {
		r.groups = header(groups)
	}
	r.variants[plain].etag = header(`"` + tag + `"`)
	r.variants[plain].content.Store(newContent(body))
	if r.coded {
		for c := plain + 1; c < codings; c++ {
			r.variants[c].etag, r.variants[c].encoding = header(`"`+tag+"-"+codingNames[c]+`"`), encodings[c]
		}
	}
	return r
}

func newContent(body []byte) *content {
	return &content{body: body, length: header(strconv.Itoa(len(body)))}
}

// body is the plain one.
func (r *response) body() []byte { return r.variants[plain].content.Load().body }

// in returns the response in a coding that it has, and makes it if nobody has asked for
// it yet. It takes a lock only then.
func (r *response) in(c coding, by *compressor) *content {
	v := &r.variants[c]
	if made := v.content.Load(); made != nil {
		return made
	}
	r.making.Lock()
	defer r.making.Unlock()
	if made := v.content.Load(); made != nil { // by who held the lock
		return made
	}
	made := newContent(by.compress(r.body(), c))
	r.size += len(made.body)
	for _, grown := range r.grown {
		grown(len(made.body)) // makes room, before the bytes are there for everybody
	}
	v.content.Store(made)
	return made
}

// Size implements [local.Growing].
func (r *response) Size(grown func(n int)) int {
	r.making.Lock()
	defer r.making.Unlock()
	r.grown = append(r.grown, grown)
	return r.size
}

// hash is equal for equal bytes, and for nothing else.
func hash(body []byte) string {
	sum := sha256.Sum256(body)
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

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
func (r *recorder) response(groups string) (*response, error) {
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
	return newResponse(contentType, groups, r.version, bytes.Clone(r.body.Bytes())), nil // without the buffer's spare room
}
