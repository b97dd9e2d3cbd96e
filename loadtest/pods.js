// What is written through one process shows on the pages of another, which has
// them in its own memory, within a second:
//
//   make run    # or: docker compose --profile pods up --build --wait
//   make pods   # BASE_URL, by default http://localhost:8080, and OTHER_URL, …:8081
//
// Five times over: both processes hold the page in L1, then one takes a post, an
// edit and a delete, and the other is asked until it shows it.

import { fail, sleep } from 'k6';
import { Counter, Trend } from 'k6/metrics';

import { client, person } from './lib/api.js';
import { answer, that } from './lib/expect.js';
import { first as api, probe } from './lib/target.js';

export { handleSummary } from './lib/summary.js';

const rounds = 5;
const limit = 1000; // ms

const other = client(__ENV.OTHER_URL || 'http://localhost:8081');

const delay = new Trend('delay', true);
const walked = new Counter('walked');

export const options = {
  scenarios: { pods: { executor: 'shared-iterations', vus: 1, iterations: rounds, maxDuration: '1m' } },
  thresholds: { checks: ['rate==1'], walked: [`count==${rounds}`], delay: [`max<${limit}`] },
};

const page = '/api/communities/{id}/posts';
const ada = person(44);

export function setup() {
  [api, other].forEach(probe);
  const made = api.send('POST', '/api/communities', { as: ada, body: { name: 'Pods' } });
  if (made.status !== 201) fail(`cannot begin a community: ${made.status} ${made.body}`);
  return made.json().id;
}

export default function (id) {
  const at = { params: { id }, as: ada };
  const read = ({ send }) => answer('read', send('GET', page, at), 200);
  for (const process of [api, other]) {
    read(process);
    const held = process.send('GET', page, at);
    that('both processes hold the page', held.headers['X-Cache'] === 'HIT', held.headers['X-Cache']);
  }

  // shows asks the other process until its page is as it should be.
  const shows = (claim, right) => {
    const began = Date.now();
    let shown = right(read(other).items);
    for (; !shown && Date.now() - began < 2 * limit; shown = right(read(other).items)) sleep(0.005);
    delay.add(Date.now() - began);
    that(`the other process shows ${claim} within ${limit} ms`, shown && Date.now() - began < limit, Date.now() - began);
  };

  const title = `Round ${__ITER}`;
  const created = answer('post', api.send('POST', page, { ...at, body: { title, body: 'Hello.' } }), 201);
  shows('a post', (items) => items.some((item) => item.id === created.id));
  answer('edit', api.send('PATCH', '/api/posts/{id}', { params: { id: created.id }, as: ada, body: { title: `${title}, edited` } }), 200);
  shows('an edit', (items) => items.some((item) => item.title === `${title}, edited`));
  answer('delete', api.send('DELETE', '/api/posts/{id}', { params: { id: created.id }, as: ada }), 204);
  shows('a delete', (items) => !items.some((item) => item.id === created.id));
  walked.add(1);
}
