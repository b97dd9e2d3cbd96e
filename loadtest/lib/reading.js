// Reading pages of the feed as many people do, each page held against what was asked
// for: whose it is, of which community, in which language and order. And against what
// this virtual user has withdrawn before.

import { nobody, person } from './api.js';
import { that } from './expect.js';
import { notModified, tally } from './metrics.js';
import { refused } from './shedding.js';
import { zipf } from './random.js';
import { other } from './target.js';
import { users, within } from './settings.js';

const crowd = JSON.parse(open('../data/readers.json'));

export const pageTemplate = '/api/communities/{id}/posts';
export const pageRoute = `GET ${pageTemplate}`;

// readers returns a function that draws a reader out of n users, a few of whom read
// more than all the others. The reader knows the locale and the order that they must
// get.
export function readers(n = users) {
  const rank = zipf(n, 1);
  return (d) => {
    const user = d.chance(crowd.anonymous) ? null : 1 + rank(d);
    const { header, locale } = d.weighted(crowd.languages);
    return reader(user, { header, locale, v2: d.chance(crowd.flagged) });
  };
}

// reader is a person, or nobody, and what they must get.
export function reader(user, { header, locale = 'en', v2 = false } = {}) {
  const as = user === null ? { ...nobody, locale: header || locale, v2 } : person(user, { locale: header || locale, v2 });
  return { ...as, wants: { viewer: user, locale, order: v2 ? 'ranked' : 'newest' } };
}

// read reads a community's first page at a process and checks it. It returns the
// response, and the page unless it was 304 or is wrong. With an etag, the reader has a
// page and asks only for another one; mine says that it is this page, and is counted.
export function read(process, community, as, etag, mine = false) {
  const headers = etag ? { 'If-None-Match': etag } : {};
  const response = process.send('GET', pageTemplate, { params: { id: community }, as, headers });
  if (mine) notModified.add(response.status === 304, { name: pageRoute });
  return { response, page: judge(response, community, as, process, etag) };
}

// judge checks an answer to a reader, and returns the page if it is one and is right.
export function judge(response, community, as, process, etag) {
  tally(response, pageRoute);
  if (refused(response)) return null;
  if (response.status === 304) {
    claim('304: only who has a page is told that it is the same', etag === response.headers.Etag, { etag, headers: response.headers });
    return null;
  }
  if (!claim('page: 200', response.status === 200, `${response.status} ${response.error} ${response.body}`)) return null;
  const page = response.json();
  return right(page, community, as, process) ? page : null;
}

const claim = (text, holds, seen) => that(text, holds, seen, pageRoute);

// right checks a page against its reader.
function right(page, community, as, process) {
  const { viewer, locale, order } = as.wants;
  const { items, ...head } = page;
  const asked = [
    claim("page: the viewer is the reader, not somebody else", page.viewer === viewer, { wants: as.wants, head }),
    claim('page: the locale is the one asked for', page.locale === locale, { wants: as.wants, head }),
    claim('page: the order is the one asked for', page.order === order, { wants: as.wants, head }),
    claim('page: the community is the one asked for', page.community === community, { community, head }),
    claim('page: newest first, if that is the order', order !== 'newest' || falling(items), items.map((item) => item.createdAt)),
  ];
  const back = items.filter(({ id }) => withdrawn(id, process));
  return claim('page: no post is on it after its deletion', back.length === 0, back) && asked.every((holds) => holds);
}

// falling compares only whole seconds and what is before them: the fraction has as
// many digits as it needs.
function falling(items) {
  return items.every((item, i) => i === 0 || item.createdAt.slice(0, 19) <= items[i - 1].createdAt.slice(0, 19));
}

// What this virtual user has deleted: where and when that was answered, by post. The
// oldest are forgotten, which a run of an hour would otherwise gather.
const gone = new Map();
const remembered = 500;

// withdraw notes that a process has answered a post's deletion.
export function withdraw(post, process) {
  gone.set(post, { process, at: Date.now() });
  if (gone.size > remembered) gone.delete(gone.keys().next().value);
}

// withdrawn tells whether a post must not be shown by a process any more: in the
// process that deleted it, from the answer on; in others, some time after it.
function withdrawn(post, process) {
  const it = gone.get(post);
  return it !== undefined && (process !== other(it.process) || Date.now() - it.at > within);
}
