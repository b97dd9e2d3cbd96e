// Five times the usual load from one moment to the next, and then the usual one again:
// some may be refused meanwhile, nobody is answered wrongly, and afterwards all is as
// it was before.
//
//   make loadtest SCENARIO=spike [RATE=100] [SPIKE=5] [DURATION=20s]

import exec from 'k6/execution';

import { whole } from './lib/expect.js';
import { mixture, routes } from './lib/mixed.js';
import { duration, number, plan, rate, room, strict } from './lib/settings.js';
import { communities, probeAll } from './lib/target.js';

export { handleSummary } from './lib/summary.js';

const perSecond = rate(100);
const times = number('SPIKE', 5);
const lasts = duration('20s');

// The four parts of the run, of equal length but for the steep slopes between them.
const part = (share) => `${Math.round(lasts * share * 1000)}ms`;
const stages = [
  { duration: part(0.3), target: perSecond },
  { duration: part(0.02), target: perSecond * times },
  { duration: part(0.28), target: perSecond * times },
  { duration: part(0.02), target: perSecond },
  { duration: part(0.38), target: perSecond },
];
const phase = (progress) => (progress < 0.3 ? 'before' : progress < 0.62 ? 'spike' : progress < 0.75 ? 'recovery' : 'after');

export const options = plan({ spike: { executor: 'ramping-arrival-rate', startRate: perSecond, stages, ...room } }, routes, perSecond * lasts * (1 + 0.3 * (times - 1)));
options.thresholds.feed_shed = ['rate<0.1'];
for (const [name, p99] of [['before', 250], ['spike', 1000], ['after', 250]]) {
  options.thresholds[`http_req_duration{phase:${name}}`] = [strict ? `p(99)<${p99}` : 'p(99)>=0'];
}
for (const name of Object.keys(routes)) options.thresholds[`http_req_duration{name:${name}}`] = ['p(99)>=0']; // the phases have bounds instead

export function setup() {
  probeAll();
  return { communities: communities(40) };
}

const mixed = mixture();

export default whole((data) => {
  exec.vu.metrics.tags.phase = phase(exec.scenario.progress);
  mixed(data);
});
