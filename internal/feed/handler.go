package feed

import (
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
// A read sees the parameters in their canonical form and the identity that its route
// declares, nothing else. Whether its reader may see a community is decided before
// anything of the community is shown.
type Handler struct {
	store     *Store
	cache     *cache.Cache
	fragments fragments
	cursors   *cachehttp.Cursors
}

// NewHandler returns a handler that composes its pages of fragments in the cache.
func NewHandler(store *Store, c *cache.Cache, cursors *cachehttp.Cursors) *Handler {
	return &Handler{store: store, cache: c, fragments: newFragments(store, c), cursors: cursors}
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

// page composes a page of the feed: the posts that all readers share, in the reader's
// language, with what is their own.
func (h *Handler) page(p *cachehttp.Composing) (any, error) {
	who := p.Caller()
	order, after := orderFor(who), p.Param("after")
	// Before the load, so that a cursor of the other order costs no entry.
	if _, err := parsePosition(order, after); err != nil {
		return nil, err
	}
	id := CommunityID(p.Int("id"))
	community := h.fragments.communities.Want(p.Composition, communityKey{id})
	feed := h.fragments.feeds.Want(p.Composition, feedKey{id, order, after, int(p.Int("limit"))})
	own := h.wantReader(p)

	seen, err := h.readable(p, community, communityNotFound)
	if err != nil {
		return nil, err
	}
	shared, err := feed.Get()
	if err != nil {
		return nil, err
	}
	reader, err := own.of(shared.Posts...)
	if err != nil {
		return nil, err
	}
	return feedBody{
		Viewer: viewer(who), Community: seen.ID, Locale: who.Locale(), Order: order,
		Items: reader.shows(shared.Posts, who.Locale()), Next: h.next(shared.Next),
	}, nil
}

// post composes a post outside the page of its community. Blocked authors are left out of
// pages, not out of reach: a reader who has the post's number sees it.
func (h *Handler) post(p *cachehttp.Composing) (any, error) {
	wanted := h.fragments.posts.Want(p.Composition, postKey{PostID(p.Int("id"))})
	own := h.wantReader(p)

	post, err := wanted.Get()
	if err != nil {
		return nil, err
	}
	community := h.fragments.communities.Want(p.Composition, communityKey{post.Community})
	if _, err := h.readable(p, community, func(CommunityID) error { return postNotFound(post.ID) }); err != nil {
		return nil, err
	}
	reader, err := own.of(post.SharedPost)
	if err != nil {
		return nil, err
	}
	p.Version(post.Version)
	return SinglePost{post.Community, reader.show(post.SharedPost, p.Caller().Locale())}, nil
}

// community composes a community and whether its reader is a member.
func (h *Handler) community(p *cachehttp.Composing) (any, error) {
	id := CommunityID(p.Int("id"))
	community := h.fragments.communities.Want(p.Composition, communityKey{id})
	var membership cache.Wanted[Membership]
	user := p.Caller().User()
	if user != 0 {
		membership = h.fragments.members.Want(p.Composition, memberKey{id, user})
	}
	seen, err := h.readable(p, community, communityNotFound)
	if err != nil {
		return nil, err
	}
	var own Membership
	if user != 0 {
		if own, err = membership.Get(); err != nil {
			return nil, err
		}
	}
	return Community{ID: seen.ID, Name: seen.Name, Visibility: seen.Visibility, Owner: seen.Owner, Member: own.Member, CreatedAt: seen.CreatedAt}, nil
}

// readable returns a community if its reader may see it. A private one exists for its
// members only; for others the answer is hidden's.
func (h *Handler) readable(p *cachehttp.Composing, wanted cache.Wanted[SharedCommunity], hidden func(CommunityID) error) (SharedCommunity, error) {
	community, err := wanted.Get()
	if err != nil || community.Visibility == Public {
		return community, err
	}
	user, own := p.Caller().User(), Membership{}
	if user != 0 {
		if own, err = h.fragments.members.Want(p.Composition, memberKey{community.ID, user}).Get(); err != nil {
			return SharedCommunity{}, err
		}
	}
	if !own.Member {
		return SharedCommunity{}, hidden(community.ID)
	}
	return community, nil
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
