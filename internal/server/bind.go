package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/problem"
)

// binder reads a request's body and nothing else of it, and is strict: what it
// would have to guess at is the client's mistake, and is named. A field that is
// spelled wrong would otherwise be a change that silently does not happen.
type binder struct{}

// Bind decodes the one JSON object that the body must be.
func (binder) Bind(into any, c echo.Context) error {
	r := c.Request()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return fmt.Errorf("reading the body: %w", err)
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return problem.BadRequest("the request needs a body")
	}
	if media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil ||
		media != "application/json" || params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
		return problem.UnsupportedMediaType("the body must be application/json in UTF-8")
	}
	return decode(body, into)
}

func decode(body []byte, into any) error {
	if !utf8.Valid(body) {
		return problem.BadRequest("the body is not UTF-8")
	}
	if bytes.TrimSpace(body)[0] != '{' && json.Valid(body) {
		return problem.BadRequest("the body must be a JSON object")
	}
	if err := checkText(body); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return decodeProblem(err, body)
	}
	if rest := bytes.TrimSpace(body[d.InputOffset():]); len(rest) > 0 {
		return problem.BadRequest("the body goes on after its JSON object, " + position(body, len(body)-len(rest)))
	}
	return nil
}

// checkText refuses U+0000, which JSON allows in text and Postgres does not.
func checkText(body []byte) error {
	if !bytes.Contains(body, []byte(`\u0000`)) {
		return nil // the usual case; below, the backslash may itself be escaped
	}
	d := json.NewDecoder(bytes.NewReader(body))
	for {
		token, err := d.Token()
		if err != nil {
			return nil // decoding tells more about it
		}
		if text, ok := token.(string); ok && strings.ContainsRune(text, 0) {
			return problem.BadRequest("text must not contain U+0000, " + position(body, int(d.InputOffset())))
		}
	}
}

// decodeProblem tells a client what encoding/json has found.
func decodeProblem(err error, body []byte) error {
	var syntax *json.SyntaxError
	var mismatch *json.UnmarshalTypeError
	var wrong problem.Fields
	switch {
	case errors.As(err, &syntax):
		return problem.BadRequest("the body is not JSON, " + position(body, int(syntax.Offset)))
	case errors.Is(err, io.ErrUnexpectedEOF):
		return problem.BadRequest("the body ends in the middle of its JSON")
	case errors.As(err, &mismatch):
		if mismatch.Field == "" {
			return problem.BadRequest("the body must be " + wanted(mismatch.Type))
		}
		wrong.Check(false, mismatch.Field, "must be "+wanted(mismatch.Type))
		return wrong.Err()
	}
	// The package has no type for it, and its text has been the same since Go 1.10.
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		wrong.Check(false, strings.Trim(field, `"`), "is not a field of this request")
		return wrong.Err()
	}
	var shown *problem.Problem
	if errors.As(err, &shown) { // a type that decodes itself, and knows why not
		return shown
	}
	return problem.BadRequest("the body has a value that cannot be read")
}

// wanted describes a Go type in the words of JSON.
func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "text"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "a whole number in range"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number in range, not negative"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Pointer:
		return wanted(t.Elem())
	}
	return "another kind of value"
}

// position says where in the body an offset lies, counting characters from one.
func position(body []byte, offset int) string {
	before := body[:min(max(offset, 0), len(body))]
	line := 1 + bytes.Count(before, []byte("\n"))
	column := max(1, utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]))
	return fmt.Sprintf("at line %d, column %d", line, column)
}
