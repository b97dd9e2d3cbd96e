// The service under test: the process at BASE_URL, and the one at OTHER_URL, on the
// same data, if there is one.

import { fail } from 'k6';

import { client, nobody, person } from './api.js';

export const first = client(__ENV.BASE_URL || 'http://localhost:8080');
export const second = __ENV.OTHER_URL ? client(__ENV.OTHER_URL) : null;
export const processes = second ? [first, second] : [first];

// other is the process that p is not, or null.
export const other = (p) => (p === first ? second : first);

// probe stops the run with a clear message unless the service can be tested: it is
// there, is ready, takes this script's tokens and holds the demo data.
export function probe({ base, send }) {
  const ready = send('GET', '/readyz');
  if (ready.status === 0) fail(`no service answers at ${base}: start one with "make run" or "make up" (${ready.error})`);
  if (ready.status !== 200) fail(`the service at ${base} is not ready: ${ready.status} ${ready.body}`);
  const seen = send('GET', '/api/communities/{id}', { params: { id: 12 }, as: person(42) });
  if (seen.status === 401) fail(`the service at ${base} refuses this script's tokens: set JWT_SECRET to the service's own`);
  if (seen.status !== 200) fail(`user 42 does not see community 12 at ${base} (${seen.status} ${seen.body}): has "api seed" been run?`);
}

// probeAll is probe for each process. A second one that is named and is not there is
// an error: what it would show would go unchecked.
export function probeAll() {
  if (second && second.send('GET', '/readyz').status === 0) {
    fail(`no second process answers at ${second.base}: start it (COMPOSE_PROFILES=pods make up), give its OTHER_URL, or set OTHER_URL= to test one alone`);
  }
  processes.forEach(probe);
}

// communities lists the public communities by number, at most n: the popular ones of
// the demo data come first.
export function communities(n) {
  const list = first.send('GET', '/api/communities', { as: nobody, query: { limit: 100 } });
  if (list.status !== 200) fail(`the list of communities at ${first.base}: ${list.status} ${list.body}`);
  return list.json().items.map(({ id }) => id).sort((a, b) => a - b).slice(0, n);
}
