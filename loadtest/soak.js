// The mix of feed_mixed for a long time, to see what only time shows: memory that
// grows, connections and goroutines that are left, latency that creeps up.
//
//   make loadtest SCENARIO=soak [RATE=200] [DURATION=30m]

import exec from 'k6/execution';

import { answer, that, whole } from './lib/expect.js';
import { goroutines, resident } from './lib/metrics.js';
import { mixture, routes } from './lib/mixed.js';
import { gauge } from './lib/prometheus.js';
import { arrivals, bound, duration, plan, rate } from './lib/settings.js';
import { communities, probeAll, processes } from './lib/target.js';

export { handleSummary } from './lib/summary.js';

const perSecond = rate(200);
const lasts = duration('30m');
const every = Math.max(1, Math.min(10, Math.floor(lasts / 20))); // seconds between two looks at the processes

export const options = plan({
  soak: arrivals({ perSecond, lasts }),
  watch: { ...arrivals({ perSecond: 1, lasts }), timeUnit: `${every}s`, preAllocatedVUs: 1, maxVUs: 1, exec: 'watch' },
}, routes, perSecond * lasts);
for (const name of ['early', 'late']) options.thresholds[`http_req_duration{phase:${name}}`] = bound(0); // to be compared

export function setup() {
  probeAll();
  return { communities: communities(40) };
}

const mixed = mixture();

export default whole((data) => {
  const { progress } = exec.scenario;
  exec.vu.metrics.tags.phase = progress < 0.25 ? 'early' : progress < 0.75 ? 'middle' : 'late';
  mixed(data);
});

// watch looks at each process. After a fifth of the run its caches are as full as they
// get. What is alive shows in the size at which the heap is collected next; memory itself
// goes up and down with the collector.
const warm = {};

export const watch = whole(() => {
  for (const { base, send } of processes) {
    const response = send('GET', '/metrics');
    answer('metrics', response, 200);
    const bytes = gauge(response.body, 'process_resident_memory_bytes');
    const heap = gauge(response.body, 'go_memstats_next_gc_bytes');
    const running = gauge(response.body, 'go_goroutines');
    resident.add(bytes);
    goroutines.add(running);
    if (exec.scenario.progress < 0.2) continue;
    warm[base] = warm[base] || { heap, running };
    that('memory has stopped growing', heap < 2 * warm[base].heap + (64 << 20), { base, heap, bytes, warm: warm[base] });
    that('no goroutines are left behind', running < 2 * warm[base].running + 500, { base, running, warm: warm[base] });
  }
});
