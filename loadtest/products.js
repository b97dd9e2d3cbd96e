// The catalogue: pages that are the same for everybody, read with a token and without,
// and an administrator who adds, changes and takes away.
//
//   make loadtest SCENARIO=products [RATE=300] [DURATION=20s]

import { nobody, person } from './lib/api.js';
import { answer, problem, that, whole } from './lib/expect.js';
import { tally } from './lib/metrics.js';
import { iteration, roll, zipf } from './lib/random.js';
import { arrivals, duration, plan, rate, within } from './lib/settings.js';
import { refused } from './lib/shedding.js';
import { other, probeAll, processes } from './lib/target.js';
import { until } from './lib/witness.js';
import { write } from './lib/writing.js';

export { handleSummary } from './lib/summary.js';

const perSecond = rate(300);
const lasts = duration('20s');

const list = 'GET /api/products';
const one = 'GET /api/products/{id}';
const writes = ['POST /api/products', 'PUT /api/products/{id}', 'DELETE /api/products/{id}'];

export const options = plan({ products: arrivals({ perSecond, lasts }) },
  { [list]: 150, [one]: 150, ...Object.fromEntries(writes.map((name) => [name, 500])) }, perSecond * lasts);
options.thresholds.feed_cache_hit = ['rate>0.5'];

export const setup = probeAll;

const admin = person(44, { role: 'admin' });
const categories = ['books', 'games', 'garden', 'kitchen', 'music', 'office', 'sports', 'toys'];
const draw = zipf(200, 1);

export default whole(() => {
  const d = roll();
  const at = d.pick(processes);
  const as = d.chance(0.5) ? nobody : person(1 + d.below(1000));
  const drawn = d.next();
  if (drawn < 1 / 100) stock(at, d.pick(categories));
  else if (drawn < 1 / 2) browse(at, as, d.pick(categories), 1 + d.below(3));
  else look(at, as, 1 + draw(d));
});

// shared checks an answer that everybody gets, and returns its body.
const headers = { Vary: 'Accept-Encoding', 'Cache-Control': /^public, / };
function shared(response, name) {
  tally(response, name);
  return refused(response) ? null : answer(name, response, 200, headers, name);
}

const seen = {}; // the ETag of each version of each product: with a token or without, one page

function look(at, as, id) {
  const response = at.send('GET', '/api/products/{id}', { params: { id }, as });
  const product = shared(response, one);
  if (!product) return;
  that('product: is the one asked for', product.id === id && product.viewer === undefined, product, one);
  const version = `${id} ${product.version}`;
  that('product: one version has one ETag', (seen[version] || response.headers.Etag) === response.headers.Etag, product, one);
  seen[version] = response.headers.Etag;
}

function browse(at, as, category, page) {
  const body = shared(at.send('GET', '/api/products', { query: { category, page, perPage: 20 }, as }), list);
  if (!body) return;
  that('list: is the page asked for', body.page === page && body.perPage === 20 && body.viewer === undefined, body, list);
  that('list: holds one category', body.items.every((product) => product.category === category), body.items, list);
}

// stock begins a product, changes it and takes it away again, and looks each time.
function stock(at, category) {
  const product = { name: `Load test ${iteration()}`, category, price: { amount: 100, currency: 'EUR' }, stock: 1 };
  const { id } = write(at, 'POST', '/api/products', 201, { as: admin, body: product });
  const its = { params: { id }, expect: [404] };
  const read = (process) => process.send('GET', '/api/products/{id}', its);
  const everywhere = (what, right) => {
    that(`${what}: seen at once`, right(read(at)), id, one);
    const next = other(at);
    if (next) that(`${what}: seen in the other process within ${within} ms`, until(() => right(read(next))), id, one);
  };
  const onList = ending(at, category);
  const listed = () => onList().find((item) => item.id === id);

  everywhere('a new product', (response) => response.status === 200);
  listed(); // so that there is a list to withdraw
  write(at, 'PUT', '/api/products/{id}', 200, { as: admin, ...its, body: { ...product, stock: 2 } });
  everywhere('a changed product', (response) => response.status === 200 && response.json().stock === 2);
  const changed = listed();
  that('a changed product: is so on its list', !changed || changed.stock === 2, changed, list);
  write(at, 'DELETE', '/api/products/{id}', 204, { as: admin, ...its });
  everywhere('a deleted product', (response) => response.status === 404);
  problem('a deleted product', read(at), 404, [], one);
  that('a deleted product: has left its list', !listed(), id, list);
}

// ending returns a function that reads the last page of a category, where new products
// are. Others may have begun the next page meanwhile.
function ending(at, category) {
  const page = (number) => shared(at.send('GET', '/api/products', { query: { category, page: number, perPage: 100 } }), list);
  const { total } = page(1) || { total: 1 };
  return () => (page(Math.ceil(total / 100)) || { items: [] }).items;
}
