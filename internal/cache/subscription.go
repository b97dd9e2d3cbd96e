package cache

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// Messages on the channel: the kind in the first byte, then the tag or key.
const movedMessage = 'M'

func encodeMoved(t Tag) string               { return string(movedMessage) + string(t) }
func encodeFill(how ending, k string) string { return string(how) + k }

// listen keeps the process subscribed until ctx ends. It calls message for each
// message, lost when the subscription breaks, and missed when it stands (again) and
// whatever was published until then was not heard.
//
// It runs the receive loop itself. The library's channel shows only that a
// subscription came back, up to eight seconds after it went.
func (r *Redis) listen(ctx context.Context, message func(string), lost, missed func()) {
	const quiet = 3 * time.Second // without a message for so long, ask whether the server lives
	// Receiving on a connection that breaks, the library first makes another one, for
	// as long as its context allows. This one has ended, so the loss is known at once.
	receive, end := context.WithCancel(ctx)
	end()
	backoff := time.Duration(0)
	for ctx.Err() == nil {
		stood, pinged := false, false
		sub := r.client.Subscribe(ctx) // to nothing yet
		connect, cancel := context.WithTimeout(ctx, time.Second)
		err := sub.Subscribe(connect, r.channel())
		cancel()
		// A receive heeds deadlines only. Not before now: while it connects, the library
		// holds the lock that closing needs.
		unblock := context.AfterFunc(ctx, func() { _ = sub.Close() })
		for err == nil && ctx.Err() == nil {
			var m any
			m, err = sub.ReceiveTimeout(receive, quiet)
			if err != nil && isTimeout(err) && !pinged {
				pinged = true
				err = sub.Ping(receive)
				if err == nil {
					continue
				}
			}
			if err != nil {
				break
			}
			pinged, backoff = false, 0
			switch m := m.(type) {
			case *redis.Subscription:
				stood = true
				missed()
			case *redis.Message:
				message(m.Payload)
			}
		}
		unblock()
		_ = sub.Close() // it failed already, or the process is closing
		if stood {
			lost()
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

func isTimeout(err error) bool {
	t, ok := err.(interface{ Timeout() bool })
	return ok && t.Timeout()
}

// heed is what the process does with a message.
func (c *Cache) heed(message string) {
	if len(message) < 2 {
		return
	}
	switch kind, name := message[0], message[1:]; kind {
	case movedMessage:
		c.heard.hear(Tag(name))
	default:
		c.waiters.tell(name, ending(kind))
	}
}

// cutOff is what the process does when its subscription breaks. What broke it may
// have cost Redis its last writes as well, so L2 is distrusted until the moves of
// the last seconds have been repeated.
func (c *Cache) cutOff() {
	c.trust.lose(subscriptionLost)
	c.deafen()
}

// deafen is what the process does when it may have missed messages.
func (c *Cache) deafen() {
	c.heard.deafened()
	c.waiters.tellAll(unheard)
}
