// Package web is the page at /: what this service is, what it answers, and the
// first lines to try.
//
// Its invariant: the page is whole. Everything on it was built into the program;
// it fetches nothing, from nowhere, so it looks the same on a machine without a
// network.
package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"net/http"
	"strings"
	"time"
)

//go:embed index.html style.css
var files embed.FS

// Handler answers / with the page. The style is in the page itself: one request,
// and no second route.
func Handler() http.Handler {
	style := read("style.css")
	page := []byte(strings.Replace(read("index.html"), "/* style.css */", style, 1))

	sum := sha256.Sum256(page)
	etag := `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
	styleSum := sha256.Sum256([]byte(style))
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(styleSum[:]) + "'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", policy)
		h.Set("Cache-Control", "no-cache") // ask again; the ETag makes that cheap
		h.Set("ETag", etag)
		http.ServeContent(w, r, "index.html", time.Time{}, bytes.NewReader(page))
	})
}

// read returns a file that was built in.
func read(name string) string {
	content, err := files.ReadFile(name)
	if err != nil {
		panic(err) // a mistake in the program
	}
	return string(content)
}
