package problem

import "net/http"

// Fields gathers everything that is wrong with a request, so that a client
// hears of all of it at once:
//
//	var wrong problem.Fields
//	wrong.Check(in.Title != "", "title", "must not be empty")
//	wrong.Check(in.Stock >= 0, "stock", "must not be negative")
//	return wrong.Err()
type Fields []Field

// Check notes the message unless ok.
func (f *Fields) Check(ok bool, field, message string) {
	if !ok {
		*f = append(*f, Field{Field: field, Message: message})
	}
}

// Err is nil when every check passed, else a 400 that lists those which did not.
func (f Fields) Err() error {
	if len(f) == 0 {
		return nil
	}
	p := New(http.StatusBadRequest, "the request has fields that are not valid")
	p.Errors = f
	return p
}
