package main

import "example.com/communityfeed/internal/overlay"

// A fault is one way to break the service, and the scenario that must notice.
type fault struct {
	name     string
	scenario string
	edits    []overlay.Edit
}

var faults = []fault{
	{"the user is not in a page's key", "feed_mixed", keyWithout("feed.page", "user")},
	{"the locale is not in a page's key", "feed_mixed", keyWithout("feed.page", "locale")},
	{"the flag is not in a page's key", "feed_mixed", keyWithout("feed.page", "feed_v2")},
	{"a translation is written into what pages share", "feed_mixed", []overlay.Edit{
		overlay.Replace("internal/feed/reader.go", "len(posts))\n	for _, p := range posts {", "len(posts))\n	for i, p := range posts {"),
		overlay.Replace("internal/feed/reader.go", "		seen = append(seen, v.show(p, locale))\n",
			"		post := v.show(p, locale)\n		posts[i].Text, posts[i].Locale = Text{post.Title, post.Body}, post.Locale\n		seen = append(seen, post)\n"),
	}},
	{"the order is not in the key of what pages share", "feed_mixed", keyWithout("feed.shared", "order")},
	{"every post is shown as liked by its reader", "feed_mixed", []overlay.Edit{overlay.Replace("internal/feed/reader.go",
		"post.LikedByMe = liked || slices.Contains(v.likes, p.ID)", "post.LikedByMe = liked || true")}},
	{"the handler is told that nobody has the flag", "feed_mixed", []overlay.Edit{overlay.Replace("internal/identity/dimensions.go",
		"c.feedV2 = value == flagOn", "c.feedV2 = false")}},
	{"a deletion moves no tags", "feed_mixed", []overlay.Edit{overlay.Replace("internal/feed/routes.go",
		"func(e PostDeleted) cache.Move { return cache.Revoked(e.Community.PostsTag(), e.Post.Tag()) }",
		"func(PostDeleted) cache.Move { return cache.Revoked() }")}},
	{"a like moves no tags", "feed_mixed", []overlay.Edit{overlay.Replace("internal/feed/routes.go",
		"func(e PostLiked) cache.Move { return cache.Changed(readerTag(e.User.String())) }",
		"func(PostLiked) cache.Move { return cache.Changed() }")}},
	{"a like that is taken back is written through as one", "feed_mixed", []overlay.Edit{overlay.Replace("internal/feed/writes.go",
		"{ return r.acting(done) }", "{ done.Liked = true; return r.acting(done) }")}},
	{"a process does not hear of another's moves", "feed_mixed", []overlay.Edit{overlay.Replace("internal/cache/subscription.go",
		"		c.heard.hear(Tag(name))\n", "")}},
	{"every page has the same ETag", "conditional", []overlay.Edit{overlay.Replace("internal/cachehttp/response.go",
		"EncodeToString(sum[:16])", "EncodeToString(sum[:0])")}},
	{"any ETag is answered 304", "conditional", []overlay.Edit{overlay.Replace("internal/cachehttp/conditional.go",
		"weakly || !weak) && same(opaque)", "weakly || !weak) || same(opaque)")}},
	{"neither flight nor lease", "stampede", []overlay.Edit{noFlight, noLease}},
	{"no lease", "stampede", []overlay.Edit{noLease}},
	{"a changed product moves no list", "products", []overlay.Edit{overlay.Replace("internal/products/routes.go",
		"cache.Changed(catalogue, e.Before.Category.Tag(), e.After.Category.Tag(), e.After.ID.Tag())",
		"cache.Changed(e.After.ID.Tag())")}},
}

var (
	noFlight = overlay.Replace("internal/cache/flight.go",
		"	if s := f.snap.Load(); s.n > after &&", "	if s := f.snap.Load(); s == nil && s.n > after &&")
	noLease = overlay.Replace("internal/cache/resolve.go",
		"a = c.lead(ctx, f, o, k, snap)", "a = c.fill(ctx, o, k, snap, nil)")
)

// keyWithout leaves a dimension out of the text of a key. Whoever asks first still has
// the page made for them: it is then everybody's.
func keyWithout(key, dim string) []overlay.Edit {
	return []overlay.Edit{overlay.Replace("internal/cache/key.go",
		"	for i, f := range s.fields {\n		b = append(b, f...)\n",
		"	for i, f := range s.fields {\n		if s.Name == \""+key+"\" && s.Dims[i] == \""+dim+"\" {\n			continue\n		}\n		b = append(b, f...)\n")}
}
