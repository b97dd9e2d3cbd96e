package cachehttp

import (
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"
)

// A Row is what a write answers with: a row as it is now.
type Row struct {
	Body    any
	Version int64 // of the row; 0 when it has none

	// Path is that of the resource, if a GET of it by the same caller, with the same
	// headers, would now be answered with just this. It is empty if not.
	Path string
}

// Written makes a handler of a write that changes a row: 200.
func (c *Cached) Written(write func(echo.Context) (Row, error)) echo.HandlerFunc {
	return c.row(http.StatusOK, write)
}

// Created makes a handler of a write that adds a row: 201 with its Location. The
// row needs its Path.
func (c *Cached) Created(write func(echo.Context) (Row, error)) echo.HandlerFunc {
	return c.row(http.StatusCreated, write)
}

// row answers with what is kept of the resource when it is read next: the same
// bytes, in the coding that the client would get, with the same entity tag. So the
// client has what its next If-Match or If-None-Match needs. Content-Location says
// that this is the resource and not a report on the write (RFC 9110, 8.7).
func (c *Cached) row(status int, write func(echo.Context) (Row, error)) echo.HandlerFunc {
	return func(ec echo.Context) error {
		row, err := write(ec)
		if err != nil {
			return err
		}
		// A bare request: to Echo, "?pretty" would be another form of the same.
		rec := &recorder{header: make(http.Header), version: row.Version}
		bare := c.echo.NewContext(&http.Request{Method: http.MethodGet, URL: &url.URL{}, Header: make(http.Header)}, rec)
		if err := bare.JSON(http.StatusOK, row.Body); err != nil {
			return err
		}
		r, err := rec.response("")
		if err != nil {
			return err
		}
		coding := r.choose(ec.Request().Header["Accept-Encoding"])
		content := r.in(coding, c.compressor)
		w := ec.Response()
		h := w.Header()
		h.Set("Vary", "Accept-Encoding")
		if row.Path != "" {
			h["Etag"] = r.variants[coding].etag
			h.Set("Content-Location", row.Path)
		}
		if status == http.StatusCreated {
			h.Set("Location", row.Path)
		}
		r.describe(h, coding, content)
		w.WriteHeader(status)
		_, err = w.Write(content.body)
		return err
	}
}
