package cache

import "testing"

// FuzzHeed: whatever is published on the channel, a move is heard, who waits for a fill
// is told how it ended, and nothing else happens.
func FuzzHeed(f *testing.F) {
	for _, message := range []string{"", "M", "L", encodeMoved(Everything), encodeFill(landed, "feed.page/1|id=12"), "\x00k", "\xff\x00"} {
		f.Add(message)
	}
	f.Fuzz(func(t *testing.T, message string) {
		c := newCache(nil, Options{L1Entries: -1})
		defer c.Close()
		var kind byte
		var name string
		says := len(message) > 1 // what names nothing says nothing
		if says {
			kind, name = message[0], message[1:]
		}
		moved := says && kind == movedMessage
		named, other := c.heard.watch([]Tag{Tag(name)}), c.heard.watch([]Tag{Tag(name + "0")})
		told, leave := c.waiters.wait(name)
		defer leave()
		otherTold, leaveOther := c.waiters.wait(name + "0")
		defer leaveOther()

		c.heed(message)

		if counts := c.heard.counts(&named); counts == moved {
			t.Errorf("a copy under the tag counts: %v", counts)
		}
		if !c.heard.counts(&other) || len(otherTold) > 0 {
			t.Error("another tag or key is concerned")
		}
		switch {
		case len(told) == 0:
			if says && !moved {
				t.Error("who waits for the fill was not told")
			}
		case !says || moved || <-told != ending(kind):
			t.Error("who waits for a fill was told of something else")
		}
	})
}
