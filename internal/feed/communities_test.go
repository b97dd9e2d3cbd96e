package feed

import (
	"fmt"
	"net/http"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/communityfeed/internal/identity"
)

func TestPrivateCommunityIsNotFoundByOutsiders(t *testing.T) {
	w := newTown(t)
	owner, member, outsider := w.user("Owner"), w.user("Member"), w.user("Outsider")
	id := w.community(Private, owner, member)
	post := w.post(member, id, "Secret")
	for _, c := range []struct {
		name string
		who  identity.Caller
		want int
	}{
		{"owner", owner, http.StatusOK},
		{"member", member, http.StatusOK},
		{"outsider", outsider, http.StatusNotFound},
		{"nobody", identity.Caller{}, http.StatusNotFound},
	} {
		for _, path := range []string{
			fmt.Sprintf("/communities/%d", id), fmt.Sprintf("/communities/%d/posts", id), fmt.Sprintf("/posts/%d", post),
		} {
			_, err := read[any](w, c.who, path)
			wantStatus(t, c.name+" reads "+path, err, c.want)
		}
		list, _, err := w.Communities(t.Context(), c.who.User(), 0, 10)
		if err != nil || (len(list) == 1) != (c.want == http.StatusOK) {
			t.Errorf("%s lists %d communities (%v)", c.name, len(list), err)
		}
	}

	// The answer to an outsider is the one to a question about nothing at all.
	for hidden, missing := range map[string]string{
		fmt.Sprintf("/communities/%d", id):       "/communities/5000",
		fmt.Sprintf("/communities/%d/posts", id): "/communities/5000/posts",
		fmt.Sprintf("/posts/%d", post):           "/posts/5000",
	} {
		_, is := read[any](w, outsider, hidden)
		_, isNot := read[any](w, outsider, missing)
		number := regexp.MustCompile(`[0-9]+ was not found`)
		if got, want := number.ReplaceAllString(is.Error(), ""), number.ReplaceAllString(isNot.Error(), ""); got != want {
			t.Errorf("hidden answers %v, missing %v", is, isNot)
		}
	}
}

