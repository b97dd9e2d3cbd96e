package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/problem"
)

// admin is what operators may do to the cache. It is for administrators alone.
// Deleting entries is for looking into things: it reaches L2, and the pages of the process
// that is asked. What is wrong is withdrawn by purging, which reaches every process and is
// repeated until it has.
type admin struct {
	cache *cache.Cache
	purge func(context.Context) error
}

func (a *admin) routes(g *echo.Group) {
	g.POST("/cache/purge", administrators(a.purgeAll))
	g.GET("/cache/entries", administrators(a.inspect))
	g.DELETE("/cache/entries", administrators(a.delete))
}

func administrators(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		switch who := identity.From(c.Request().Context()); {
		case who.Admin():
			c.Response().Header().Set("Cache-Control", "no-store")
			return next(c)
		case who.User() == 0:
			return problem.Unauthorized("this needs an administrator's token")
		}
		return problem.Forbidden("this needs an administrator's token")
	}
}

func (a *admin) purgeAll(c echo.Context) error {
	if err := a.purge(c.Request().Context()); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// inspected is what is shown of an entry. Its body is not: it may be anybody's page.
type inspected struct {
	Key          string      `json:"key"`
	State        string      `json:"state"`
	AgeSeconds   float64     `json:"ageSeconds"`
	FreshSeconds float64     `json:"freshSeconds"`
	LeftSeconds  float64     `json:"leftSeconds"`
	LoadMS       int64       `json:"loadMs"`
	Bytes        int         `json:"bytes"`
	Tags         []cache.Tag `json:"tags"`

	// Of a page, which is in a process only:
	Process   bool     `json:"ofThisProcess,omitempty"`
	Fragments []string `json:"fragments,omitempty"`
}

func (a *admin) inspect(c echo.Context) error {
	key := c.QueryParam("key")
	i, found, err := a.cache.Inspect(c.Request().Context(), key)
	switch {
	case errors.Is(err, cache.ErrUnknownKey):
		return wrongQuery("key", "must be a rendered key: feed.page/1|id=12|…")
	case err != nil:
		return problem.Unavailable("Redis does not answer", retryAfter)
	case !found && i.Process:
		return problem.New(http.StatusNotFound, "this process has no copy of the page; another may have one, Redis has no pages")
	case !found:
		return problem.NotFound("an entry under this key")
	}
	seconds := func(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }
	return c.JSON(http.StatusOK, inspected{
		Key: i.Key, State: i.State, AgeSeconds: seconds(i.Age), FreshSeconds: seconds(i.Fresh), LeftSeconds: seconds(i.Left),
		LoadMS: i.Cost.Milliseconds(), Bytes: i.Bytes, Tags: i.Tags, Process: i.Process, Fragments: i.Fragments,
	})
}

func (a *admin) delete(c echo.Context) error {
	ctx, key, pattern := c.Request().Context(), c.QueryParam("key"), c.QueryParam("pattern")
	var done deleted
	var err error
	switch {
	case (key == "") == (pattern == ""):
		return wrongQuery("key", "either this or pattern must be given")
	case key != "":
		i, _, _ := a.cache.Inspect(ctx, key) // where it is, whatever that says of what is there
		done.Process, done.Fragments = i.Process, i.Fragments
		done.Deleted, err = a.cache.Delete(ctx, key)
	default:
		done.Deleted, err = a.cache.DeletePattern(ctx, pattern)
	}
	if err != nil {
		return problem.Unavailable(fmt.Sprintf("Redis does not answer; deleted before that: %d", done.Deleted), retryAfter)
	}
	return c.JSON(http.StatusOK, done)
}

// deleted says how many copies were removed. Those of pages are of this process.
type deleted struct {
	Deleted   int      `json:"deleted"`
	Process   bool     `json:"ofThisProcess,omitempty"` // the key is a page's
	Fragments []string `json:"fragments,omitempty"`     // what the page was made of, which is left
}

func wrongQuery(name, message string) error {
	var wrong problem.Fields
	wrong.Check(false, name, message)
	return wrong.Err()
}
