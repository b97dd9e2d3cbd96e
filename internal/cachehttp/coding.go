package cachehttp

import (
	"bytes"
	"io"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// A coding is one of the content codings (RFC 9110, 8.4.1) in which a response is
// kept. Their order is that of preference among those which a client likes equally
// well, the last one first.
type coding int

const (
	plain   coding = iota // "identity": as the handler wrote it
	gzipped               // RFC 1952
	zstded                // RFC 8878, with a window far below the 8 MB of RFC 9659
	codings
)

// The name of a coding is its Content-Encoding, and, behind a hyphen, what tells
// its entity tag from those of the others. Another version of the library may make
// other bytes of the same body, under the same tag: that would matter to who puts
// parts of a representation together (RFC 9110, 14.3), and no parts are served.
var codingNames = [codings]string{gzipped: "gzip", zstded: "zstd"}

// encodings are their names as net/http keeps header values.
var encodings = [codings][]string{gzipped: header(codingNames[gzipped]), zstded: header(codingNames[zstded])}

// leastCompressed is the size in bytes up to which a body is kept as it is. It fits
// one packet with its header then, and there is little to win.
const leastCompressed = 1 << 10

// compressible reports whether a body has other codings than the plain one. Its type and
// its length decide, and not what becomes of it: so all processes agree which entity tags
// there are, and a 304 is answered without compressing anything.
func compressible(contentType string, length int) bool {
	if length <= leastCompressed {
		return false
	}
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	return strings.HasPrefix(media, "text/") || strings.HasSuffix(media, "+json") || strings.HasSuffix(media, "+xml") || compressibleTypes[media]
}

// compressibleTypes are the media types of text, beside text/* and what is JSON or XML by
// its suffix (RFC 6839). All else is bytes that may be compressed already.
var compressibleTypes = map[string]bool{
	"application/json":       true,
	"application/javascript": true,
	"application/ndjson":     true,
	"application/x-ndjson":   true,
	"application/xml":        true,
}

// The levels, by what they make of a feed page of 20 posts (9,649 bytes), which is
// loaded in a millisecond or more; one core of a small virtual machine:
//
//	gzip 1   33 µs  3,498 bytes      zstd fastest   26 µs  3,428 bytes
//	gzip 5   48 µs  3,243 bytes      zstd default   35 µs  3,341 bytes
//	gzip 6   50 µs  3,230 bytes      zstd better    53 µs  3,300 bytes
//	gzip 9  104 µs  3,207 bytes      zstd best     310 µs  3,205 bytes
//
// A page of 100 posts (43 KB) says the same. Whoever asks first pays for a coding, and
// many copies are sent once, so they end where another per cent costs another half of
// the time.
const (
	gzipLevel = 5
	zstdLevel = zstd.SpeedDefault
)

// A compressor makes codings of bodies. Its encoders and buffers are kept and used again;
// many goroutines may use it.
type compressor struct {
	writers sync.Pool // of *gzip.Writer
	buffers sync.Pool // of *bytes.Buffer
	encoder *zstd.Encoder
}

func newCompressor() *compressor {
	// Nothing but a bad option is an error, and these are constants; the same below.
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstdLevel), zstd.WithEncoderCRC(false))
	if err != nil {
		panic(err)
	}
	return &compressor{
		writers: sync.Pool{New: func() any {
			w, err := gzip.NewWriterLevel(io.Discard, gzipLevel)
			if err != nil {
				panic(err)
			}
			return w
		}},
		buffers: sync.Pool{New: func() any { return new(bytes.Buffer) }},
		encoder: encoder,
	}
}

// compress returns a body in a coding that is not plain, and no spare room behind it.
func (c *compressor) compress(body []byte, as coding) []byte {
	to := c.buffers.Get().(*bytes.Buffer) // which takes everything
	defer c.buffers.Put(to)
	to.Reset()
	if as == zstded {
		to.Grow(len(body))
		return bytes.Clone(c.encoder.EncodeAll(body, to.AvailableBuffer()))
	}
	w := c.writers.Get().(*gzip.Writer)
	defer c.writers.Put(w)
	w.Reset(to)
	_, _ = w.Write(body)
	_ = w.Close()
	return bytes.Clone(to.Bytes())
}
