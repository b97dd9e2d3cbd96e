import { nobody } from '../lib/api.js';
import { answer, problem, that } from '../lib/expect.js';
import { ada, api, begin, ben, eve, member, page, personal, post } from './world.js';

// writing: what has been written is there at the next read, and what has been
// deleted is not.
export function writing() {
  const { id, first } = begin('public');
  const at = { params: { id } };
  const read = (as) => answer('read after a write', api('GET', page, { ...at, as }), 200, personal);

  problem('post without being a member', api('POST', page, { ...at, as: eve, body: { title: 'No', body: 'No' } }), 403);
  answer('join', api('PUT', member, { params: { id, user: 'me' }, as: ben }), 204);
  read(ada);
  read(ben);
  const second = answer('post as a member', api('POST', page, { ...at, as: ben, body: { title: 'Second', body: 'Hello.' } }), 201).id;
  for (const who of [ada, ben]) {
    that('post: everybody sees it at once', read(who).items.map((item) => item.id).join() === `${second},${first}`);
  }

  problem("edit another's post", api('PATCH', post, { params: { id: second }, as: eve, body: { title: 'Mine' } }), 403);
  const edited = answer('edit', api('PATCH', post, { params: { id: second }, as: ben, body: { title: 'Second, mended' } }), 200);
  that('edit: a new title, the same body, the next version',
    edited.title === 'Second, mended' && edited.body === 'Hello.' && edited.version === 2, edited);
  that('edit: seen at once', read(ada).items[0].title === 'Second, mended');

  const translation = { params: { id: second, locale: 'de' }, as: ben, body: { title: 'Zweiter', body: 'Hallo.' } };
  answer('translate', api('PUT', '/api/posts/{id}/translations/{locale}', translation), 200);
  const german = read({ ...ada, locale: 'de' });
  that('translate: German readers read German', german.locale === 'de' && german.items[0].title === 'Zweiter' && german.items[1].locale === 'en', german);
  that('translate: English readers read English', read(ada).items[0].title === 'Second, mended');

  answer('like', api('PUT', '/api/posts/{id}/like', { params: { id: second }, as: ada }), 204);
  const liked = read(ada).items[0];
  that('like: whoever likes sees it at once', liked.likedByMe === true && liked.likes >= 0, liked);
  that('like: nobody else likes it', !answer('read, of others', api('GET', page, { ...at, as: ben }), 200).items[0].likedByMe);
  answer('unlike', api('DELETE', '/api/posts/{id}/like', { params: { id: second }, as: ada }), 204);
  that('unlike: seen at once', read(ada).items[0].likedByMe === false);

  answer('read a post', api('GET', post, { params: { id: second }, as: ada }), 200,
    { 'X-Cache': 'MISS', Vary: 'Authorization, Accept-Language, Accept-Encoding' });
  problem("delete another's post", api('DELETE', post, { params: { id: second }, as: eve }), 403);
  answer('delete', api('DELETE', post, { params: { id: second }, as: ben }), 204);
  for (const who of [ada, ben]) {
    that('delete: nobody sees it', read(who).items.map((item) => item.id).join() === String(first));
    problem('a deleted post', api('GET', post, { params: { id: second }, as: who }), 404);
  }
  answer('leave', api('DELETE', member, { params: { id, user: 'me' }, as: ben }), 204);
}

// blocking: whoever is blocked is gone from the pages of the one who blocks, and
// of nobody else.
export function blocking() {
  const { id } = begin('public');
  const at = { params: { id } };
  const authors = (as) => answer('read', api('GET', page, { ...at, as }), 200).items.map((item) => item.author.id).join();
  answer('join', api('PUT', member, { params: { id, user: 'me' }, as: eve }), 204);
  answer('post', api('POST', page, { ...at, as: eve, body: { title: 'Shouting', body: 'LOUD' } }), 201);
  const both = `${eve.id},${ada.id}`;
  that('before the block', authors(ben) === both && authors(ada) === both);
  answer('block', api('PUT', '/api/blocks/{user}', { params: { user: eve.id }, as: ben }), 204);
  that('block: gone from the page of the one who blocks', authors(ben) === String(ada.id));
  that("block: still on everybody else's", authors(ada) === both && authors(nobody) === both);
  answer('unblock', api('DELETE', '/api/blocks/{user}', { params: { user: eve.id }, as: ben }), 204);
  that('unblock: back', authors(ben) === both);
  problem('block oneself', api('PUT', '/api/blocks/{user}', { params: { user: ben.id }, as: ben }), 400);
}
