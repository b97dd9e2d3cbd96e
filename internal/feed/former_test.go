package feed

import (
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cachehttp"
)

// What each event moves in the version before.
func TestAMoveHasEveryTagThatTheVersionBeforeKnowsItBy(t *testing.T) {
	kinds := make(map[reflect.Type]bool)
	for _, test := range []struct {
		event  any
		former []cache.Tag
	}{
		{CommunityCreated{Community: 7, Owner: 3}, []cache.Tag{"communities", "community:7", "user:3"}},
		{MemberJoined{Community: 7, User: 3}, []cache.Tag{"user:3"}},
		{MemberLeft{Community: 7, User: 3}, []cache.Tag{"user:3"}},
		{PostCreated{Community: 7, Post: 5}, []cache.Tag{"community:7", "post:5"}},
		{PostUpdated{Community: 7, Post: 5}, []cache.Tag{"community:7", "post:5"}},
		{PostDeleted{Community: 7, Post: 5}, []cache.Tag{"community:7", "post:5"}},
		{PostLiked{Post: 5, User: 3}, []cache.Tag{"user:3"}},
		{PostUnliked{Post: 5, User: 3}, []cache.Tag{"user:3"}},
		{UserBlocked{User: 3}, []cache.Tag{"user:3"}},
		{UserUnblocked{User: 3}, []cache.Tag{"user:3"}},
	} {
		kinds[reflect.TypeOf(test.event)] = true
		m, _ := Invalidations.Of(test.event)
		moved := FormerTags(m.Tags)
		for _, tag := range test.former {
			if !slices.Contains(moved, tag) {
				t.Errorf("%T moves %v, and not %s", test.event, moved, tag)
			}
		}
	}
	for _, kind := range Events {
		if !kinds[reflect.TypeOf(kind.Zero())] {
			t.Errorf("%s was not looked at", kind.Name())
		}
	}
}

func TestFormerTagsAddsTheTagOfTheUserAndLeavesItsArgumentAlone(t *testing.T) {
	for _, test := range []struct{ tags, added []cache.Tag }{
		{[]cache.Tag{"communities", "about:7", "community:7", "post:5", "member:7:3"}, nil},
		{[]cache.Tag{"members:3"}, []cache.Tag{"user:3"}},
		{[]cache.Tag{"reader:4"}, []cache.Tag{"user:4"}},
		{[]cache.Tag{"member:7:3", "members:3", "reader:4"}, []cache.Tag{"user:3", "user:4"}},
		{[]cache.Tag{cache.Everything}, nil},
	} {
		given := append(make([]cache.Tag, 0, 8), test.tags...) // there is room behind it
		if diff := cmp.Diff(slices.Concat(test.tags, test.added), FormerTags(given)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", test.tags, diff)
		}
		if behind := given[:len(given)+1][len(given)]; behind != "" {
			t.Errorf("%v: %s was written behind it", test.tags, behind)
		}
	}
}

// All that is kept of a user has the user's tag, so what the version before moves reaches
// it.
func TestWhatIsOfOneUserCarriesTheTagThatTheVersionBeforeMoves(t *testing.T) {
	for name, tags := range map[string][]cache.Tag{
		readerFragment.Name: readerFragment.Tags(readerKey{3}),
		memberFragment.Name: memberFragment.Tags(memberKey{7, 3}),
		likesFragment.Name:  likesFragment.Tags(bucketKey{3, 7}),
		blocksFragment.Name: blocksFragment.Tags(bucketKey{3, 7}),
	} {
		if !slices.Contains(tags, cachehttp.UserTag(3)) {
			t.Errorf("%s has the tags %v", name, tags)
		}
	}
}
