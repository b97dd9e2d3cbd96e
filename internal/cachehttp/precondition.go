package cachehttp

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/problem"
)

// Preconditions are what a request wants to be true before it changes a row:
// RFC 9110, 13.1. With If-Match, whoever has read a version and changes it does not
// undo what somebody else has written since. The zero value wants nothing.
//
// Only the version in an entity tag is compared. What follows it tells one reader's
// page from another's: their language, their likes, the coding. None of that is the
// row, and nothing is lost when it has changed. A version alone will do, too, so
// `If-Match: "3"` serves a client that has the row from a list.
type Preconditions struct {
	match, noneMatch []string // header lines; nil when the header was not sent
}

// PreconditionsOf are those of a write. The modification dates of If-Modified-Since
// and If-Unmodified-Since are for resources that have one (13.1.3, 13.1.4), and
// ours do not.
func PreconditionsOf(c echo.Context) Preconditions {
	h := c.Request().Header
	return Preconditions{h["If-Match"], h["If-None-Match"]}
}

// Check returns a 412 unless a row of this version fulfils the preconditions. It is
// asked while the row is locked, so that its answer still holds when the row is
// written; and last, when nothing else speaks against the write (13.2.1).
func (p Preconditions) Check(version int64) error {
	is := func(opaque string) bool {
		text, _, _ := strings.Cut(opaque, ".")
		return text == strconv.FormatInt(version, 10)
	}
	switch {
	case p.match != nil && !listed(p.match, false, is):
		return problem.PreconditionFailed(fmt.Sprintf("If-Match names another version than the present %d: read it again", version))
	case p.noneMatch != nil && listed(p.noneMatch, true, is):
		return problem.PreconditionFailed("If-None-Match names what is there")
	}
	return nil
}
