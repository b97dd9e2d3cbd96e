// A service that has too much to do refuses some of it, with 503 and Retry-After. That
// is counted and is no wrong answer; how much of it a scenario allows is a threshold.

import { shed } from './metrics.js';

// refused tells whether a request was refused for now.
export function refused({ status, headers }) {
  const is = status === 503 && headers['Retry-After'] !== undefined;
  shed.add(is);
  return is;
}

// Refused ends an iteration that cannot go on.
export class Refused extends Error {}
