import { problem } from '../lib/expect.js';
import { sign } from '../lib/token.js';
import { ada, api, begin, page } from './world.js';

// refusing: a wrong request is refused, for its own reason, in one form.
export function refusing() {
  const { id } = begin('public');
  const at = { params: { id } };
  const write = (body, headers = {}) => api('POST', page, { ...at, as: ada, body, headers });

  const now = Math.floor(Date.now() / 1000);
  for (const [why, token] of Object.entries({
    'no token at all': 'nonsense',
    'another key': `${sign(ada.id).slice(0, -4)}AAAA`,
    expired: sign(ada.id, { exp: now - 60 }),
    'another issuer': sign(ada.id, { iss: 'somebody' }),
    'another audience': sign(ada.id, { aud: 'somebody' }),
    'without an end': sign(ada.id, { exp: undefined }),
    'without a user': sign(''),
  })) {
    problem(`bad token (${why})`, api('GET', page, { ...at, as: { token } }), 401);
  }
  problem('write without a token', api('POST', page, { ...at, body: { title: 'No', body: 'No' } }), 401);

  problem('a post with three bad fields', write({ title: '', body: 'x'.repeat(10001), locale: 'tlh' }), 400, ['title', 'body', 'locale']);
  problem('an unknown field', write({ title: 'Yes', body: 'Yes', colour: 'red' }), 400, ['colour']);
  problem('half a body', write('{"title": '), 400);
  problem('a body that is no JSON', write('title=Yes', { 'Content-Type': 'application/x-www-form-urlencoded' }), 415);
  problem('a body past 64 KiB', write(JSON.stringify({ title: 'Long', body: 'x'.repeat(64 * 1024) })), 413);
  problem('a number that is none', api('GET', page, { params: { id: '012' }, as: ada }), 400, ['id']);
  problem('a community that is not there', api('GET', page, { params: { id: 999999999999 }, as: ada }), 404);
  problem('a path that is not there', api('GET', '/api/nowhere'), 404);
  problem('a method that is not there', api('PUT', '/api/communities', { as: ada, body: {} }), 405);
}
