import { nobody } from '../lib/api.js';
import { answer, problem, that } from '../lib/expect.js';
import { ada, api, begin, hit, miss, page, personal } from './world.js';

// reading: a miss, a hit, a 304; and a page that each language and each flag has
// its own of. That of another language is composed of what is there.
export function reading() {
  const { id, first } = begin('public');
  const at = { params: { id }, as: ada };

  const read = api('GET', page, at);
  const body = answer('first read', read, 200, miss);
  that('first read: viewer, community, locale, order and next',
    body.viewer === ada.id && body.community === id && body.locale === 'en' && body.order === 'newest' && body.next === null, body);
  that('first read: the post',
    body.items.length === 1 && body.items[0].id === first && body.items[0].title === 'First' && body.items[0].author.id === ada.id &&
    body.items[0].likes === 0 && body.items[0].likedByMe === false && body.items[0].version === 1 && /Z$/.test(body.items[0].createdAt), body.items);

  const again = api('GET', page, at);
  answer('second read', again, 200, { ...hit, Etag: read.headers.Etag });
  that('second read: the same bytes', again.body === read.body, again.body);

  const unchanged = api('GET', page, { ...at, headers: { 'If-None-Match': `"other", W/${read.headers.Etag}` } });
  answer('read with If-None-Match', unchanged, 304,
    { Etag: read.headers.Etag, Vary: personal.Vary, 'Cache-Control': personal['Cache-Control'] });
  that('read with If-None-Match: no body', !unchanged.body, unchanged.body);

  const head = api('HEAD', page, at);
  answer('HEAD', head, 200, { ...hit, Etag: read.headers.Etag });
  that('HEAD: no body', !head.body, head.body);

  const ranked = answer('read with the flag', api('GET', page, { ...at, as: { ...ada, v2: true } }), 200, miss);
  that('read with the flag: ranked', ranked.order === 'ranked' && ranked.viewer === ada.id, ranked);
  const german = answer('read in German', api('GET', page, { ...at, as: { ...ada, locale: 'de-CH, de;q=0.9, en;q=0.8' } }), 200,
    { ...hit, 'Cache-Status': /^communityfeed; hit; ttl=\d+; detail=composed$/ });
  that('read in German: the negotiated locale', german.locale === 'de', german.locale);
  const anonymous = answer('read without a token', api('GET', page, { ...at, as: nobody }), 200, personal);
  that('read without a token: no viewer', anonymous.viewer === null, anonymous.viewer);

  paging(id, at);
}

// paging: pages follow each other without a gap, and cursors are the service's own.
function paging(id, at) {
  for (let n = 2; n <= 12; n++) {
    answer('post more', api('POST', page, { ...at, body: { title: `No. ${n}`, body: 'Hello.' } }), 201);
  }
  const head = answer('first page', api('GET', page, { ...at, query: { limit: 10 } }), 200, personal);
  that('first page: is full and has a next', head.items.length === 10 && typeof head.next === 'string', head);
  const tail = answer('next page', api('GET', page, { ...at, query: { limit: 10, after: head.next } }), 200, personal);
  const titles = [...head.items, ...tail.items].map((item) => item.title);
  that('next page: goes on without a gap and ends', titles.join() === 'No. 12,No. 11,No. 10,No. 9,No. 8,No. 7,No. 6,No. 5,No. 4,No. 3,No. 2,First' && tail.next === null, titles);

  const forged = head.next.slice(0, -1) + (head.next.endsWith('A') ? 'B' : 'A');
  problem('a forged cursor', api('GET', page, { ...at, query: { after: forged } }), 400, ['after']);
  problem('a limit that is not offered', api('GET', page, { ...at, query: { limit: 11 } }), 400, ['limit']);

  let found = false;
  for (let after = ''; !found && after !== null;) {
    const list = answer('list of communities', api('GET', '/api/communities', { as: ada, query: { limit: 100, after } }), 200,
      { Vary: 'Authorization, Accept-Encoding', 'Cache-Control': /^private, max-age=\d+/, 'X-Cache': /^(MISS|HIT)$/ });
    found = list.items.some((community) => community.id === id);
    after = list.next;
  }
  that('list of communities: has the new one', found);
}
