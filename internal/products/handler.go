package products

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cachehttp"
	"example.com/communityfeed/internal/problem"
)

// Handler answers the domain's requests: the reads here, the writes in writes.go.
//
// A read runs on a request that was rebuilt from a key. It sees the parameters in
// their canonical form and nothing else.
type Handler struct {
	store *Store
}

// NewHandler returns a handler over the store.
func NewHandler(store *Store) *Handler { return &Handler{store: store} }

// listBody is a page of the catalogue.
type listBody struct {
	Items   []Product `json:"items"`
	Total   int64     `json:"total"`
	Page    int       `json:"page"`
	PerPage int       `json:"perPage"`
}

func (h *Handler) list(c echo.Context) error {
	page, err := strconv.Atoi(c.QueryParam("page"))
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	perPage, err := strconv.Atoi(c.QueryParam("perPage"))
	if err != nil {
		return fmt.Errorf("perPage: %w", err)
	}
	items, total, err := h.store.List(c.Request().Context(), Category(c.QueryParam("category")), page, perPage)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, listBody{Items: items, Total: total, Page: page, PerPage: perPage})
}

func (h *Handler) product(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	product, err := h.store.Product(c.Request().Context(), id)
	if err != nil {
		return err
	}
	cachehttp.Version(c, product.Version)
	return c.JSON(http.StatusOK, product)
}

// pathID reads a product's number from the path, where it has one spelling only.
func pathID(c echo.Context) (ID, error) {
	text, err := cachehttp.ID("id").Parse(c.Param("id"))
	if err != nil {
		return 0, problem.Fields{{Field: "id", Message: err.Error()}}.Err()
	}
	id, err := strconv.ParseInt(text, 10, 64)
	return ID(id), err
}
