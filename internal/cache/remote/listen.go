package remote

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/communityfeed/internal/cache/fence"
)

// A Listener is told what the fleet is told.
type Listener interface {
	// Invalidated is called for each invalidated tag.
	Invalidated(fence.Tag)
	// FillEnded is called when a fill of a key ended.
	FillEnded(key string, how FillResult)
	// Lost is called when the subscription breaks.
	Lost()
	// Subscribed is called when the subscription works, also for the first time. What was
	// published before was not heard.
	Subscribed()
}

// Messages on the channel: the kind in the first byte, then the tag or key.
const invalidated = 'M'

func invalidationMessage(t fence.Tag) string        { return string(invalidated) + string(t) }
func fillMessage(how FillResult, key string) string { return string(how) + key }

// hear passes a message on. What has no kind and name is ignored.
func hear(l Listener, message string) {
	if len(message) < 2 {
		return
	}
	switch kind, name := message[0], message[1:]; kind {
	case invalidated:
		l.Invalidated(fence.Tag(name))
	default:
		l.FillEnded(name, FillResult(kind))
	}
}

// Listen keeps the process subscribed until ctx ends.
//
// It runs the receive loop itself. The library's channel shows only that a subscription
// came back, up to eight seconds after it went.
func (r *Redis) Listen(ctx context.Context, l Listener) {
	backoff := time.Duration(0)
	for ctx.Err() == nil {
		if r.listenOnce(ctx, l) {
			backoff = 0
		}
		if backoff > 0 { // the first time, it tries again at once
			select {
			case <-ctx.Done():
			case <-time.After(backoff):
			}
		}
		backoff = min(backoff+100*time.Millisecond, time.Second)
	}
}

// listenOnce subscribes once, and listens until the subscription breaks. It reports whether
// the server said anything.
func (r *Redis) listenOnce(ctx context.Context, l Listener) (heard bool) {
	const quiet = 3 * time.Second // without a message for so long, ask whether the server lives
	// If the connection breaks, the library makes another one first, for as long as its
	// context allows. This one has ended, so the loss is known at once.
	receive, end := context.WithCancel(ctx)
	end()
	subscribed, pinged := false, false
	sub := r.client.Subscribe(ctx) // to nothing yet
	connect, cancel := context.WithTimeout(ctx, time.Second)
	err := sub.Subscribe(connect, r.channel())
	cancel()
	// A receive heeds deadlines only. Not before now: while it connects, the library holds
	// the lock that closing needs.
	unblock := context.AfterFunc(ctx, func() { _ = sub.Close() })
	for err == nil && ctx.Err() == nil {
		var m any
		m, err = sub.ReceiveTimeout(receive, quiet)
		if err != nil && isTimeout(err) && !pinged {
			pinged = true
			err = sub.Ping(receive)
			continue
		}
		if err != nil {
			break
		}
		pinged, heard = false, true
		switch m := m.(type) {
		case *redis.Subscription:
			subscribed = true
			l.Subscribed()
		case *redis.Message:
			hear(l, m.Payload)
		}
	}
	unblock()
	_ = sub.Close() // it failed already, or the process is closing
	if subscribed {
		l.Lost()
	}
	return heard
}

func isTimeout(err error) bool {
	t, ok := err.(interface{ Timeout() bool })
	return ok && t.Timeout()
}
