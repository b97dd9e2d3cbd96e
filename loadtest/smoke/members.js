import { nobody } from '../lib/api.js';
import { answer, problem, that } from '../lib/expect.js';
import { ada, api, begin, ben, eve, hit, member, miss, page, post } from './world.js';

// members: a private community exists for its members only, and from the moment
// that they are no longer members, for them neither.
export function members() {
  const { id, first } = begin('private');
  const at = { params: { id, user: ben.id } };

  for (const [who, whose] of [[nobody, 'nobody'], [ben, 'not yet a member']]) {
    problem(`private page, ${whose}`, api('GET', page, { ...at, as: who }), 404);
    problem(`private community, ${whose}`, api('GET', '/api/communities/{id}', { ...at, as: who }), 404);
    problem(`private post, ${whose}`, api('GET', post, { params: { id: first }, as: who }), 404);
  }
  problem('join a private community', api('PUT', member, { params: { id, user: 'me' }, as: ben }), 404);

  answer('add a member', api('PUT', member, { ...at, as: ada }), 204);
  const seen = answer('private page, member', api('GET', page, { ...at, as: ben }), 200, miss);
  that('private page, member: is theirs', seen.viewer === ben.id && seen.items[0].id === first, seen);
  answer('private page, member, again', api('GET', page, { ...at, as: ben }), 200, hit);
  // He has not read it, and all that it is made of is there.
  answer('private post, member', api('GET', post, { params: { id: first }, as: ben }), 200, { 'X-Cache': 'HIT' });
  problem('a member adds a member', api('PUT', member, { params: { id, user: eve.id }, as: ben }), 403);

  answer('remove a member', api('DELETE', member, { ...at, as: ada }), 204);
  problem('private page, removed', api('GET', page, { ...at, as: ben }), 404);
  problem('private post, removed', api('GET', post, { params: { id: first }, as: ben }), 404);
  problem('the owner leaves', api('DELETE', member, { params: { id, user: 'me' }, as: ada }), 409);
}
