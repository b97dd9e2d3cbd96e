package telemetry

import (
	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cache/breaker"
)

// Cache adds a cache: how its reads ended by key and tier, its loads, the tags
// it invalidated and what it holds in the process.
func (m *Metrics) Cache(stats func() cache.Stats) {
	var (
		reads      = counter("cache_reads", "Reads of pages, responses and fragments by how they ended: hit_l1, hit_l2, composed (a page, of copies alone), stale, miss (something was loaded), bypass (with the cache off) or error.", "key", "kind", "outcome")
		joined     = counter("cache_joined", "Of the reads, those that waited for a fill under way. Each is counted as that ended, too.", "key", "kind")
		loads      = counter("cache_loads", "Loads from the origin.", "key")
		loadTime   = counter("cache_load_seconds", "Time spent in loads.", "key")
		through    = counter("cache_written_through", "Copies that a write brought up to date, so that no read had to load them.", "key")
		fenced     = counter("cache_fills_fenced", "Fills kept out of L1 because a tag was invalidated while they ran.", "key")
		refused    = counter("cache_fills_refused", "What L2 did not take: lease_lost, overtaken (L2 has moved on) or error.", "key", "reason")
		stale      = counter("cache_stale_served", "Stale copies that answered: expired while one is refreshing; expired or changed when the load failed.", "key", "reason")
		leaseWaits = counter("cache_lease_waits", "Waits for another process's fill by how they ended: stored, not_stored, failed, unknown (looked for itself) or given_up.", "key", "ending")
		l2Errors   = counter("cache_l2_errors", "Calls to L2 that failed or were too slow.", "key")

		invalidated = counter("cache_invalidated_tags", "Tags that this process invalidated: changed or revoked.", "how")
		undelivered = counter("cache_invalidation_errors", "Invalidations that did not reach L2.")
		fenceRaised = counter("cache_fence_raised", "Times that everything taken before stopped counting.")
		trustLost   = counter("cache_l2_trust_lost", "Reasons found to distrust L2: invalidation_failed, subscription_lost or event_late.", "reason")
		distrusted  = gauge("cache_l2_distrusted", "1 while L2 is not read, because something may be missing there.")
		breakers    = gauge("cache_breaker_open", "1 while calls are kept back, since those before have failed.", "of")
		opened      = counter("cache_breaker_opened", "Times that a breaker opened.", "of")
		failures    = counter("cache_breaker_failures", "Calls that failed and count for a breaker: timeout or error.", "of", "reason")

		entries   = gauge("cache_l1_entries", "Copies in the process.")
		bytes     = gauge("cache_l1_bytes", "Bytes of the copies in the process.")
		evictions = counter("cache_l1_evictions", "Copies that made room for others.")
	)
	m.registry.MustRegister(&collector{
		metrics: []metric{
			reads, joined, loads, loadTime, through, fenced, refused, stale, leaseWaits, l2Errors,
			invalidated, undelivered, fenceRaised, trustLost, distrusted, breakers, opened, failures, entries, bytes, evictions,
		},
		read: func(emit emit) {
			s := stats()
			for key, k := range s.Keys {
				emit(reads, float64(k.HitL1), key, k.Kind, "hit_l1")
				emit(reads, float64(k.HitL2), key, k.Kind, "hit_l2")
				emit(reads, float64(k.Composed), key, k.Kind, "composed")
				emit(reads, float64(k.Stale), key, k.Kind, "stale")
				emit(reads, float64(k.Miss), key, k.Kind, "miss")
				emit(reads, float64(k.Bypass), key, k.Kind, "bypass")
				emit(reads, float64(k.Errors), key, k.Kind, "error")
				emit(joined, float64(k.Joined), key, k.Kind)
				emit(loads, float64(k.Loads), key)
				emit(loadTime, k.LoadTime.Seconds(), key)
				emit(through, float64(k.WrittenThrough), key)
				emit(fenced, float64(k.Fenced), key)
				emit.each(refused, k.Refused, key)
				emit.each(stale, k.ServedStale, key)
				emit.each(leaseWaits, k.Waits, key)
				emit(l2Errors, float64(k.L2Errors), key)
			}
			emit(invalidated, float64(s.Changed), "changed")
			emit(invalidated, float64(s.Revoked), "revoked")
			emit(undelivered, float64(s.InvalidationErrors))
			emit(fenceRaised, float64(s.FenceRaised))
			emit.each(trustLost, s.TrustLost)
			emit(distrusted, flag(s.L2Distrusted))
			for of, b := range map[string]breaker.Stats{"l2": s.L2, "origin": s.Origin} {
				emit(breakers, flag(b.Open), of)
				emit(opened, float64(b.Opened), of)
				emit.each(failures, b.Failures, of)
			}
			emit(entries, float64(s.L1.Entries))
			emit(bytes, float64(s.L1.Bytes))
			emit(evictions, float64(s.L1.Evictions))
		},
	})
}

// flag is how a gauge says yes.
func flag(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
