// Package cachetest proves the contract of package cache: a simulator that looks
// for an order of events in which an old copy passes, and a suite of promises that
// hold with either tier and with both.
//
// # The idea
//
// The simulator runs a fleet of processes, each a real cache over the production
// Redis tier and its scripts, inside a synctest bubble. Whatever crosses a border
// of a process (a command to Redis, its reply, a message, a query, the step between
// a commit and its move) stops at a gate. One gate opens at a time, and a seed
// picks which. Between two steps everybody waits and time stands still, so a seed
// is an order of events, and the same seed is the same order.
//
// A seed has a theme: a few faults that come often, so that they meet the few steps
// in which they would do harm. The themes are taken in turn (plan_test.go).
//
// Beside the fleet stands an oracle that has seen every commit, every move that
// landed and every message that arrived. It does not look into a cache: it judges
// each answer by when it was asked for, by what was known then, and by the limits
// that the contract states (oracle_test.go), and each entry as it is stored in Redis
// by what a load has returned and by what had landed by then (shelf_test.go).
//
// Processes compose pages of fragments as the service does. A page's value has those of
// the fragments that went into it, so every answer is judged alike. What may excuse a page
// that fails although no load has is looked for from outside (excuses_test.go).
//
// # The invariant
//
// Nothing is drawn outside the scheduler and nothing is ordered by who came first:
// gates are sorted by what they are before one is picked, goroutines that one event
// wakes together go on one by one, and it makes no difference which of several idle
// connections a call gets. A trace therefore names no token, no id and no
// connection.
//
// # How to use it
//
//	go test ./internal/cache/cachetest -run TestSimulation -seed 123 -v
//	go test ./internal/cache/cachetest -run TestSimulation -seeds 10000
//
// The first replays one seed with its trace, the second looks at many.
package cachetest
