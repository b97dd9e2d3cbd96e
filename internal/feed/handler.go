package feed

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cachehttp"
	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/problem"
)

// Handler answers the domain's requests: the reads here, the writes in writes.go.
//
// A read runs on a request that was rebuilt from a key. It sees the parameters in
// their canonical form and the identity that its route declares, nothing else.
type Handler struct {
	store   *Store
	shared  *cache.Source[SharedPage]
	readers *cache.Source[Reader]
	cursors *cachehttp.Cursors
}

// NewHandler returns a handler that keeps the parts of pages in the cache.
func NewHandler(store *Store, c *cache.Cache, cursors *cachehttp.Cursors) *Handler {
	return &Handler{
		store:   store,
		shared:  cache.NewSource(c, sharedPart, cache.JSON[SharedPage]{}, store.loadShared),
		readers: cache.NewSource(c, readerPart, cache.JSON[Reader]{}, store.loadReader),
		cursors: cursors,
	}
}

// loadShared is the load behind sharedPart: everything comes from the key.
func (s *Store) loadShared(ctx context.Context, k cache.Key) (SharedPage, error) {
	id, err := strconv.ParseInt(k.Get("community"), 10, 64)
	if err != nil {
		return SharedPage{}, fmt.Errorf("community of key %s: %w", k, err)
	}
	limit, err := strconv.Atoi(k.Get("limit"))
	if err != nil {
		return SharedPage{}, fmt.Errorf("limit of key %s: %w", k, err)
	}
	order := Order(k.Get("order"))
	after, err := parsePosition(order, k.Get("after"))
	if err != nil {
		return SharedPage{}, err
	}
	return s.Shared(ctx, CommunityID(id), order, after, limit)
}

// feedBody is a page of a community's posts. Viewer is null without a token.
type feedBody struct {
	Viewer    *identity.UserID `json:"viewer"`
	Community CommunityID      `json:"community"`
	Locale    string           `json:"locale"`
	Order     Order            `json:"order"`
	Items     []Post           `json:"items"`
	Next      *string          `json:"next"`
}

// page composes a page of the feed: the part that all readers share, then their
// language and what is this reader's own.
func (h *Handler) page(c echo.Context) error {
	ctx := c.Request().Context()
	id, err := pathID[CommunityID](c, "id")
	if err != nil {
		return err
	}
	who := identity.From(ctx)
	order, after := orderFor(who), c.QueryParam("after")
	// Before the load, so that a cursor of the other order costs no entry.
	if _, err := parsePosition(order, after); err != nil {
		return err
	}
	shared, err := h.shared.GetOrSet(ctx, id.String(), string(order), after, c.QueryParam("limit"))
	if err != nil {
		return err
	}
	own, err := h.personal(ctx, id, who.User(), shared)
	if err != nil {
		return err
	}
	posts, err := compose(id, shared, who.Locale(), own)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, feedBody{
		Viewer: viewer(who), Community: id, Locale: who.Locale(), Order: order,
		Items: posts, Next: h.next(shared.Next),
	})
}

// personal returns what a reader, who may be nobody, adds to a page: from what is kept
// of them, or by a query for just this page if that does not tell.
func (h *Handler) personal(ctx context.Context, id CommunityID, user identity.UserID, page SharedPage) (Personal, error) {
	if user == 0 {
		return Personal{}, nil
	}
	reader, err := h.readers.GetOrSet(ctx, user.String())
	if err != nil {
		return Personal{}, err
	}
	if own, known := reader.adds(id, page); known {
		return own, nil
	}
	return h.store.Personal(ctx, id, user, page.Posts)
}

func (h *Handler) post(c echo.Context) error {
	ctx := c.Request().Context()
	id, err := pathID[PostID](c, "id")
	if err != nil {
		return err
	}
	who := identity.From(ctx)
	post, err := h.store.Post(ctx, id, who.Locale(), who.User())
	if err != nil {
		return err
	}
	cachehttp.Version(c, post.Version)
	return c.JSON(http.StatusOK, post)
}

func (h *Handler) community(c echo.Context) error {
	ctx := c.Request().Context()
	id, err := pathID[CommunityID](c, "id")
	if err != nil {
		return err
	}
	community, err := h.store.Community(ctx, id, identity.From(ctx).User())
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, community)
}

// listBody is a page of communities.
type listBody struct {
	Viewer *identity.UserID `json:"viewer"`
	Items  []Community      `json:"items"`
	Next   *string          `json:"next"`
}

func (h *Handler) communities(c echo.Context) error {
	ctx := c.Request().Context()
	after, err := parseListPosition(c.QueryParam("after"))
	if err != nil {
		return err
	}
	limit, err := strconv.Atoi(c.QueryParam("limit"))
	if err != nil {
		return fmt.Errorf("limit: %w", err)
	}
	who := identity.From(ctx)
	list, more, err := h.store.Communities(ctx, who.User(), after, limit)
	if err != nil {
		return err
	}
	body := listBody{Viewer: viewer(who), Items: list}
	if more {
		body.Next = h.next(listPrefix + list[len(list)-1].ID.String())
	}
	return c.JSON(http.StatusOK, body)
}

// listPrefix begins the payload of a cursor in the list of communities.
const listPrefix = "communities,"

func parseListPosition(text string) (CommunityID, error) {
	if text == "" {
		return 0, nil
	}
	rest, ok := strings.CutPrefix(text, listPrefix)
	id, err := strconv.ParseInt(rest, 10, 64)
	var wrong problem.Fields
	wrong.Check(ok && err == nil, "after", "is not a cursor of the list of communities")
	return CommunityID(id), wrong.Err()
}

// next seals the payload of a cursor; the last page has none.
func (h *Handler) next(payload string) *string {
	if payload == "" {
		return nil
	}
	cursor := h.cursors.Seal(payload)
	return &cursor
}

func viewer(who identity.Caller) *identity.UserID {
	if user := who.User(); user != 0 {
		return &user
	}
	return nil
}
