// What the scenarios measure beyond k6's own metrics. All of it begins with feed_.

import { Rate, Trend } from 'k6/metrics';

export const cacheHit = new Rate('feed_cache_hit'); // of reads: X-Cache is HIT, so nothing was loaded
export const cacheComposed = new Rate('feed_cache_composed'); // of reads: a HIT whose page was composed anew, of fragments that were there
export const cacheStale = new Rate('feed_cache_stale'); // of reads: X-Cache is STALE
export const notModified = new Rate('feed_not_modified'); // of reads that name the page they have: answered 304
export const shed = new Rate('feed_shed'); // of requests: refused for now, with 503 and Retry-After
export const elsewhere = new Trend('feed_invalidation', true); // ms from a write's answer until another process showed it
export const loads = new Trend('feed_stampede_loads'); // loads of what pages have in common, by all processes, in one stampede
export const resident = new Trend('feed_resident_bytes'); // memory of the service's processes
export const goroutines = new Trend('feed_goroutines'); // in them

// tally counts how the cache has answered a read.
export function tally(response, name) {
  const outcome = response.headers['X-Cache'];
  if (outcome === undefined) return;
  cacheHit.add(outcome === 'HIT', { name });
  cacheComposed.add(/; detail=composed$/.test(response.headers['Cache-Status']), { name });
  cacheStale.add(outcome === 'STALE', { name });
}
