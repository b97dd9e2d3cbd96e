// Writes that invalidate what others read, each read back as soon as it is answered,
// by its author and by an onlooker. What a story begins it ends, so that nothing is
// left of a run.

import { answer, problem, that } from './expect.js';
import { reader, withdraw } from './reading.js';
import { users } from './settings.js';
import { witness } from './witness.js';
import { write } from './writing.js';

const posts = '/api/communities/{id}/posts';
const post = '/api/posts/{id}';
const like = '/api/posts/{id}/like';
const translation = '/api/posts/{id}/translations/{locale}';
const member = '/api/communities/{id}/members/me';
const community = '/api/communities/{id}';

// writes is the routes of every story.
export const writes = [`PUT ${member}`, `POST ${posts}`, `PATCH ${post}`, `PUT ${translation}`, `PUT ${like}`, `DELETE ${like}`, `DELETE ${post}`];

// tell lives through a story at a process: somebody joins, posts, edits, translates,
// is liked, deletes, and leaves unless they had been a member before. Stories that
// run at a time have different numbers, and so different people.
export function tell(at, id, number) {
  const author = reader(1 + number % users);
  const onlooker = reader(1 + (number + Math.floor(users / 2)) % users); // no neighbour: in the demo data, neighbours block each other
  const { holds, sees, everywhere } = witness(at, id);

  const stays = isMember(at, id, author);
  write(at, 'PUT', member, 204, { params: { id }, as: author });
  that('join: seen at once', isMember(at, id, author), id, `PUT ${member}`);

  const made = write(at, 'POST', posts, 201, { params: { id }, as: author, body: { title: `Story ${number}`, body: 'In English.', locale: 'en' } });
  const params = { id: made.id };
  const on = (right) => (page) => {
    const shown = page.items.find((item) => item.id === made.id);
    return shown ? right(shown) : isPast(made, page);
  };
  sees('post', author, on(() => true));
  sees('post', onlooker, on(() => true));

  const title = `Story ${number}, edited`;
  holds(onlooker);
  write(at, 'PATCH', post, 200, { params, as: author, body: { title } });
  sees('edit', author, on((shown) => shown.title === title));
  everywhere('edit', onlooker, on((shown) => shown.title === title));

  const german = reader(onlooker.id, { locale: 'de' });
  write(at, 'PUT', translation, 200, { params: { ...params, locale: 'de' }, as: author, body: { title: 'Geschichte', body: 'Auf Deutsch.' } });
  sees('translation', german, on((shown) => shown.locale === 'de' && shown.title === 'Geschichte'));
  sees('translation into another language', onlooker, on((shown) => shown.title === title));

  write(at, 'PUT', like, 204, { params, as: onlooker });
  everywhere('like', onlooker, on((shown) => shown.likedByMe));
  // The author's page of before is right still, and says nothing; one in French is made now.
  sees('like of somebody else', reader(author.id, { locale: 'fr' }), on((shown) => !shown.likedByMe));
  write(at, 'DELETE', like, 204, { params, as: onlooker });
  sees('unlike', onlooker, on((shown) => !shown.likedByMe));

  holds(onlooker);
  write(at, 'DELETE', post, 204, { params, as: author });
  withdraw(made.id, at); // each page that this virtual user reads from here on is held against it
  sees('deletion', author, (page) => !page.items.some((item) => item.id === made.id));
  everywhere('deletion', onlooker, (page) => !page.items.some((item) => item.id === made.id));
  problem('a deleted post', at.send('GET', post, { params, as: author, expect: [404] }), 404, [], `DELETE ${post}`);

  if (stays) return;
  write(at, 'DELETE', member, 204, { params: { id }, as: author });
  that('leave: seen at once', !isMember(at, id, author), id, `DELETE ${member}`);
}

function isMember(at, id, as) {
  const response = at.send('GET', community, { params: { id }, as });
  return (answer('community', response, 200, {}, `GET ${community}`) || {}).member === true;
}

// isPast tells whether a post has its place behind a full page: younger ones have
// pushed it off.
function isPast({ id, createdAt }, { next, items }) {
  const last = items[items.length - 1];
  return next !== null && last !== undefined && (last.createdAt > createdAt || (last.createdAt.slice(0, 19) === createdAt.slice(0, 19) && last.id > id));
}
