package feed

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/communityfeed/internal/identity"
)

func TestSeedIsConsistent(t *testing.T) {
	w := newTown(t)
	size := SeedSize{Users: 300, Communities: 40, Posts: 5000}
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	last := map[string]int64{}
	if err := Seed(t.Context(), w.pool, size, now, func(table string, rows int64) { last[table] = rows }); err != nil {
		t.Fatal(err)
	}

	for what, sql := range map[string]string{
		"posts whose likes are miscounted": `SELECT count(*) FROM posts p WHERE likes <> (SELECT count(*) FROM likes l WHERE l.post_id = p.id)`,
		"authors who are no members":       `SELECT count(*) FROM posts p LEFT JOIN members m ON m.community_id = p.community_id AND m.user_id = p.author_id WHERE m IS NULL`,
		"likes of what is not seen":        `SELECT count(*) FROM likes l JOIN posts p ON p.id = l.post_id LEFT JOIN members m ON m.community_id = p.community_id AND m.user_id = l.user_id WHERE m IS NULL`,
		"owners who are no members":        `SELECT count(*) FROM communities c LEFT JOIN members m ON m.community_id = c.id AND m.user_id = c.owner_id WHERE m IS NULL`,
		"translations into the original":   `SELECT count(*) FROM posts p JOIN post_translations t ON t.post_id = p.id AND t.locale = p.locale`,
		"posts from the future":            `SELECT count(*) FROM posts WHERE created_at > '2026-11-21 12:00:00+00'`,
		"posts older than their elders":    `SELECT count(*) FROM posts a JOIN posts b ON b.id = a.id + 1 WHERE b.created_at < a.created_at`,
	} {
		if n := w.count(sql); n != 0 {
			t.Errorf("%s: %d", what, n)
		}
	}
	for table, sent := range last {
		if n := w.count(`SELECT count(*) FROM ` + table); n != sent || n == 0 {
			t.Errorf("%s has %d rows, progress said %d", table, n, sent)
		}
	}
	for what, sql := range map[string]string{
		"locales":             `SELECT (count(DISTINCT locale) = 6)::int FROM posts`,
		"private communities": `SELECT (count(*) = 8)::int FROM communities WHERE visibility = 'private'`,
		"deleted posts":       `SELECT (count(*) BETWEEN 1 AND 200)::int FROM posts WHERE deleted_at IS NOT NULL`,
		"well-liked posts":    `SELECT (max(likes) > 20)::int FROM posts`,
	} {
		if w.count(sql) != 1 {
			t.Errorf("%s are not as they should be", what)
		}
	}

	// What is written next does not run into what was seeded.
	ada := w.user("Ada")
	w.post(ada, w.community(Public, ada), "Next")
}

func TestSeedIsTheSameEachTime(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	size := SeedSize{Users: 100, Communities: 20, Posts: 500}
	rows := func() (all [][]any) {
		for _, table := range (world{size, now}).tables() {
			for row := range table.rows {
				all = append(all, row)
			}
		}
		return all
	}
	if diff := cmp.Diff(rows(), rows()); diff != "" {
		t.Errorf("the second time (-first +second):\n%s", diff)
	}
}

// What the demonstration lines rely on holds in every size.
func TestSeedShowsBothSidesOfPrivacy(t *testing.T) {
	for users := int64(50); users < 3000; users += 7 {
		w := world{SeedSize: SeedSize{Users: users, Communities: 13}}
		for community, want := range map[int64]bool{12: true, 13: false} {
			if w.isMember(community, 42) != want {
				t.Errorf("with %d users, user 42 is a member of %d: %t", users, community, !want)
			}
		}
		if !w.isMember(12, 43) || w.isPrivate(12) || !w.isPrivate(13) || w.member(12, 0) == 42 {
			t.Errorf("with %d users, communities 12 and 13 are not as promised", users)
		}
	}
}

func TestMembersOfTheWorldAreDistinct(t *testing.T) {
	for _, users := range []int64{50, 51, 1000} {
		w := world{SeedSize: SeedSize{Users: users, Communities: 30}}
		for community := int64(1); community <= 30; community++ {
			seen := map[identity.UserID]bool{}
			for n := range w.memberCount(community) {
				seen[w.member(community, n)] = true
			}
			if int64(len(seen)) != w.memberCount(community) {
				t.Errorf("community %d of %d users has members twice", community, users)
			}
			for user := identity.UserID(1); user <= identity.UserID(users); user++ {
				if w.isMember(community, user) != seen[user] {
					t.Errorf("community %d of %d users: isMember(%d) is %t", community, users, user, !seen[user])
				}
			}
		}
	}
}

func TestSeedSaysWhichSizesItCannotMake(t *testing.T) {
	w := newTown(t)
	for _, size := range []SeedSize{{49, 13, 0}, {50, 12, 0}, {50, 13, -1}, {}} {
		if err := Seed(t.Context(), w.pool, size, time.Now(), nil); err == nil {
			t.Errorf("%+v was seeded", size)
		}
	}
}

func TestWipeLeavesAnEmptyDomain(t *testing.T) {
	w := newTown(t)
	isEmpty := func(want bool) {
		t.Helper()
		if got, err := Empty(t.Context(), w.pool); got != want || err != nil {
			t.Errorf("empty: %t, %v; want %t", got, err, want)
		}
	}
	isEmpty(true)
	w.post(w.user("Ada"), w.community(Public, w.user("Bob"), identity.NewCaller(1, "", "en", false)), "Bread")
	isEmpty(false)
	if err := Wipe(t.Context(), w.pool); err != nil {
		t.Fatal(err)
	}
	isEmpty(true)
	if err := Seed(t.Context(), w.pool, SeedSize{50, 13, 10}, time.Now(), nil); err != nil {
		t.Errorf("seeding after a wipe: %v", err)
	}
}

// isMember tells whether a user is a member of a community.
func (w world) isMember(community int64, user identity.UserID) bool {
	return mod(int64(user-w.member(community, 0)), w.Users) < w.memberCount(community)
}
