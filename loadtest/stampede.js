// A page that many want at the same moment, and nobody has: it is withdrawn, and then
// asked for by BURST readers at once, in both processes. Half of them are nobody in
// particular and want the very same page; the others are one person each and want what
// it has in common with all the others. Each process composes its pages; what they have
// in common is loaded once, by one of the processes.
//
//   make loadtest SCENARIO=stampede [BURST=200] [DURATION=20s]
//
// It counts the loads of the whole service, so nothing else may read from it meanwhile.

import { that, whole } from './lib/expect.js';
import { loads } from './lib/metrics.js';
import { found, rewrite } from './lib/place.js';
import { loadsOf } from './lib/prometheus.js';
import { iteration } from './lib/random.js';
import { pageRoute, pageTemplate, judge, reader } from './lib/reading.js';
import { arrivals, duration, number, plan } from './lib/settings.js';
import { first, probeAll, processes } from './lib/target.js';

export { handleSummary } from './lib/summary.js';

const burst = number('BURST', 200);
const lasts = duration('20s');

export const options = {
  ...plan({ stampede: { ...arrivals({ perSecond: 1, lasts }), timeUnit: '2s', preAllocatedVUs: 1, maxVUs: 1 } }, { [pageRoute]: 1000 }, lasts / 2),
  batch: burst, batchPerHost: burst, // all at once
};

export function setup() {
  probeAll();
  return found('Load: stampede', 20);
}

const nobody = reader(null);
const crowd = Array.from({ length: burst }, (_, n) => (n % 2 === 0 ? nobody : reader(100 + n)));

// asked is the process that a reader asks: in pairs, so that each has of both kinds.
const asked = (n) => processes[Math.floor(n / 2) % processes.length];

export default whole(({ community, posts }) => {
  const title = `Burst ${iteration()}`;
  rewrite(first, posts[0], title);
  const before = count();
  const responses = first.burst(crowd.map((as, n) => asked(n).request('GET', pageTemplate, { params: { id: community }, as })));
  const after = count();

  responses.forEach((response, n) => {
    const page = judge(response, community, crowd[n], asked(n));
    if (page && asked(n) === first) that('the page is as it was last written', page.items.some((item) => item.title === title), page.items[0], pageRoute);
  });
  once('what all pages have in common', after - before);
});

// count adds up the loads of all processes.
function count() {
  return processes.reduce((total, { send }) => total + loadsOf(send('GET', '/metrics').body, 'feed.shared'), 0);
}

function once(what, times) {
  loads.add(times);
  that(`${what} is loaded once`, times === 1, times, pageRoute);
}
