// Package feed holds communities, their members and what they post: the
// queries, the handlers, the routes, the events and what each event makes stale.
//
// Its idea is the composed page. Which posts a page of a community shows, in one order,
// is the same for every reader: it is loaded once, in all languages, and cached as a
// fragment. What is personal about the page is the same for all pages of one reader: which
// posts they like, whose posts they do not want to see, where they are a member. These are
// fragments, too, of that reader. So a page that was never asked for is composed without a
// query if its fragments are there.
//
// Its invariant: nobody but a member learns that a private community or its posts
// exist. To everybody else, reads and writes answer as if there were nothing.
package feed

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cachehttp"
	"example.com/communityfeed/internal/identity"
)

// CommunityID is a community's number.
type CommunityID int64

// Tag names the community itself.
func (id CommunityID) Tag() cache.Tag { return cache.Tag("about:" + id.String()) }

// PostsTag names what is posted in the community.
func (id CommunityID) PostsTag() cache.Tag { return cache.Tag("community:" + id.String()) }

// MemberTag names whether a user is a member of the community.
func (id CommunityID) MemberTag(user identity.UserID) cache.Tag {
	return cache.Tag("member:" + id.String() + ":" + user.String())
}

func (id CommunityID) String() string { return strconv.FormatInt(int64(id), 10) }

// PostID is a post's number.
type PostID int64

// Tag names the post.
func (id PostID) Tag() cache.Tag { return cache.Tag("post:" + id.String()) }

func (id PostID) String() string { return strconv.FormatInt(int64(id), 10) }

// communities is the tag of every list of communities.
const communities cache.Tag = "communities"

// membershipsTag names all memberships of a user.
func membershipsTag(user identity.UserID) cache.Tag { return cache.Tag(memberships + user.String()) }

// readerTag names what a user likes and blocks.
func readerTag(user identity.UserID) cache.Tag { return cache.Tag(readers + user.String()) }

const (
	memberships = "members:"
	readers     = "reader:"
)

// FormerTags adds to the tags of an invalidation what the version of the service before this
// one knows them by: there, all that concerns a user invalidates the user's tag. It is for
// the time in which processes of both versions run. What they invalidate reaches this
// version without it, since all that is one user's has the user's tag.
func FormerTags(tags []cache.Tag) []cache.Tag {
	all := slices.Clone(tags)
	for _, t := range tags {
		for _, prefix := range []string{memberships, readers} {
			if user, ok := strings.CutPrefix(string(t), prefix); ok {
				all = append(all, cachehttp.UserTagOf(user))
			}
		}
	}
	return all
}

// FormerKey is a key that the version before has and this one has not: while it is
// registered, processes of both may run.
const FormerKey = "feed.shared/3"

// Visibility says who may see a community.
type Visibility string

// A public community is open to everybody, to read and to join; a private one
// exists for its members only, and its owner adds them.
const (
	Public  Visibility = "public"
	Private Visibility = "private"
)

// Person is what is shown of a user.
type Person struct {
	ID   identity.UserID `json:"id"`
	Name string          `json:"name"`
}

// Community is a community as one reader sees it.
type Community struct {
	ID         CommunityID `json:"id"`
	Name       string      `json:"name"`
	Visibility Visibility  `json:"visibility"`
	Owner      Person      `json:"owner"`
	Member     bool        `json:"member"` // the reader is one
	CreatedAt  time.Time   `json:"createdAt"`
}

// Post is a post as one reader sees it. Its text is in the reader's language
// when there is a translation, else in the original's; Locale says which.
type Post struct {
	ID        PostID    `json:"id"`
	Title     string    `json:"title"`
	Body      string    `json:"body"`
	Locale    string    `json:"locale"`
	Author    Person    `json:"author"`
	Likes     int       `json:"likes"`
	LikedByMe bool      `json:"likedByMe"`
	CreatedAt time.Time `json:"createdAt"`
	Version   int64     `json:"version"`
}

// SinglePost is a post outside the page of its community.
type SinglePost struct {
	Community CommunityID `json:"community"`
	Post
}
