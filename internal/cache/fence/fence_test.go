package fence

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// A snapshot counts only while none of its tags was heard since, also when the
// table is far too small for the tags in use. It may stop counting early; it must
// never count wrongly.
func TestForgettingATagNeverMakesAnOldSnapshotCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type taken struct {
			Snapshot
			outdated bool
		}
		h := New(rapid.IntRange(1, 4).Draw(t, "limit"))
		tag := rapid.Map(rapid.IntRange(0, 9), func(i int) Tag { return Tag(fmt.Sprint(i)) })
		var snapshots []*taken
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				h.Missed()
				for _, s := range snapshots {
					s.outdated = true
				}
			case 1, 2, 3:
				invalidated := tag.Draw(t, "invalidated")
				h.Hear(invalidated)
				for _, s := range snapshots {
					for _, each := range s.Tags {
						s.outdated = s.outdated || each == invalidated
					}
				}
			default:
				s := &taken{Snapshot: h.Snapshot(rapid.SliceOfNDistinct(tag, 1, 3, rapid.ID).Draw(t, "tags"))}
				if !h.Counts(&s.Snapshot) && len(s.Tags) <= h.limit {
					t.Fatal("a snapshot does not count from the start")
				}
				snapshots = append(snapshots, s)
			}
			for i, s := range snapshots {
				if s.outdated && h.Counts(&s.Snapshot) {
					t.Fatalf("snapshot %d of %v counts after an invalidation", i, s.Tags)
				}
			}
		}
	})
}
