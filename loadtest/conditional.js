// Readers who have a page already, and say so: If-None-Match is always sent. Nearly
// all of them are answered 304. Who has another page than the one they ask for is not,
// and neither is who has a page from before a write.
//
//   make loadtest SCENARIO=conditional [RATE=300] [DURATION=20s]

import { answer, that, whole } from './lib/expect.js';
import { found, owner, rewrite } from './lib/place.js';
import { iteration, roll } from './lib/random.js';
import { pageRoute, read, reader } from './lib/reading.js';
import { arrivals, duration, plan, rate } from './lib/settings.js';
import { communities, first, probeAll, processes } from './lib/target.js';

export { handleSummary } from './lib/summary.js';

const perSecond = rate(300);
const lasts = duration('20s');

const strangerShare = 1 / 5;
const writeShare = 1 / 200;

export const options = plan({ conditional: arrivals({ perSecond, lasts }) },
  { [pageRoute]: 150, 'PATCH /api/posts/{id}': 500 }, perSecond * lasts);
options.thresholds.feed_not_modified = ['rate>0.9'];

// Each page has a reader and a community of its own, so no two have the same bytes.
const people = Array.from({ length: 12 }, (_, n) => reader(50 + n, { locale: ['en', 'de', 'ja'][n % 3], v2: n % 2 === 1 }));
const pages = (places) => people.flatMap((as, n) => places.map((community) => ({ community, as, key: `${community} ${n}` })));

// setup reads each page once, so that every virtual user has it from the start.
export function setup() {
  probeAll();
  const places = communities(5);
  const etags = pages(places).map(({ community, as }) => read(first, community, as).response.headers.Etag);
  return { places, etags, own: found('Load: conditional', 3) };
}

let all; // the pages,
const held = {}; // the ETag that this virtual user has of each,
const named = {}; // and the page that each ETag has named

export default whole(({ places, etags, own }) => {
  if (!all) {
    all = pages(places);
    all.forEach((page, n) => keep(page, etags[n]));
  }
  const d = roll();
  const at = d.pick(processes);
  const page = d.pick(all);
  const drawn = d.next();
  if (drawn < writeShare) {
    changed(at, own);
  } else if (drawn < writeShare + strangerShare) {
    const strange = d.pick(all.filter(({ key }) => key !== page.key));
    const { response } = fetched(at, page, held[strange.key]);
    that("a reader with another page's ETag gets their own page", response.status !== 304, { page, strange }, pageRoute);
  } else {
    const { response } = fetched(at, page, held[page.key], true);
    if (response.status === 304) {
      answer('304', response, 304, { Vary: /Authorization, Accept-Language, X-FF-Feed-V2/, 'Cache-Control': /^private, / }, pageRoute);
      that('304: no body', !response.body, response.body, pageRoute);
    }
  }
});

// fetched reads a page, and keeps the ETag of what it brings.
function fetched(at, page, etag, own = false) {
  const got = read(at, page.community, page.as, etag, own);
  if (got.response.status === 200) keep(page, got.response.headers.Etag);
  return got;
}

// keep notes a page's ETag, which must not name another page.
function keep(page, etag) {
  that('an ETag names one page', (named[etag] || page.key) === page.key, { etag, page: page.key, named: named[etag] }, pageRoute);
  named[etag] = page.key;
  held[page.key] = etag;
}

// changed asks for a page as it was before a write that has been answered.
function changed(at, { community, posts }) {
  const before = read(at, community, owner).response.headers.Etag;
  rewrite(at, posts[0], `No. ${iteration()}`);
  const { response } = read(at, community, owner, before);
  that('a reader with the page from before a write gets the new one', response.status === 200, response.status, pageRoute);
}
