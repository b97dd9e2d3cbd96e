// Package cache puts two tiers of copies in front of an origin and keeps them
// honest: an LRU in the process (L1) and Redis (L2).
//
// # The idea
//
// A copy is judged when it is read, not when it is thrown away. Every copy lies
// under tags. A write moves the tags of what it changed, which costs the same
// however many copies lie under them, and a copy whose tags have moved since it
// was taken is no longer fresh, wherever it lies and whenever it was stored.
//
// So a copy is in one of four states, and the [Policy] of its key says which of
// them may be served:
//
//	fresh    nothing happened to it
//	expired  its time has passed       served while one refresh runs (Stale), or when the load fails (OnError)
//	changed  a tag moved as Changed    served only when the load fails (OnError)
//	revoked  a tag moved as Revoked    never served
//
// # Words
//
// A key names a copy; [Spec] declares its parts. A [Tag] names what a write can
// change. A [Move] says which tags changed or were revoked. The origin is what is
// cached; calling it is a load. A fill is a snapshot of the tags, then a load,
// then a store. A flight is the one fill of a key in this process that others may
// join. A lease is the right to fill a key, held by one process of the fleet.
//
// A fragment is the value of a [Source]. It depends on its key alone and is kept in both
// tiers. A [Page] is composed of fragments, and kept in L1 for as long as they count. A
// response is a Source whose value is one handler's answer.
//
// # The invariant
//
// What is read from the origin is always younger than the snapshot it is stored
// under. A move changes the tags after its write has committed. Therefore a copy
// that was read before the write is stored under tags from before the move, and
// cannot pass for fresh once the move has landed. Nothing else is needed for the
// fence: no clock, no lock, no delete that might come too early or too late.
//
// A write that brings a copy along ([Source.WriteThrough]) stores it under the id that
// its own move has minted, and only if that id took the place of the one under which the
// copy lay. So every other write that the copy does not show has its move still to come.
//
// A move has two halves. In Redis every tag carries two minted ids, of its last
// change and of its last revocation; an entry carries the ids that were read
// before its load (redis.go, entry.go). In the process every move that is heard of
// gets the next number; copies, flights and fills carry the number taken before
// their tags were read (heard.go). The first half holds between processes, the
// second makes L1 exact without a search and makes lost, late, repeated or
// reordered messages harmless.
//
// # How to read it
//
// key.go, policy.go and tag.go declare what callers say. A read goes down through
// source.go (the hit), flight.go (one read of a key past L1), resolve.go (what L2 has,
// and what may be served of it), fill.go with lease.go and holding.go (one fill in the
// fleet); refresh.go is a fill that no read waits for, many.go many reads at a time. A page
// is page.go (the hit, and the flight), compose.go (its fragments) and lastlook.go (why it
// shows none that is too old). memory.go, and redis.go with reading.go and entry.go, are the
// tiers. heard.go and subscription.go are what the
// process knows of moves. trust.go, breaker.go, allowance.go and failures.go say when
// Redis or the origin is left alone. through.go is a write that brings a copy up to date.
// byhand.go and operator.go are for those who handle single copies; manifest.go and
// record.go keep account of what keys are made of.
//
// # Stated limits
//
// The package promises nothing about a copy already handed out, or about a move
// that was never attempted: a writer that dies between its commit and its move
// leaves old copies until somebody repeats the move. The events package keeps a row
// for that, and L2 is not read while one is known to be missing. Another process's
// L1 may serve what it holds for up to five seconds when the message that tells it
// is lost.
package cache
