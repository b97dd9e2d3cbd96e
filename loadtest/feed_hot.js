// Four pages that everybody reads: many people, three languages, both orders, and no
// writes. Each person's page is their own, but what they have in common is loaded once.
//
//   make loadtest SCENARIO=feed_hot [RATE=300] [DURATION=20s]

import { whole } from './lib/expect.js';
import { roll } from './lib/random.js';
import { pageRoute, read, readers } from './lib/reading.js';
import { arrivals, duration, plan, rate, users } from './lib/settings.js';
import { communities, probeAll, processes } from './lib/target.js';

export { handleSummary } from './lib/summary.js';

const perSecond = rate(300);
const lasts = duration('20s');

export const options = plan({ feed_hot: arrivals({ perSecond, lasts }) }, { [pageRoute]: 150 }, perSecond * lasts);
options.thresholds.feed_cache_hit = ['rate>0.5'];

export function setup() {
  probeAll();
  return communities(4);
}

const draw = readers(Math.min(users, 200));

export default whole((hot) => {
  const d = roll();
  read(d.pick(processes), d.pick(hot), draw(d));
});
