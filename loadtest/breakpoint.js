// How much the service takes on this machine: the mix of feed_mixed at a rate that
// rises until reads are slow, or more is asked than k6 can send. The run ends there,
// with an error, which is what it is for.
//
//   make loadtest SCENARIO=breakpoint [RATE=100] [MAX_RATE=20000] [DURATION=10m] [P99_MS=250]

import { whole } from './lib/expect.js';
import { mixture, routes } from './lib/mixed.js';
import { pageRoute } from './lib/reading.js';
import { duration, number, plan, rate, unbounded } from './lib/settings.js';
import { handleSummary as summary } from './lib/summary.js';
import { communities, probeAll } from './lib/target.js';

const from = rate(100);
const to = number('MAX_RATE', 20000);
const lasts = duration('10m');

export const options = plan({
  breakpoint: {
    executor: 'ramping-arrival-rate', startRate: from, stages: [{ duration: `${lasts}s`, target: to }],
    preAllocatedVUs: 100, maxVUs: number('MAX_VUS', 1000),
  },
}, unbounded(routes), 0);

const breaks = (threshold) => [{ threshold, abortOnFail: true, delayAbortEval: '10s' }];
options.thresholds[`http_req_duration{name:${pageRoute}}`] = breaks(`p(99)<${number('P99_MS', 250)}`);
options.thresholds.feed_shed = breaks('rate<0.01');
options.thresholds.dropped_iterations = breaks('count<500');

export function setup() {
  probeAll();
  return { communities: communities(40) };
}

export default whole(mixture());

// handleSummary adds how far it got.
export function handleSummary(data) {
  const reached = from + (to - from) * Math.min(1, data.state.testRunDurationMs / 1000 / lasts);
  const written = summary(data);
  return { ...written, stdout: `${written.stdout}  reached ${Math.round(reached)} iterations a second\n` };
}
