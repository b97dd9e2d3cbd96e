// What a busy service sees: 95 % of the requests are reads of pages, by many people
// in three languages, with and without the flag, most of them in a few communities;
// the others are writes that withdraw those pages again.
//
//   make loadtest SCENARIO=feed_mixed [RATE=200] [DURATION=20s] [SEED=1]
//
// Every page is held against its reader, and every write is read back: lib/reading.js
// and lib/stories.js.

import { whole } from './lib/expect.js';
import { mixture, routes } from './lib/mixed.js';
import { arrivals, duration, plan, rate } from './lib/settings.js';
import { communities, probeAll } from './lib/target.js';

export { handleSummary } from './lib/summary.js';

const perSecond = rate(200);
const lasts = duration('20s');

export const options = plan({ feed_mixed: arrivals({ perSecond, lasts }) }, routes, perSecond * lasts);

export function setup() {
  probeAll();
  return { communities: communities(40) };
}

export default whole(mixture());
