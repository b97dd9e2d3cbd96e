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
// in Invalidations. What is not GET passes the cache by.
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

// Invalidations is all that the cache needs to know about this domain's writes.
//
// A like invalidates what its user likes, and nothing else. The user sees their own like at
// once, all others see the new count when the page's time is over. If each like emptied the
// pages of a busy community, there would be no cache.
//
// A membership invalidates its own tag and that of the user's list: a member who leaves loses
// the pages of that community and the list, and nothing else.
//
// What is new invalidates its own tag as well: it may be remembered as not found. Its owner
// is a member from the start, and their pages must know.
var Invalidations = cache.Invalidations{
	cache.On(func(e CommunityCreated) cache.Invalidation {
		return cache.Changed(communities, e.Community.Tag(), e.Community.PostsTag(),
			e.Community.MemberTag(e.Owner), membershipsTag(e.Owner))
	}),
	cache.On(func(e MemberJoined) cache.Invalidation {
		return cache.Changed(e.Community.MemberTag(e.User), membershipsTag(e.User))
	}),
	cache.On(func(e MemberLeft) cache.Invalidation {
		return cache.Revoked(e.Community.MemberTag(e.User), membershipsTag(e.User))
	}),
	cache.On(func(e PostCreated) cache.Invalidation { return cache.Changed(e.Community.PostsTag(), e.Post.Tag()) }),
	cache.On(func(e PostUpdated) cache.Invalidation { return cache.Changed(e.Community.PostsTag(), e.Post.Tag()) }),
	cache.On(func(e PostDeleted) cache.Invalidation { return cache.Revoked(e.Community.PostsTag(), e.Post.Tag()) }),
	cache.On(func(e PostLiked) cache.Invalidation { return cache.Changed(readerTag(e.User)) }),
	cache.On(func(e PostUnliked) cache.Invalidation { return cache.Changed(readerTag(e.User)) }),
	cache.On(func(e UserBlocked) cache.Invalidation { return cache.Revoked(readerTag(e.User)) }),
	cache.On(func(e UserUnblocked) cache.Invalidation { return cache.Changed(readerTag(e.User)) }),
}

// communityList is a response: it is cheap to keep for each reader, and no part of it is
// shared.
func communityList(page []cachehttp.Param) cachehttp.Route {
	return cachehttp.Route{
		Name: "communities.list", Version: 1, Body: listBody{},
		Query: page, Identity: identity.User,
		Policy: cache.Policy{TTL: cache.Medium, StaleWhileRevalidate: time.Minute, StaleIfError: cache.Long},
		Tags:   func(k cache.Key) []cache.Tag { return []cache.Tag{communities, memberships + cache.Tag(k.Get("user"))} },
	}
}

// personal is what browsers may do with a page of one reader.
const personal = "private, max-age=15, stale-while-revalidate=60"

// communityPage is composed of the community and the reader's membership.
var communityPage = cachehttp.Page{
	Name: "communities.one", Version: 1, Body: Community{},
	Path: []cachehttp.Param{cachehttp.ID("id")}, Identity: identity.User,
	CacheControl: personal,
}

// feedPage is composed of the community, the feed and the reader; if the community is
// private, of the reader's membership; and of the reader's likes or blocks among the
// numbers on the page, if there are more of them than the reader's fragment has.
func feedPage(page []cachehttp.Param) cachehttp.Page {
	return cachehttp.Page{
		Name: "feed.page", Version: 1, Body: feedBody{},
		Path: []cachehttp.Param{cachehttp.ID("id")}, Query: page,
		Identity:     identity.User | identity.Locale | identity.FeedV2,
		CacheControl: personal,
	}
}

// postPage is composed of the post, its community and the reader; if the community is
// private, of the reader's membership; and of likes, as feedPage.
var postPage = cachehttp.Page{
	Name: "posts.one", Version: 1, Body: SinglePost{},
	Path: []cachehttp.Param{cachehttp.ID("id")}, Identity: identity.User | identity.Locale,
	CacheControl: personal,
}

// The fragments. What all readers share may be served for a minute after its time, while
// it is loaded again: it is asked for often, and its load takes the longest. What is one
// reader's is not: it changes by events alone, so its time is long, and a page that was
// read yesterday is not stale today because of it.

