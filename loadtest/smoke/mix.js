import { nobody, person } from '../lib/api.js';
import { answer, that } from '../lib/expect.js';
import { ada, api, page, personal } from './world.js';

// scene is what mix reads: two posts, one of them in two languages and liked by
// user 47.
export function scene(community) {
  const body = { title: 'Good morning', body: 'In two languages.', locale: 'en' };
  const liked = api('POST', page, { params: { id: community }, as: ada, body }).json().id;
  const translation = { title: 'Guten Morgen', body: 'In zwei Sprachen.' };
  api('PUT', '/api/posts/{id}/translations/{locale}', { params: { id: liked, locale: 'de' }, as: ada, body: translation });
  api('PUT', '/api/posts/{id}/like', { params: { id: liked }, as: person(47) });
  api('POST', page, { params: { id: community }, as: ada, body: { ...body, title: 'Good night' } });
  return { community, liked };
}

const readers = [nobody, person(47), person(48)];
const seen = {}; // the ETag that this virtual user has met, by reader, locale and flag

// mix reads one page as many people at a time. Each gets their own, whichever the
// service has just answered somebody else with.
export function mix({ community, liked }) {
  const reader = readers[Math.floor(Math.random() * readers.length)];
  const as = { ...reader, locale: ['en', 'de', 'ja'][Math.floor(Math.random() * 3)], v2: Math.random() < 0.5 };
  const who = `${as.id} ${as.locale} ${as.v2}`;
  const strange = Object.keys(seen).find((other) => other !== who);

  const response = api('GET', page, {
    params: { id: community }, as, headers: strange ? { 'If-None-Match': seen[strange] } : {},
  });
  const body = answer("mixed, with another's ETag", response, 200, { Vary: personal.Vary, 'X-Cache': /^(HIT|MISS)$/ });
  if (body === null) return;
  that('mixed: viewer, locale and order are those asked for',
    body.viewer === as.id && body.locale === as.locale && body.order === (as.v2 ? 'ranked' : 'newest'), { who, body });
  const item = body.items.find((one) => one.id === liked) || {};
  that('mixed: the text is in the language asked for, where there is one',
    item.locale === (as.locale === 'de' ? 'de' : 'en') && item.title === (as.locale === 'de' ? 'Guten Morgen' : 'Good morning'), { who, item });
  that('mixed: one reader has liked it, the others have not', item.likedByMe === (as.id === 47), { who, item });
  that('mixed: the same page has the same ETag', (seen[who] || response.headers.Etag) === response.headers.Etag, who);
  seen[who] = response.headers.Etag;
}
