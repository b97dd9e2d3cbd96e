package feed

import (
	"time"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cachehttp"
	"example.com/communityfeed/internal/identity"
)

// Routes mounts the domain. What a page may depend on is declared with its route, below,
// and how long it is kept with the fragments that it is made of; what makes these wrong is
// in Moves. What is not GET passes the cache by.
func (h *Handler) Routes(g *echo.Group, cached *cachehttp.Cached) {
	page := h.pageQuery()

	cached.GET(g, "/communities", communityList(page), h.communities)
	cached.Page(g, "/communities/:id", communityPage, h.community)
	cached.Page(g, "/communities/:id/posts", feedPage(page), h.page)
	cached.Page(g, "/posts/:id", postPage, h.post)

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
// A like moves what its user likes, and nothing else: they see their own like at once, everybody else
// the new count when the page's time is over. If each like emptied the pages of a
// busy community, there would be no cache.
//
// A membership moves its own tag and that of the user's list: a member who leaves loses
// the pages of that community and the list, and nothing else.
//
// What is new moves its own tag as well: it may be remembered as not found. Its owner
// is a member from the start, and their pages must know.
var Moves = cache.Rules{
	cache.On(func(e CommunityCreated) cache.Move {
		return cache.Changed(communities, e.Community.Tag(), e.Community.PostsTag(),
			membershipTag(e.Community.String(), e.Owner.String()), membershipsTag(e.Owner.String()))
	}),
	cache.On(func(e MemberJoined) cache.Move {
		return cache.Changed(membershipTag(e.Community.String(), e.User.String()), membershipsTag(e.User.String()))
	}),
	cache.On(func(e MemberLeft) cache.Move {
		return cache.Revoked(membershipTag(e.Community.String(), e.User.String()), membershipsTag(e.User.String()))
	}),
	cache.On(func(e PostCreated) cache.Move { return cache.Changed(e.Community.PostsTag(), e.Post.Tag()) }),
	cache.On(func(e PostUpdated) cache.Move { return cache.Changed(e.Community.PostsTag(), e.Post.Tag()) }),
	cache.On(func(e PostDeleted) cache.Move { return cache.Revoked(e.Community.PostsTag(), e.Post.Tag()) }),
	cache.On(func(e PostLiked) cache.Move { return cache.Changed(readerTag(e.User.String())) }),
	cache.On(func(e PostUnliked) cache.Move { return cache.Changed(readerTag(e.User.String())) }),
	cache.On(func(e UserBlocked) cache.Move { return cache.Revoked(readerTag(e.User.String())) }),
	cache.On(func(e UserUnblocked) cache.Move { return cache.Changed(readerTag(e.User.String())) }),
}

// communityList is a response: it is cheap to keep for each reader, and no part of it is
// shared.
func communityList(page []cachehttp.Param) cachehttp.Route {
	return cachehttp.Route{
		Name: "communities.list", Version: 1,
		Query: page, Identity: identity.User,
		Policy: cache.Policy{Fresh: cache.Medium, Stale: time.Minute, OnError: cache.Long},
		Tags:   func(k cache.Key) []cache.Tag { return []cache.Tag{communities, membershipsTag(k.Get("user"))} },
	}
}

// personal is what browsers may do with a page of one reader.
const personal = "private, max-age=15, stale-while-revalidate=60"

// communityPage is composed of the community and the reader's membership.
var communityPage = cachehttp.Page{
	Name: "communities.one", Version: 1,
	Path: []cachehttp.Param{cachehttp.ID("id")}, Identity: identity.User,
	CacheControl: personal,
}

// feedPage is composed of the community, the feed and the reader; if the community is
// private, of the reader's membership; and of the reader's likes or blocks among the
// numbers on the page, if there are more of them than the reader's fragment has.
func feedPage(page []cachehttp.Param) cachehttp.Page {
	return cachehttp.Page{
		Name: "feed.page", Version: 1,
		Path: []cachehttp.Param{cachehttp.ID("id")}, Query: page,
		Identity:     identity.User | identity.Locale | identity.FeedV2,
		CacheControl: personal,
	}
}

// postPage is composed of the post, its community and the reader; if the community is
// private, of the reader's membership; and of likes, as feedPage.
var postPage = cachehttp.Page{
	Name: "posts.one", Version: 1,
	Path: []cachehttp.Param{cachehttp.ID("id")}, Identity: identity.User | identity.Locale,
	CacheControl: personal,
}

// The fragments. What all readers share may be served for a minute after its time, while
// it is loaded again: it is asked for often, and its load takes the longest. What is one
// reader's is not: it changes by events alone, so its time is long, and a page that was
// read yesterday is not stale today because of it.

// communityFragment is a community, as everybody sees it who may see it.
var communityFragment = cache.Spec{
	Name: "communities.shared", Version: 1,
	Dims:   []string{"community"},
	Policy: cache.Policy{Fresh: cache.Medium, Stale: time.Minute, OnError: cache.Long},
	Tags:   func(k cache.Key) []cache.Tag { return []cache.Tag{communityTag(k.Get("community"))} },
}

// feedFragment is what a feed page has in common for all its readers. The locale is none
// of its dimensions: a write would cost a load for each language, and what differs between
// them is only the texts of posts that have translations. They are all in the fragment.
var feedFragment = cache.Spec{
	Name: "feed.shared", Version: 4,
	Dims:   []string{"community", "order", "after", "limit"},
	Policy: cache.Policy{Fresh: cache.Short, Stale: time.Minute, OnError: cache.Long},
	Tags:   func(k cache.Key) []cache.Tag { return []cache.Tag{postsTag(k.Get("community"))} },
}

// postFragment is a post in all languages.
var postFragment = cache.Spec{
	Name: "posts.shared", Version: 1,
	Dims:   []string{"post"},
	Policy: cache.Policy{Fresh: cache.Short, Stale: time.Minute, OnError: cache.Long},
	Tags:   func(k cache.Key) []cache.Tag { return []cache.Tag{postTag(k.Get("post"))} },
}

// readerFragment is what all pages of one reader have in common: their latest likes and
// blocks.
var readerFragment = cache.Spec{
	Name: "feed.reader", Version: 2,
	Dims: []string{"user"}, Owner: "user",
	Policy: readerPolicy,
	Tags:   readerTags,
}

// membershipFragment is whether somebody is a member of a community.
var membershipFragment = cache.Spec{
	Name: "communities.member", Version: 1,
	Dims: []string{"community", "user"}, Owner: "user",
	Policy: readerPolicy,
	Tags: func(k cache.Key) []cache.Tag {
		return []cache.Tag{membershipTag(k.Get("community"), k.Get("user")), cachehttp.UserTagOf(k.Get("user"))}
	},
}

// likesFragment and blocksFragment are those of a reader among a thousand numbers in a
// row. They are for readers of whom more is known than readerFragment has, and the same
// for all pages.
var (
	likesFragment  = bucketFragment("feed.likes")
	blocksFragment = bucketFragment("feed.blocks")
)

func bucketFragment(name string) cache.Spec {
	return cache.Spec{
		Name: name, Version: 1,
		Dims: []string{"user", "bucket"}, Owner: "user",
		Policy: readerPolicy,
		Tags:   readerTags,
	}
}

var readerPolicy = cache.Policy{Fresh: cache.Medium, OnError: cache.Long}

// What is of one user carries the user's tag besides its own: all of it can be withdrawn by
// one move.
func readerTags(k cache.Key) []cache.Tag {
	return []cache.Tag{readerTag(k.Get("user")), cachehttp.UserTagOf(k.Get("user"))}
}

// pageQuery is what every list takes: where to go on, and how many.
func (h *Handler) pageQuery() []cachehttp.Param {
	return []cachehttp.Param{
		cachehttp.Cursor("after", h.cursors),
		cachehttp.OneOf("limit", "20", "10", "20", "50", "100"),
	}
}
