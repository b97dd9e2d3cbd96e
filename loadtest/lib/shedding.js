// A service that has too much to do refuses some of it, with 503 and Retry-After. That
// is counted and is no wrong answer; how much of it a scenario allows is a threshold.

import { shed } from './metrics.js';

// refused tells whether a request was refused for now. One that k6 itself has given up,
// since a threshold ended the run, is not counted.
export function refused({ status, error, headers }) {
  if (status === 0 && error === 'context canceled') return true;
  const is = status === 503 && headers['Retry-After'] !== undefined;
  shed.add(is);
  return is;
}

// Refused ends an iteration that cannot go on.
export class Refused extends Error {}
