// Package feed holds communities, their members and what they post: the
// queries, the handlers, the routes, the events and what each event makes stale.
//
// Its idea is the composed page. Which posts a page of a community shows, in one order,
// is the same for every reader; it is loaded once, in all languages, and kept under a
// key of its own. What is personal about the page is the same for all pages of one
// reader: where they are a member, which posts they like, whose posts they do not want
// to see. That is loaded once as well, under a key of theirs. So a page that nobody has
// asked for yet is put together without a query if its parts are at hand.
//
// Its invariant: nobody but a member learns that a private community or its posts
// exist. To everybody else, reads and writes answer as if there were nothing.
package feed

import (
	"strconv"
	"time"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/identity"
)

// CommunityID is a community's number.
type CommunityID int64

// Tag names the community and its pages of posts.
func (id CommunityID) Tag() cache.Tag { return communityTag(id.String()) }

func (id CommunityID) String() string { return strconv.FormatInt(int64(id), 10) }

// PostID is a post's number.
type PostID int64

// Tag names the post's own page.
func (id PostID) Tag() cache.Tag { return postTag(id.String()) }

func (id PostID) String() string { return strconv.FormatInt(int64(id), 10) }

// communities is the tag of every list of communities.
const communities cache.Tag = "communities"

// Keys hold ids as text, so a route's tags are made from text as well.
func communityTag(id string) cache.Tag { return cache.Tag("community:" + id) }

func postTag(id string) cache.Tag { return cache.Tag("post:" + id) }

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
