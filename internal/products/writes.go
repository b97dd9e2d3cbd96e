package products

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cachehttp"
	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/problem"
)

// Writes pass the cache by: they see the request as it came. Each answers when
// its events have been delivered, so that whoever wrote reads what they wrote.

func (h *Handler) create(c echo.Context) (cachehttp.Row, error) {
	if err := onlyAdmins(c); err != nil {
		return cachehttp.Row{}, err
	}
	in, err := bind(c)
	if err != nil {
		return cachehttp.Row{}, err
	}
	return row(h.store.Create(c.Request().Context(), in))
}

func (h *Handler) update(c echo.Context) (cachehttp.Row, error) {
	if err := onlyAdmins(c); err != nil {
		return cachehttp.Row{}, err
	}
	id, err := pathID(c)
	if err != nil {
		return cachehttp.Row{}, err
	}
	in, err := bind(c)
	if err != nil {
		return cachehttp.Row{}, err
	}
	return row(h.store.Update(c.Request().Context(), id, in, cachehttp.PreconditionsOf(c)))
}

// row is what everybody reads of a product from now on.
func row(p Product, err error) (cachehttp.Row, error) {
	return cachehttp.Row{Body: p, Version: p.Version, Path: "/api/products/" + p.ID.String()}, err
}

func (h *Handler) delete(c echo.Context) error {
	if err := onlyAdmins(c); err != nil {
		return err
	}
	id, err := pathID(c)
	if err != nil {
		return err
	}
	if err := h.store.Delete(c.Request().Context(), id, cachehttp.PreconditionsOf(c)); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func onlyAdmins(c echo.Context) error {
	who := identity.From(c.Request().Context())
	switch {
	case who.User() == 0:
		return problem.Unauthorized("this needs a bearer token")
	case !who.Admin():
		return problem.Forbidden("only administrators write products")
	}
	return nil
}

// bind reads the JSON body and checks it.
func bind(c echo.Context) (Fields, error) {
	var in Fields
	if err := c.Bind(&in); err != nil {
		return in, err
	}
	return in, in.validate()
}
