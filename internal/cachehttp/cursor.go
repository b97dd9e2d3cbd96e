package cachehttp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
)

// Cursors seals places in lists, so that only places this service has named come
// back. Without that, a client could ask for a page after any place it can think
// of, and each would become a key and a query.
type Cursors struct{ key []byte }

// NewCursors derives its key from a secret that may serve other ends too. Cursors
// sealed under one secret open under the same one only.
func NewCursors(secret string) *Cursors {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("communityfeed cursor v1"))
	return &Cursors{key: mac.Sum(nil)}
}

const (
	cursorMAC  = 12  // bytes of the MAC that a cursor carries: guessing one is no use, and cursors stay short
	cursorMost = 256 // longest cursor that is looked at
)

var errCursor = errors.New("cachehttp: not a cursor of this service")

// Seal makes an opaque cursor, safe in a URL, of a payload.
func (c *Cursors) Seal(payload string) string {
	return base64.RawURLEncoding.EncodeToString(append(c.mac(payload), payload...))
}

// Open returns the payload of a cursor, or an error for anything that Seal did not
// make.
func (c *Cursors) Open(cursor string) (string, error) {
	if len(cursor) > cursorMost {
		return "", errCursor
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) < cursorMAC {
		return "", errCursor
	}
	payload := string(b[cursorMAC:])
	// Compared as text: the decoder skips line breaks, and a cursor has one spelling.
	if !hmac.Equal([]byte(cursor), []byte(c.Seal(payload))) {
		return "", errCursor
	}
	return payload, nil
}

func (c *Cursors) mac(payload string) []byte {
	mac := hmac.New(sha256.New, c.key)
	mac.Write([]byte(payload))
	return mac.Sum(nil)[:cursorMAC]
}
