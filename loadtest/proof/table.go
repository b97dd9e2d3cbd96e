package main

import "example.com/communityfeed/internal/overlay"

// A fault is one way to break the service, and the scenario that must notice.
type fault struct {
	name     string
	scenario string
	edits    []overlay.Edit
}

var faults = []fault{
	{"the user is not in a page's key", "feed_mixed", without("feed.page", "identity.User")},
	{"the locale is not in a page's key", "feed_mixed", without("feed.page", "identity.Locale")},
	{"the flag is not in a page's key", "feed_mixed", without("feed.page", "identity.FeedV2")},
	{"a translation is written into what pages share", "feed_mixed", []overlay.Edit{
		overlay.Replace("internal/feed/reader.go", "len(posts))\n	for _, p := range posts {", "len(posts))\n	for i, p := range posts {"),
		overlay.Replace("internal/feed/reader.go", "		seen = append(seen, v.show(p, locale))\n",
			"		post := v.show(p, locale)\n		posts[i].Text, posts[i].Locale = Text{post.Title, post.Body}, post.Locale\n		seen = append(seen, post)\n"),
	}},
	{"the order is not in the key of what pages share", "feed_mixed", []overlay.Edit{overlay.Replace("internal/feed/handler.go",
		"feedKey{id, order, after,", "feedKey{id, Newest, after,")}},
	{"every post is shown as liked by its reader", "feed_mixed", []overlay.Edit{overlay.Replace("internal/feed/reader.go",
		"post.LikedByMe = liked || slices.Contains(v.likes, p.ID)", "post.LikedByMe = liked || true")}},
	{"the handler is told that nobody has the flag", "feed_mixed", []overlay.Edit{overlay.Replace("internal/identity/dimensions.go",
		"c.feedV2 = value == flagOn", "c.feedV2 = false")}},
	{"a deletion invalidates no tags", "feed_mixed", []overlay.Edit{overlay.Replace("internal/feed/routes.go",
		"func(e PostDeleted) cache.Invalidation { return cache.Revoked(e.Community.PostsTag(), e.Post.Tag()) }",
		"func(PostDeleted) cache.Invalidation { return cache.Revoked() }")}},
	{"a like invalidates no tags", "feed_mixed", []overlay.Edit{overlay.Replace("internal/feed/routes.go",
		"func(e PostLiked) cache.Invalidation { return cache.Changed(readerTag(e.User)) }",
		"func(PostLiked) cache.Invalidation { return cache.Changed() }")}},
	{"a like that is taken back is written through as one", "feed_mixed", []overlay.Edit{overlay.Replace("internal/feed/writes.go",
		"{ return r.acting(done) }", "{ done.Liked = true; return r.acting(done) }")}},
	{"a process does not hear of another's invalidations", "feed_mixed", []overlay.Edit{overlay.Replace("internal/cache/invalidate.go",
		"{ l.cache.fence.Hear(t) }", "{}")}},
	{"every page has the same ETag", "conditional", []overlay.Edit{overlay.Replace("internal/cachehttp/response.go",
		"EncodeToString(sum[:16])", "EncodeToString(sum[:0])")}},
	{"any ETag is answered 304", "conditional", []overlay.Edit{overlay.Replace("internal/cachehttp/conditional.go",
		"weakly || !weak) && same(opaque)", "weakly || !weak) || same(opaque)")}},
	{"neither one fill in the process nor a lease", "stampede", []overlay.Edit{noFill, noLease}},
	{"no lease", "stampede", []overlay.Edit{noLease}},
	{"a changed product invalidates no list", "products", []overlay.Edit{overlay.Replace("internal/products/routes.go",
		"cache.Changed(catalogue, e.Before.Category.Tag(), e.After.Category.Tag(), e.After.ID.Tag())",
		"cache.Changed(e.After.ID.Tag())")}},
}

var (
	noFill = overlay.Replace("internal/cache/read.go",
		"if s := other.snapshot.Load(); s.Number > f.above &&", "if s := other.snapshot.Load(); s == nil && s.Number > f.above &&")
	noLease = overlay.Replace("internal/cache/read.go",
		"return f.loadUnderLease(ctx, found)", "return f.loadAndStore(ctx, found.snapshot)")
)

// without leaves a dimension of the caller out of the key of a page: it is made as for
// somebody of whom nothing is known.
func without(page, dimension string) []overlay.Edit {
	return []overlay.Edit{overlay.Replace("internal/cachehttp/cached.go",
		"		to = append(to, who.Value(d))\n",
		"		if m.route.Name == \""+page+"\" && d == "+dimension+" {\n			to = append(to, identity.NewCaller(0, \"\", \"en\", false).Value(d))\n			continue\n		}\n		to = append(to, who.Value(d))\n")}
}
