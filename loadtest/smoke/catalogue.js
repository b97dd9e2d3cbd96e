import { answer, problem, that } from '../lib/expect.js';
import { admin, api, ben } from './world.js';

// catalogue: pages that are the same for everybody, kept for everybody.
export function catalogue() {
  const shared = { Vary: 'Accept-Encoding', 'Cache-Control': /^public, max-age=\d+, stale-while-revalidate=\d+, stale-if-error=\d+$/, Etag: /^"[^"]+"$/ };
  const list = (category, headers = {}) => answer('list of products',
    api('GET', '/api/products', { query: { category, page: 1, perPage: 50 } }), 200, { ...shared, ...headers });
  const product = (id) => api('GET', '/api/products/{id}', { params: { id } });
  const toy = { name: 'Humming top', category: 'toys', price: { amount: 1250, currency: 'EUR' }, stock: 3 };

  const toys = list('toys');
  that('list of products: page and perPage', toys.page === 1 && toys.perPage === 50 && toys.items.length === Math.min(50, toys.total), toys);
  list('toys', { 'X-Cache': 'HIT' });
  const books = list('books').total;

  problem('a product of a user who is no admin', api('POST', '/api/products', { as: ben, body: toy }), 403);
  problem('a product without a token', api('POST', '/api/products', { body: toy }), 401);
  problem('a product with four bad fields',
    api('POST', '/api/products', { as: admin, body: { name: ' ', category: 'ships', price: { amount: -1, currency: 'EUR' }, stock: -1 } }),
    400, ['name', 'category', 'price.amount', 'stock']);

  const created = answer('a new product', api('POST', '/api/products', { as: admin, body: toy }), 201, { Location: /^\/api\/products\/\d+$/ });
  that('a new product: is on its list', list('toys', { 'X-Cache': 'MISS' }).total === toys.total + 1);
  const first = product(created.id);
  const read = answer('read a product', first, 200, { ...shared, 'X-Cache': 'MISS' });
  that('read a product: as it was written', read.price.amount === 1250 && read.price.currency === 'EUR' && read.version === 1, read);
  const unchanged = api('GET', '/api/products/{id}', { params: { id: created.id }, headers: { 'If-None-Match': first.headers.Etag } });
  answer('read a product with If-None-Match', unchanged, 304, { Etag: first.headers.Etag, 'X-Cache': 'HIT' });

  const moved = { ...toy, category: 'books', stock: 2 };
  answer('change a product', api('PUT', '/api/products/{id}', { params: { id: created.id }, as: admin, body: moved }), 200);
  that('change a product: seen at once', answer('read it', product(created.id), 200, { 'X-Cache': 'MISS' }).stock === 2);
  that('change a product: it has left one list', list('toys').total === toys.total);
  that('change a product: for the other', list('books').total === books + 1);
  answer('delete a product', api('DELETE', '/api/products/{id}', { params: { id: created.id }, as: admin }), 204);
  problem('a deleted product', product(created.id), 404);
  that('delete a product: it has left its list', list('books').total === books);
  problem('a page that is not offered', api('GET', '/api/products', { query: { page: 0, perPage: 7 } }), 400, ['page', 'perPage']);
}
