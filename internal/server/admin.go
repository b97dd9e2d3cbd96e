package server

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/problem"
)

// admin is what operators may do to the cache. It is for administrators alone.
// Deleting entries is for looking into things: it reaches L2 only. What is wrong is
// withdrawn by purging, which reaches every process and is repeated until it has.
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
}

func (a *admin) inspect(c echo.Context) error {
	key := c.QueryParam("key")
	i, found, err := a.cache.Inspect(c.Request().Context(), key)
	switch {
	case errors.Is(err, cache.ErrUnknownKey):
		return wrongQuery("key", "must be a rendered key: feed.page/1|id=12|…")
	case err != nil:
		return problem.Unavailable("Redis does not answer", retryAfter)
	case !found:
		return problem.NotFound("an entry under this key")
	}
	seconds := func(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }
	return c.JSON(http.StatusOK, inspected{
		Key: i.Key, State: i.State, AgeSeconds: seconds(i.Age), FreshSeconds: seconds(i.Fresh), LeftSeconds: seconds(i.Left),
		LoadMS: i.Cost.Milliseconds(), Bytes: len(i.Body), Tags: i.Tags,
	})
}

func (a *admin) delete(c echo.Context) error {
	ctx, key, pattern := c.Request().Context(), c.QueryParam("key"), c.QueryParam("pattern")
	var n int
	var err error
	switch {
	case (key == "") == (pattern == ""):
		return wrongQuery("key", "either this or pattern must be given")
	case key != "":
		n, err = a.cache.Delete(ctx, key)
	default:
		n, err = a.cache.DeletePattern(ctx, pattern)
	}
	if err != nil {
		return problem.Unavailable("Redis does not answer", retryAfter)
	}
	return c.JSON(http.StatusOK, map[string]int{"deleted": n})
}

func wrongQuery(name, message string) error {
	var wrong problem.Fields
	wrong.Check(false, name, message)
	return wrong.Err()
}
