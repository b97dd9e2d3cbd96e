// The people and places of the smoke test, and what a personal page's header says.

import { person } from '../lib/api.js';
import { answer, that } from '../lib/expect.js';
import { first } from '../lib/target.js';

export const base = first.base;
export const api = first.send;

export const ada = person(44, { locale: 'en' });
export const ben = person(45, { locale: 'en' });
export const eve = person(46, { locale: 'en' });
export const admin = person(44, { role: 'admin' });

export const page = '/api/communities/{id}/posts';
export const post = '/api/posts/{id}';
export const member = '/api/communities/{id}/members/{user}';

export const personal = {
  'X-Cache': /^(MISS|HIT)$/, // a page that was never read is a HIT where all that it is made of is there
  'Content-Type': /^application\/json/,
  'Cache-Control': 'private, max-age=15, stale-while-revalidate=60',
  Vary: 'Authorization, Accept-Language, X-FF-Feed-V2, Accept-Encoding',
  Etag: /^"[^"]+"$/,
};
export const miss = { ...personal, 'X-Cache': 'MISS' };
export const hit = { ...personal, 'X-Cache': 'HIT' };

// begin starts a community of ada's with one post in it.
export function begin(visibility) {
  const made = api('POST', '/api/communities', { as: ada, body: { name: `Smoke: ${visibility}`, visibility } });
  const community = answer('begin a community', made, 201, { Location: /^\/api\/communities\/\d+$/ });
  const id = community.id;
  that('begin a community: the owner is a member', community.member === true && community.visibility === visibility, community);
  const said = api('POST', page, { params: { id }, as: ada, body: { title: 'First', body: 'Hello.' } });
  const created = answer('post', said, 201, { Location: /^\/api\/posts\/\d+$/ });
  return { id, first: created.id };
}
