package feed

import (
	"context"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cachehttp"
	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/problem"
)

// Writes pass the cache by: they see the request as it came. Each answers when
// its events have been delivered, so that whoever wrote reads what they wrote.

func (h *Handler) createCommunity(c echo.Context) (cachehttp.Row, error) {
	who, err := signedIn(c)
	if err != nil {
		return cachehttp.Row{}, err
	}
	in := newCommunity{Visibility: Public}
	if err := bind(c, &in); err != nil {
		return cachehttp.Row{}, err
	}
	created, err := h.store.CreateCommunity(c.Request().Context(), who, in.Name, in.Visibility)
	return cachehttp.Row{Body: created, Path: "/api/communities/" + created.ID.String()}, err
}

func (h *Handler) createPost(c echo.Context) (cachehttp.Row, error) {
	who, id, err := callerAnd[CommunityID](c, "id")
	if err != nil {
		return cachehttp.Row{}, err
	}
	in := newPost{Locale: who.Locale()}
	if err := bind(c, &in); err != nil {
		return cachehttp.Row{}, err
	}
	created, err := h.store.CreatePost(c.Request().Context(), who, id, in.Locale, in.Text)
	return postRow(Edited{created, true}), err // new, it reads the same in every language
}

func (h *Handler) updatePost(c echo.Context) (cachehttp.Row, error) {
	who, id, err := callerAnd[PostID](c, "id")
	if err != nil {
		return cachehttp.Row{}, err
	}
	var in TextEdit
	if err := bind(c, &in); err != nil {
		return cachehttp.Row{}, err
	}
	edited, err := h.store.UpdatePost(c.Request().Context(), who, id, in, cachehttp.PreconditionsOf(c))
	return postRow(edited), err
}

func (h *Handler) translate(c echo.Context) (cachehttp.Row, error) {
	who, id, err := callerAnd[PostID](c, "id")
	if err != nil {
		return cachehttp.Row{}, err
	}
	var wrong problem.Fields
	locale := c.Param("locale")
	wrong.Check(identity.Supported(locale), "locale", localeMessage())
	if err := wrong.Err(); err != nil {
		return cachehttp.Row{}, err
	}
	var in Text
	if err := bind(c, &in); err != nil {
		return cachehttp.Row{}, err
	}
	edited, err := h.store.Translate(c.Request().Context(), who, id, locale, in, cachehttp.PreconditionsOf(c))
	return postRow(edited), err
}

func postRow(e Edited) cachehttp.Row {
	row := cachehttp.Row{Body: e.SinglePost, Version: e.Version}
	if e.AsRead {
		row.Path = "/api/posts/" + e.ID.String()
	}
	return row
}

func (h *Handler) deletePost(c echo.Context) error {
	return change(c, "id", func(ctx context.Context, who identity.Caller, id PostID) error {
		return h.store.DeletePost(ctx, who, id, cachehttp.PreconditionsOf(c))
	})
}

func (h *Handler) like(c echo.Context) error {
	return change(c, "id", h.through(h.store.like))
}
func (h *Handler) unlike(c echo.Context) error {
	return change(c, "id", h.through(h.store.unlike))
}

// through has a like written through to what is kept of who likes, so that their next
// page costs no query: it is what people do most.
//
// A like that changes nothing has no event. One that repeats a like of a moment ago may have
// waited for it: another process has committed that, and has not invalidated the reader's tag
// yet. The answer says that the post is liked, so the repeated like invalidates the tag
// itself, and is written through like any other. If that fails, this process reads Redis no
// more for a while, and its own copies do not count.
func (h *Handler) through(
	do func(context.Context, identity.Caller, PostID) (Act, bool, error),
) func(context.Context, identity.Caller, PostID) error {
	return func(ctx context.Context, who identity.Caller, id PostID) error {
		user := who.User()
		var done Act
		write := func(ctx context.Context) (err error) {
			var repeats bool
			if done, repeats, err = do(ctx, who, id); err == nil && repeats {
				_ = h.cache.Invalidate(ctx, cache.Changed(readerTag(user)))
			}
			return err
		}
		return h.fragments.readers.WriteThrough(ctx, readerKey{user}, write, func(r Reader) Reader { return r.acting(done) })
	}
}

func (h *Handler) join(c echo.Context) error    { return change(c, "id", h.store.Join) }
func (h *Handler) leave(c echo.Context) error   { return change(c, "id", h.store.Leave) }
func (h *Handler) block(c echo.Context) error   { return change(c, "userID", h.store.Block) }
func (h *Handler) unblock(c echo.Context) error { return change(c, "userID", h.store.Unblock) }

func (h *Handler) addMember(c echo.Context) error    { return changeMember(c, h.store.AddMember) }
func (h *Handler) removeMember(c echo.Context) error { return changeMember(c, h.store.RemoveMember) }

// change runs a write that needs a caller and one number from the path, and has
// nothing to show.
func change[ID ~int64](c echo.Context, param string, do func(context.Context, identity.Caller, ID) error) error {
	who, id, err := callerAnd[ID](c, param)
	if err != nil {
		return err
	}
	if err := do(c.Request().Context(), who, id); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func changeMember(c echo.Context, do func(context.Context, identity.Caller, CommunityID, identity.UserID) error) error {
	user, err := pathID[identity.UserID](c, "userID")
	if err != nil {
		return err
	}
	return change(c, "id", func(ctx context.Context, who identity.Caller, id CommunityID) error {
		return do(ctx, who, id, user)
	})
}

// callerAnd is what nearly every write begins with: who asks, and for what.
func callerAnd[ID ~int64](c echo.Context, param string) (identity.Caller, ID, error) {
	who, err := signedIn(c)
	if err != nil {
		return who, 0, err
	}
	id, err := pathID[ID](c, param)
	return who, id, err
}

func signedIn(c echo.Context) (identity.Caller, error) {
	who := identity.From(c.Request().Context())
	if who.User() == 0 {
		return who, problem.Unauthorized("this needs a bearer token")
	}
	return who, nil
}

// pathID reads a number from the path, where it has one spelling only.
func pathID[ID ~int64](c echo.Context, param string) (ID, error) {
	text, err := cachehttp.ID(param).Parse(c.Param(param))
	if err != nil {
		return 0, problem.Fields{{Field: param, Message: err.Error()}}.Err()
	}
	id, err := strconv.ParseInt(text, 10, 64)
	return ID(id), err
}

// bind reads a JSON body into what it points to, and checks it.
func bind(c echo.Context, in interface{ validate() error }) error {
	if err := c.Bind(in); err != nil {
		return err
	}
	return in.validate()
}
