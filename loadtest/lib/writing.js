// Writes, checked as they are answered.

import { answer } from './expect.js';
import { Refused, refused } from './shedding.js';

// write sends a write and returns what it is answered. An iteration whose write is
// refused, or has failed its check, ends there.
export function write(at, method, template, status, options) {
  const route = `${method} ${template}`;
  const response = at.send(method, template, options);
  if (refused(response)) throw new Refused(route);
  const body = answer(route, response, status, {}, route);
  if (response.status !== status) throw new Refused(route);
  return body;
}
