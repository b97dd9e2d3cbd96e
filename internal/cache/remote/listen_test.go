package remote

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/communityfeed/internal/cache/fence"
)

// told is a listener that notes what it is told.
type told []string

func (l *told) Invalidated(t fence.Tag)              { *l = append(*l, "M"+string(t)) }
func (l *told) FillEnded(key string, how FillResult) { *l = append(*l, string(how)+key) }
func (l *told) Lost()                                { *l = append(*l, "lost") }
func (l *told) Subscribed()                          { *l = append(*l, "subscribed") }

// FuzzHear: whatever is published on the channel, an invalidation is one, what else has a
// kind and a name is the end of a fill, and nothing else happens.
func FuzzHear(f *testing.F) {
	for _, message := range []string{"", "M", "L", invalidationMessage(fence.Everything), fillMessage(Stored, "feed.page/1|id=12"), "\x00k", "\xff\x00"} {
		f.Add(message)
	}
	f.Fuzz(func(t *testing.T, message string) {
		var got, want told
		if len(message) > 1 { // what names nothing says nothing
			kind := string(FillResult(message[0]))
			if message[0] == invalidated {
				kind = "M"
			}
			want = told{kind + message[1:]}
		}
		hear(&got, message)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
