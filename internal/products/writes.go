package products

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/problem"
)

// Writes pass the cache by: they see the request as it came. Each answers when
// its events have been delivered, so that whoever wrote reads what they wrote.

func (h *Handler) create(c echo.Context) error {
	if err := onlyAdmins(c); err != nil {
		return err
	}
	in, err := bind(c)
	if err != nil {
		return err
	}
	created, err := h.store.Create(c.Request().Context(), in)
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderLocation, "/api/products/"+created.ID.String())
	return c.JSON(http.StatusCreated, created)
}

func (h *Handler) update(c echo.Context) error {
	if err := onlyAdmins(c); err != nil {
		return err
	}
	id, err := pathID(c)
	if err != nil {
		return err
	}
	in, err := bind(c)
	if err != nil {
		return err
	}
	updated, err := h.store.Update(c.Request().Context(), id, in)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, updated)
}

func (h *Handler) delete(c echo.Context) error {
	if err := onlyAdmins(c); err != nil {
		return err
	}
	id, err := pathID(c)
	if err != nil {
		return err
	}
	if err := h.store.Delete(c.Request().Context(), id); err != nil {
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
