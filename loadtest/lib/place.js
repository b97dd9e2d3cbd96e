// A community of a scenario's own, for what must not be disturbed by other scenarios,
// nor disturb them.

import { fail } from 'k6';

import { reader } from './reading.js';
import { first } from './target.js';
import { write } from './writing.js';

export const owner = reader(44);

// found begins a community with so many posts and returns its number and theirs. It stays
// when the run is over: the service has no way to end a community.
export function found(name, size) {
  const post = (method, template, options) => {
    const response = first.send(method, template, { as: owner, ...options });
    if (response.status !== 201) fail(`${method} ${template} at ${first.base}: ${response.status} ${response.body}`);
    return response.json().id;
  };
  const community = post('POST', '/api/communities', { body: { name } });
  const posts = [];
  for (let n = 1; n <= size; n++) {
    posts.push(post('POST', '/api/communities/{id}/posts', { params: { id: community }, body: { title: `No. ${n}`, body: 'Hello. '.repeat(40) } }));
  }
  return { community, posts };
}

// rewrite edits a post of the place at a process, which withdraws its pages everywhere.
export function rewrite(process, post, title) {
  write(process, 'PATCH', '/api/posts/{id}', 200, { params: { id: post }, as: owner, body: { title } });
}
