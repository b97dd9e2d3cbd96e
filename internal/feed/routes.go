package feed

import (
	"time"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cachehttp"
	"example.com/communityfeed/internal/identity"
)

// Routes mounts the domain. What a page may depend on and how long it is kept
// stands with its route, below; what makes it wrong stands in Moves. What is not
// GET passes the cache by.
//
// A page that may depend on the user carries the user's tag without saying so.
func (h *Handler) Routes(g *echo.Group, cached *cachehttp.Cached) {
	page := h.pageQuery()

	cached.GET(g, "/communities", communityList(page), h.communities)
	cached.GET(g, "/communities/:id", communityPage, h.community)
	cached.GET(g, "/communities/:id/posts", feedPage(page), h.page)
	cached.GET(g, "/posts/:id", postPage, h.post)

	g.POST("/communities", cached.Created(h.createCommunity))
	g.POST("/communities/:id/posts", cached.Created(h.createPost))

	g.PUT("/communities/:id/members/me", h.join)
	g.DELETE("/communities/:id/members/me", h.leave)
	g.PUT("/communities/:id/members/:userID", h.addMember)
	g.DELETE("/communities/:id/members/:userID", h.removeMember)

	g.PATCH("/posts/:id", cached.Written(h.updatePost))
	g.DELETE("/posts/:id", h.deletePost)
	g.PUT("/posts/:id/translations/:locale", cached.Written(h.translate))
	g.PUT("/posts/:id/like", h.like)
	g.DELETE("/posts/:id/like", h.unlike)

	g.PUT("/blocks/:userID", h.block)
	g.DELETE("/blocks/:userID", h.unblock)
}

// Moves is all that the cache needs to know about this domain's writes.
//
// A like moves its user alone: they see their own like at once, everybody else
// the new count when the page's time is over. If each like emptied the pages of a
// busy community, there would be no cache.
//
// What is new moves its own tag as well: it may be remembered as not found. Its owner
// is a member from the start, and their pages must know.
var Moves = cache.Rules{
	cache.On(func(e CommunityCreated) cache.Move {
		return cache.Changed(communities, e.Community.Tag(), cachehttp.UserTag(e.Owner))
	}),
	cache.On(func(e MemberJoined) cache.Move { return cache.Changed(cachehttp.UserTag(e.User)) }),
	cache.On(func(e MemberLeft) cache.Move { return cache.Revoked(cachehttp.UserTag(e.User)) }),
	cache.On(func(e PostCreated) cache.Move { return cache.Changed(e.Community.Tag(), e.Post.Tag()) }),
	cache.On(func(e PostUpdated) cache.Move { return cache.Changed(e.Community.Tag(), e.Post.Tag()) }),
	cache.On(func(e PostDeleted) cache.Move { return cache.Revoked(e.Community.Tag(), e.Post.Tag()) }),
	cache.On(func(e PostLiked) cache.Move { return cache.Changed(cachehttp.UserTag(e.User)) }),
	cache.On(func(e PostUnliked) cache.Move { return cache.Changed(cachehttp.UserTag(e.User)) }),
	cache.On(func(e UserBlocked) cache.Move { return cache.Revoked(cachehttp.UserTag(e.User)) }),
	cache.On(func(e UserUnblocked) cache.Move { return cache.Changed(cachehttp.UserTag(e.User)) }),
}

func communityList(page []cachehttp.Param) cachehttp.Route {
	return cachehttp.Route{
		Name: "communities.list", Version: 1,
		Query: page, Identity: identity.User,
		Policy: cache.Policy{Fresh: cache.Medium, Stale: time.Minute, OnError: cache.Long},
		Tags:   func(cache.Key) []cache.Tag { return []cache.Tag{communities} },
	}
}

var communityPage = cachehttp.Route{
	Name: "communities.one", Version: 1,
	Path: []cachehttp.Param{cachehttp.ID("id")}, Identity: identity.User,
	Policy: cache.Policy{Fresh: cache.Medium, Stale: time.Minute, OnError: cache.Long},
	Tags:   func(k cache.Key) []cache.Tag { return []cache.Tag{communityTag(k.Get("id"))} },
}

// feedPage is composed: sharedPart and readerPart below are parts of it, so their tags
// are among its own.
func feedPage(page []cachehttp.Param) cachehttp.Route {
	return cachehttp.Route{
		Name: "feed.page", Version: 1,
		Path: []cachehttp.Param{cachehttp.ID("id")}, Query: page,
		Identity: identity.User | identity.Locale | identity.FeedV2,
		Policy:   cache.Policy{Fresh: cache.Short, Stale: time.Minute, OnError: cache.Long},
		Tags:     func(k cache.Key) []cache.Tag { return []cache.Tag{communityTag(k.Get("id"))} },
	}
}

// sharedPart is what a feed page has in common for all its readers: a data load,
// not a page, so its dimensions are its own. The locale is none of them: a write would
// cost a load for each language, and what differs between them is only the texts of
// posts that have translations. They are all in the part.
var sharedPart = cache.Spec{
	Name: "feed.shared", Version: 3,
	Dims:   []string{"community", "order", "after", "limit"},
	Policy: cache.Policy{Fresh: cache.Short}, // a part is fresh or not used
	Tags:   func(k cache.Key) []cache.Tag { return []cache.Tag{communityTag(k.Get("community"))} },
}

// readerPart is what all feed pages of one reader have in common.
var readerPart = cache.Spec{
	Name: "feed.reader", Version: 1,
	Dims:   []string{"user"},
	Policy: cache.Policy{Fresh: cache.Short},
	Tags:   func(k cache.Key) []cache.Tag { return []cache.Tag{cachehttp.UserTagOf(k.Get("user"))} },
}

var postPage = cachehttp.Route{
	Name: "posts.one", Version: 1,
	Path: []cachehttp.Param{cachehttp.ID("id")}, Identity: identity.User | identity.Locale,
	Policy: cache.Policy{Fresh: cache.Short, Stale: time.Minute, OnError: cache.Long},
	Tags:   func(k cache.Key) []cache.Tag { return []cache.Tag{postTag(k.Get("id"))} },
}

// pageQuery is what every list takes: where to go on, and how many.
func (h *Handler) pageQuery() []cachehttp.Param {
	return []cachehttp.Param{
		cachehttp.Cursor("after", h.cursors),
		cachehttp.OneOf("limit", "20", "10", "20", "50", "100"),
	}
}
