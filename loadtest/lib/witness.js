// Looking for a write on the pages that it concerns: in the process that has answered
// it at once, in the other one within a bound.

import { sleep } from 'k6';

import { that } from './expect.js';
import { elsewhere } from './metrics.js';
import { pageRoute, read } from './reading.js';
import { other } from './target.js';
import { within } from './settings.js';

// until asks until the other process shows what it must, and returns whether it does
// within the bound.
export function until(shows) {
  const began = Date.now();
  while (!shows()) {
    if (Date.now() - began > within) return false;
    sleep(0.005);
  }
  elsewhere.add(Date.now() - began);
  return true;
}

// witness watches a community at the process that its writes go to.
export function witness(at, community) {
  const next = other(at);

  // holds makes both processes keep a reader's page, so that they have something to
  // withdraw.
  function holds(as) {
    read(at, community, as);
    if (next) read(next, community, as);
  }

  // sees checks a reader's page right after a write was answered. While loads fail, a
  // changed copy may stand in, and says so.
  function sees(what, as, right) {
    const { response, page } = read(at, community, as);
    if (page && response.headers['X-Cache'] !== 'STALE') that(`${what}: seen at once`, right(page), seen(page), pageRoute);
  }

  // everywhere is sees, and then waits for the other process to show the same.
  function everywhere(what, as, right) {
    sees(what, as, right);
    if (!next) return;
    let page;
    const shows = until(() => {
      ({ page } = read(next, community, as));
      return page !== null && right(page);
    });
    that(`${what}: seen in the other process within ${within} ms`, shows, page && seen(page), pageRoute);
  }

  return { holds, sees, everywhere };
}

const seen = ({ viewer, community, items }) => ({ viewer, community, items: items.slice(0, 3).map(({ id, title, likedByMe }) => ({ id, title, likedByMe })) });
