// Package cache puts two tiers of copies in front of an origin and keeps them honest: an
// LRU in the process (L1) and Redis (L2).
//
// # Terms
//
// A key names a copy. [Spec] declares its dimensions.
//
// The origin is what is cached, here Postgres. Calling it is a load.
//
// A fragment is a value that depends on its key alone. It is declared by [Fragment], read
// through [Fragments], and kept in both tiers. A response is one handler's whole answer; it is
// read through a [Source], which is like Fragments but for the key: one text for each dimension. A [Page] is composed of fragments,
// and kept in L1 only.
//
// A [Tag] names what a write can change. A fragment and a response have the tags of their key,
// a page those of its fragments. An [Invalidation] says which tags changed or were revoked.
//
// A snapshot is the state of a key's tags at one moment. It has a number; the process numbers
// snapshots and invalidations in the order in which they happen to it. A copy counts while
// this process has heard of no invalidation of its tags since its snapshot; otherwise it was
// overtaken. A copy that is read from L2 gets the snapshot of that lookup: it is judged by ids
// then, and counts from there on.
//
// A fill answers a key that L1 does not have: it takes a snapshot, then loads, then stores. A
// process has one fill of a key at a time that reads may join. A flight is the same for a
// page: one composition that reads may join. A lease is the right to fill a key, held by one
// fill of the fleet.
//
// # The idea
//
// A copy is judged when it is read, not when it is thrown away. A write invalidates the
// tags of what it changed. That costs the same however many copies have the tags. A copy
// whose tags were invalidated since its snapshot is no longer fresh, wherever it is stored
// and whenever it was stored.
//
// So a copy is in one of four states, and the [Policy] of its key says which of them may be
// served:
//
//	fresh    nothing happened to it
//	expired  its TTL has passed             served while one refresh runs (StaleWhileRevalidate), or when the load fails (StaleIfError)
//	changed  a tag was invalidated, changed served only when the load fails (StaleIfError)
//	revoked  a tag was invalidated, revoked never served
//
// # The invariant
//
// What is read from the origin is younger than the snapshot that it is stored under. An
// invalidation comes after its write has committed. So a copy that was read before the
// write has a snapshot from before the invalidation, and does not pass for fresh once the
// invalidation has reached Redis. Nothing else is needed: no clock, no lock, no deletion
// that might come too early or too late.
//
// A write that brings a copy along ([Source.WriteThrough]) stores it under the id that its
// own invalidation has minted, and only if that id took the place of the one that the copy
// had. So every other write that the copy does not show has its invalidation still to come.
//
// Package fence has both halves of a snapshot: ids in Redis, which judge copies between
// processes, and numbers in the process, which make L1 exact without a search.
//
// # A read, step by step
//
// A page that L1 does not have:
//
//  1. [Page.Fetch] looks into L1. A miss goes to page.read.
//  2. page.composeAtOnce runs the page's function on what L1 has. It gives up when a fragment
//     is missing.
//  3. page.join joins the page's flight, or begins one, which runs Composition.composeSoundly.
//  4. The page's function names its fragments (Fragments.Want). When it asks for one that is
//     missing (Wanted.Get), Composition.lookup joins or begins a fill for each that was named
//     and is missing, and Cache.lookupTogether looks them up in L2 in one round trip.
//  5. fill.fromL2 answers with what is fresh, or expired and being refreshed. Any other fill
//     runs by itself: fill.run, fill.resolve, fill.obtain.
//  6. fill.loadUnderLease asks for the lease and looks again, in one round trip (fill.claim).
//     With the lease, fill.loadAndStore loads, keeps the value in L1, and stores it in L2,
//     which tells the fleet. Without it, the fill waits to be told, and looks again.
//  7. If the load fails, fill.serveStale serves the old copy, if the policy allows it.
//  8. The page has its fragments. The last look (lastlook.go) judges them, and keeps the page.
//
// # Why an old copy does not come back
//
// Where a copy from before a write could be shown or kept, and what keeps it out:
//
//	a copy in L1                            each hit is judged: inProcess.valid, fence.StillCounts
//	a fill from before the write            source.join joins it only while its snapshot counts
//	what such a fill keeps in L1 later      its snapshot has the lower number: inProcess.valid, and local.Cache.Keep
//	what such a fill stores in L2 later     it has the ids from before: fence.Since
//	an entry in L2 that was read before     the number is taken before the lookup: Cache.lookup
//	a copy that is still being stored       fill.beingStored judges it
//	a stale copy after a failed load        fill.serveStale looks up again; usableIn refuses what is revoked
//	a page's flight from before the write   the last look judges its fragments once none can join: Composition.composeSoundly
//	a fragment that a page took earlier     the same, after the last wait
//	a page that is kept                     its number is taken before its fragments are judged
//	L2, when the invalidation failed        the writer's process does not read it until all of them were repeated: trust.go;
//	                                        others do so once they find the undelivered event: Cache.Distrust
//	L2, when Redis has lost its last writes the subscription was lost as well: listener.Lost
//	L2, when it has lost a tag              absent ids equal nothing: fence.IDs
//	another process's L1                    it hears of the write, or its copies end after five seconds
//	a write that stores what it has made    only under its own id, in the place of the id that it knew: writethrough.go
//
// # How to read it
//
// A caller declares with fragment.go, source.go, page.go, key.go and policy.go.
//
// A read of a page goes through page.go (the hit, and what follows), compose.go (what the
// page's function calls), pageflight.go, and lastlook.go (why the page shows no fragment that is
// too old).
//
// A read of a fragment goes through source.go (the hit in L1) and read.go (everything else).
// read.go uses lookup.go (what L2 has, and what may be served of it), lease.go and wait.go
// (one load in the fleet), load.go (the origin) and answer.go (what L1 keeps). refresh.go is a
// fill that no read waits for; early.go says when it begins before the end.
//
// A write goes through invalidate.go; writethrough.go also brings a copy up to date. trust.go
// and failures.go say when Redis or the origin is left alone. manual.go and inspect.go handle
// single copies. cache.go, options.go, lifecycle.go, declared.go, stats.go, tally.go and
// codec.go are the rest.
//
// Calls between the files go down; a test counts those that do not. Below are the rooms:
// fence (which copies still count), local (L1), remote (L2), breaker, and manifest (what keys
// are made of). None of them knows this package.
//
// # Stated limits
//
// The package promises nothing about a copy that was already handed out, or about an
// invalidation that was never attempted: a writer that dies between its commit and its
// invalidation leaves old copies until the invalidation is repeated. The events package
// keeps a row for that, and L2 is not read while one is known to be missing. If the message
// is lost that tells another process, that process may serve what it has in L1 for up to
// five seconds. All processes that write to one origin need the same L2: the writes of one
// without it reach no other.
package cache
