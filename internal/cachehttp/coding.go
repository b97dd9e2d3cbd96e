package cachehttp

import (
	"bytes"
	"io"
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

// leastCompressed is the size in bytes up to which a body is kept as it is. It fits
// one packet with its header then, and there is little to win.
const leastCompressed = 1 << 10

// The levels, by what they make of a feed page of 20 posts (9,649 bytes), which is
// loaded in a millisecond or more; one core of a small virtual machine:
//
//	gzip 1   33 µs  3,498 bytes      zstd fastest   26 µs  3,428 bytes
//	gzip 5   48 µs  3,243 bytes      zstd default   35 µs  3,341 bytes
//	gzip 6   50 µs  3,230 bytes      zstd better    53 µs  3,300 bytes
//	gzip 9  104 µs  3,207 bytes      zstd best     310 µs  3,205 bytes
//
// A page of 100 posts (43 KB) says the same. Every fill pays for both, so they end
// where another per cent costs another half of the time.
const (
	gzipLevel = 5
	zstdLevel = zstd.SpeedDefault
)

// A compressor makes the coded variants of bodies, at fill and never at a hit. Its
// encoders are kept and used again; many goroutines may use it.
type compressor struct {
	writers sync.Pool // of *gzip.Writer
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
		encoder: encoder,
	}
}

// variants returns a body in every coding; nil where it would not be smaller.
func (c *compressor) variants(body []byte) [codings][]byte {
	v := [codings][]byte{plain: body}
	if len(body) <= leastCompressed {
		return v
	}
	if b := c.gzip(body); len(b) < len(body) {
		v[gzipped] = b
	}
	if b := c.encoder.EncodeAll(body, nil); len(b) < len(body) {
		v[zstded] = b
	}
	return v
}

func (c *compressor) gzip(body []byte) []byte {
	w := c.writers.Get().(*gzip.Writer)
	defer c.writers.Put(w)
	var to bytes.Buffer // which takes everything
	w.Reset(&to)
	_, _ = w.Write(body)
	_ = w.Close()
	return to.Bytes()
}