// missing is how long it is remembered that a community or a post does not exist, so that
// asking for it again and again does not reach Postgres. Its creation invalidates its own
// tag, so it shows at once.
const missing = 5 * time.Second

type communityKey struct {
	Community CommunityID `key:"community"`
}

// communityFragment is a community, as all see it that may see it.
var communityFragment = cache.Fragment[communityKey, SharedCommunity]{
	Name: "communities.shared", Version: 1,
	Policy: cache.Policy{TTL: cache.Medium, StaleWhileRevalidate: time.Minute, StaleIfError: cache.Long, Negative: missing},
	Tags:   func(k communityKey) []cache.Tag { return []cache.Tag{k.Community.Tag()} },
}

type feedKey struct {
	Community CommunityID `key:"community"`
	Order     Order       `key:"order"`
	After     string      `key:"after"` // a position, see parsePosition
	Limit     int         `key:"limit"`
}

// feedFragment is what a feed page has in common for all its readers. The locale is none
// of its dimensions: a write would cost a load for each language, and what differs between
// them is only the texts of posts that have translations. They are all in the fragment.
var feedFragment = cache.Fragment[feedKey, SharedPage]{
	Name: "feed.shared", Version: 4,
	Policy: cache.Policy{TTL: cache.Short, StaleWhileRevalidate: time.Minute, StaleIfError: cache.Long},
	Tags:   func(k feedKey) []cache.Tag { return []cache.Tag{k.Community.PostsTag()} },
}

type postKey struct {
	Post PostID `key:"post"`
}

// postFragment is a post in all languages.
var postFragment = cache.Fragment[postKey, CommunityPost]{
	Name: "posts.shared", Version: 1,
	Policy: cache.Policy{TTL: cache.Short, StaleWhileRevalidate: time.Minute, StaleIfError: cache.Long, Negative: missing},
	Tags:   func(k postKey) []cache.Tag { return []cache.Tag{k.Post.Tag()} },
}

type readerKey struct {
	User identity.UserID `key:"user,owner"`
}

// readerFragment is what all pages of one reader have in common: their latest likes and
// blocks.
var readerFragment = cache.Fragment[readerKey, Reader]{
	Name: "feed.reader", Version: 2,
	Policy: readerPolicy,
	Tags:   func(k readerKey) []cache.Tag { return readerTags(k.User) },
}

type memberKey struct {
	Community CommunityID     `key:"community"`
	User      identity.UserID `key:"user,owner"`
}

// memberFragment is whether a user is a member of a community.
var memberFragment = cache.Fragment[memberKey, Membership]{
	Name: "communities.member", Version: 1,
	Policy: readerPolicy,
	Tags: func(k memberKey) []cache.Tag {
		return []cache.Tag{k.Community.MemberTag(k.User), cachehttp.UserTag(k.User)}
	},
}

// A bucketKey names what a reader has among a thousand numbers in a row.
type bucketKey struct {
	User   identity.UserID `key:"user,owner"`
	Bucket int64           `key:"bucket"`
}

// likesFragment and blocksFragment are a reader's in one bucket. They are for readers of
// whom more is known than readerFragment has, and the same for all pages.
var (
	likesFragment = cache.Fragment[bucketKey, []PostID]{
		Name: "feed.likes", Version: 1, Policy: readerPolicy, Tags: bucketTags,
	}
	blocksFragment = cache.Fragment[bucketKey, []identity.UserID]{
		Name: "feed.blocks", Version: 1, Policy: readerPolicy, Tags: bucketTags,
	}
)

func bucketTags(k bucketKey) []cache.Tag { return readerTags(k.User) }

var readerPolicy = cache.Policy{TTL: cache.Medium, StaleIfError: cache.Long}

// What is one user's has the user's tag besides its own: one invalidation withdraws all of
// it.
func readerTags(user identity.UserID) []cache.Tag {
	return []cache.Tag{readerTag(user), cachehttp.UserTag(user)}
}

// pageQuery is what every list takes: where to go on, and how many.
func (h *Handler) pageQuery() []cachehttp.Param {
	return []cachehttp.Param{
		cachehttp.Cursor("after", h.cursors),
		cachehttp.OneOf("limit", "20", "10", "20", "50", "100"),
	}
}
