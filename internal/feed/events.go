package feed

import (
	"example.com/communityfeed/internal/events"
	"example.com/communityfeed/internal/identity"
)

// Events lists what can happen in this domain, under the names by which the
// outbox stores it. A name and the fields of its event outlive the process that
// wrote them: an older version may still have to read them.
var Events = events.Kinds{
	events.KindOf[CommunityCreated]("feed.community_created"),
	events.KindOf[MemberJoined]("feed.member_joined"),
	events.KindOf[MemberLeft]("feed.member_left"),
	events.KindOf[PostCreated]("feed.post_created"),
	events.KindOf[PostUpdated]("feed.post_updated"),
	events.KindOf[PostDeleted]("feed.post_deleted"),
	events.KindOf[PostLiked]("feed.post_liked"),
	events.KindOf[PostUnliked]("feed.post_unliked"),
	events.KindOf[UserBlocked]("feed.user_blocked"),
	events.KindOf[UserUnblocked]("feed.user_unblocked"),
}

// CommunityCreated says that a community began, with its owner as a member.
type CommunityCreated struct {
	Community  CommunityID     `json:"community"`
	Owner      identity.UserID `json:"owner"`
	Visibility Visibility      `json:"visibility"`
}

// MemberJoined says that a user joined or was added.
type MemberJoined struct {
	Community CommunityID     `json:"community"`
	User      identity.UserID `json:"user"`
}

// MemberLeft says that a user left or was removed: what they saw of a private
// community must not be shown to them again.
type MemberLeft struct {
	Community CommunityID     `json:"community"`
	User      identity.UserID `json:"user"`
}

// PostCreated says that a member posted.
type PostCreated struct {
	Community CommunityID     `json:"community"`
	Post      PostID          `json:"post"`
	Author    identity.UserID `json:"author"`
}

// PostUpdated says that a post's text or one of its translations has changed,
// which made it Version.
type PostUpdated struct {
	Community CommunityID `json:"community"`
	Post      PostID      `json:"post"`
	Version   int64       `json:"version"`
}

// PostDeleted says that a post was withdrawn.
type PostDeleted struct {
	Community CommunityID `json:"community"`
	Post      PostID      `json:"post"`
}

// PostLiked says that a user who did not like a post now does.
type PostLiked struct {
	Post PostID          `json:"post"`
	User identity.UserID `json:"user"`
}

// PostUnliked says that a user who liked a post no longer does.
type PostUnliked struct {
	Post PostID          `json:"post"`
	User identity.UserID `json:"user"`
}

// UserBlocked says that User no longer wants to see what Blocked writes.
type UserBlocked struct {
	User    identity.UserID `json:"user"`
	Blocked identity.UserID `json:"blocked"`
}

// UserUnblocked takes a UserBlocked back.
type UserUnblocked struct {
	User    identity.UserID `json:"user"`
	Blocked identity.UserID `json:"blocked"`
}
