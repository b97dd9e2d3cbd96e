// The main job, walked through once against a running service, with every status
// and header on the way checked:
//
//   make smoke                                  # against http://localhost:8080
//   make smoke BASE_URL=https://feed.example    # with the JWT_SECRET of that service
//
// It ends with an error when a single check fails. It needs the demo data of
// `api seed` (users 44 to 48), writes only into communities of its own, and can be
// run again and again against the same service.

import { fail } from 'k6';
import { Counter } from 'k6/metrics';

import { answer } from './lib/expect.js';
import { first, probe } from './lib/target.js';
import { catalogue } from './smoke/catalogue.js';
import { members } from './smoke/members.js';
import { mix, scene } from './smoke/mix.js';
import { reading } from './smoke/reading.js';
import { refusing } from './smoke/refusing.js';
import { ada, api, base } from './smoke/world.js';
import { blocking, writing } from './smoke/writing.js';

export { handleSummary } from './lib/summary.js';
export { mix };

const walked = new Counter('walked'); // an exception in a scenario does not fail a run by itself

export const options = {
  scenarios: {
    walk: { executor: 'shared-iterations', exec: 'walk', vus: 1, iterations: 1, maxDuration: '1m' },
    mix: { executor: 'shared-iterations', exec: 'mix', vus: 8, iterations: 400, maxDuration: '1m' },
  },
  thresholds: {
    checks: ['rate==1'],
    walked: ['count==1'],
    iterations: ['count==401'],
  },
};

// setup looks whether there is a service to test, and makes the community that
// mix reads.
export function setup() {
  probe(first);
  const made = api('POST', '/api/communities', { as: ada, body: { name: 'Smoke: read by everybody' } });
  if (made.status !== 201) fail(`user ${ada.id} cannot begin a community at ${base}: ${made.status} ${made.body}`);
  return scene(made.json().id);
}

export function walk() {
  reading();
  members();
  writing();
  blocking();
  refusing();
  catalogue();
  outside();
  walked.add(1);
}

// outside: what stands beside the API.
function outside() {
  answer('alive', api('GET', '/livez'), 200);
  answer('ready', api('GET', '/readyz'), 200);
  answer('the page', api('GET', '/'), 200, { 'Content-Type': /^text\/html/ });
  const metrics = api('GET', '/metrics');
  answer('metrics', metrics, 200, { 'Content-Type': /^text\/plain/ });
}
