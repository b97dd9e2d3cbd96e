// Five times the usual load from one moment to the next, and then the usual one again:
// some may be refused meanwhile, nobody is answered wrongly, and afterwards all is as
// it was before.
//
//   make loadtest SCENARIO=spike [RATE=100] [SPIKE=5] [DURATION=20s]

import exec from 'k6/execution';

import { whole } from './lib/expect.js';
import { mixture, routes } from './lib/mixed.js';
import { bound, duration, number, plan, rate, room, unbounded } from './lib/settings.js';
import { communities, probeAll } from './lib/target.js';

export { handleSummary } from './lib/summary.js';

const perSecond = rate(100);
const times = number('SPIKE', 5);
const lasts = duration('20s');

// The parts of the run, with steep slopes between them. What was sent during the spike
// may still be under way for a while after it: that is the recovery.
const part = (share) => `${Math.round(lasts * share * 1000)}ms`;
const stages = [
  { duration: part(0.3), target: perSecond },
  { duration: part(0.02), target: perSecond * times },
  { duration: part(0.28), target: perSecond * times },
  { duration: part(0.02), target: perSecond },
  { duration: part(0.38), target: perSecond },
];
const phase = (progress) => (progress < 0.3 ? 'before' : progress < 0.62 ? 'spike' : progress < 0.75 ? 'recovery' : 'after');

export const options = plan(
  { spike: { executor: 'ramping-arrival-rate', startRate: perSecond, stages, ...room } },
  unbounded(routes), // the phases have bounds instead
  perSecond * lasts * (1 + 0.3 * (times - 1)));
options.thresholds.feed_shed = ['rate<0.1'];
for (const [name, p99] of Object.entries({ before: 250, spike: 1000, recovery: 1000, after: 250 })) {
  options.thresholds[`http_req_duration{phase:${name}}`] = bound(p99);
}

export function setup() {
  probeAll();
  return { communities: communities(40) };
}

const mixed = mixture();

export default whole((data) => {
  exec.vu.metrics.tags.phase = phase(exec.scenario.progress);
  mixed(data);
});