func TestMembership(t *testing.T) {
	w := newTown(t)
	owner, member, outsider, admin := w.user("Owner"), w.user("Member"), w.user("Outsider"), w.admin()
	open, closed := w.community(Public, owner, member), w.community(Private, owner, member)
	unknown := identity.UserID(1 << 40)
	w.heard()

	// In order: each step finds what the ones before have left.
	for _, c := range []struct {
		name string
		err  func() error
		want int
		emit any
	}{
		{"join a public community", func() error { return w.Join(t.Context(), outsider, open) }, 200, MemberJoined{open, outsider.User()}},
		{"join it again", func() error { return w.Join(t.Context(), outsider, open) }, 200, nil},
		{"leave it", func() error { return w.Leave(t.Context(), outsider, open) }, 200, MemberLeft{open, outsider.User()}},
		{"leave it again", func() error { return w.Leave(t.Context(), outsider, open) }, 200, nil},
		{"join a private community", func() error { return w.Join(t.Context(), outsider, closed) }, 404, nil},
		{"leave a private community", func() error { return w.Leave(t.Context(), outsider, closed) }, 404, nil},
		{"join as a member", func() error { return w.Join(t.Context(), member, closed) }, 200, nil},
		{"leave as the owner", func() error { return w.Leave(t.Context(), owner, open) }, 409, nil},
		{"outsider adds, public", func() error { return w.AddMember(t.Context(), outsider, open, outsider.User()) }, 403, nil},
		{"outsider adds, private", func() error { return w.AddMember(t.Context(), outsider, closed, outsider.User()) }, 404, nil},
		{"member adds", func() error { return w.AddMember(t.Context(), member, closed, outsider.User()) }, 403, nil},
		{"owner adds", func() error { return w.AddMember(t.Context(), owner, closed, outsider.User()) }, 200, MemberJoined{closed, outsider.User()}},
		{"owner adds again", func() error { return w.AddMember(t.Context(), owner, closed, outsider.User()) }, 200, nil},
		{"owner adds nobody", func() error { return w.AddMember(t.Context(), owner, closed, unknown) }, 404, nil},
		{"member removes", func() error { return w.RemoveMember(t.Context(), member, closed, outsider.User()) }, 403, nil},
		{"admin removes", func() error { return w.RemoveMember(t.Context(), admin, closed, outsider.User()) }, 200, MemberLeft{closed, outsider.User()}},
		{"owner removes again", func() error { return w.RemoveMember(t.Context(), owner, closed, outsider.User()) }, 200, nil},
		{"owner removes nobody", func() error { return w.RemoveMember(t.Context(), owner, closed, unknown) }, 404, nil},
		{"admin removes the owner", func() error { return w.RemoveMember(t.Context(), admin, closed, owner.User()) }, 409, nil},
		{"join nothing", func() error { return w.Join(t.Context(), owner, 1<<40) }, 404, nil},
	} {
		wantStatus(t, c.name, c.err(), c.want)
		var want []any
		if c.emit != nil {
			want = []any{c.emit}
		}
		if diff := cmp.Diff(want, w.heard()); diff != "" {
			t.Errorf("%s emits (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestRemovedMemberSeesNothingAnyMore(t *testing.T) {
	w := newTown(t)
	owner, member := w.user("Owner"), w.user("Member")
	id := w.community(Private, owner, member)
	post := w.post(owner, id, "Secret")
	if err := w.RemoveMember(t.Context(), owner, id, member.User()); err != nil {
		t.Fatal(err)
	}
	_, err := read[feedBody](w, member, fmt.Sprintf("/communities/%d/posts", id))
	wantStatus(t, "page", err, http.StatusNotFound)
	_, err = read[SinglePost](w, member, fmt.Sprintf("/posts/%d", post))
	wantStatus(t, "post", err, http.StatusNotFound)
}

func TestCreatedCommunityHasItsOwnerAsMember(t *testing.T) {
	w := newTown(t)
	ada := w.user("Ada")
	for _, v := range []Visibility{Public, Private} {
		w.heard()
		got, err := w.CreateCommunity(t.Context(), ada, "Bakers", v)
		if err != nil {
			t.Fatal(err)
		}
		want := Community{ID: got.ID, Name: "Bakers", Visibility: v, Owner: Person{ada.User(), "Ada"}, Member: true, CreatedAt: got.CreatedAt}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("created (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]any{CommunityCreated{got.ID, ada.User(), v}}, w.heard()); diff != "" {
			t.Errorf("emitted (-want +got):\n%s", diff)
		}
	}
	_, err := w.CreateCommunity(t.Context(), identity.NewCaller(1<<40, "", "en", false), "Bakers", Public)
	wantStatus(t, "by a user who does not exist", err, http.StatusForbidden)
}

func TestListOfCommunitiesPagesOverWhatTheViewerSees(t *testing.T) {
	w := newTown(t)
	ada, bob := w.user("Ada"), w.user("Bob")
	var forAda, forBob []CommunityID
	for n := range 23 {
		if n%3 == 0 {
			forAda = append(forAda, w.community(Private, ada))
			continue
		}
		id := w.community(Public, ada)
		forAda, forBob = append(forAda, id), append(forBob, id)
	}
	for who, want := range map[identity.Caller][]CommunityID{ada: forAda, bob: forBob, {}: forBob} {
		var got []CommunityID
		var after CommunityID
		for more := true; more; {
			var list []Community
			var err error
			list, more, err = w.Communities(t.Context(), who.User(), after, 5)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range list {
				got, after = append(got, c.ID), c.ID
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("user %s lists (-want +got):\n%s", who.User(), diff)
		}
	}
}
