// Checks that say what they saw. A k6 check only counts; one that fails here also
// prints what came instead, so that a red run in CI can be read.

import { check } from 'k6';

import { Refused } from './shedding.js';

const most = 3; // times that a virtual user prints one claim's failure
const printed = {};

// that checks one claim and returns whether it holds. Seen is printed if not. Under
// load, route is the request's name: the check then counts for it.
export function that(claim, holds, seen, route) {
  check(null, { [claim]: () => holds }, route ? { name: route } : {});
  if (!holds) {
    printed[claim] = (printed[claim] || 0) + 1;
    if (printed[claim] <= most) console.error(`FAILED ${claim}; seen: ${brief(seen === undefined ? holds : JSON.stringify(seen))}`);
  }
  return holds;
}

// answer checks a response's status and header, and returns its JSON body, null
// if it has none. Headers are compared as given: a string for equality, a regular
// expression, or null for a header that must not be there.
export function answer(claim, response, status, headers = {}, route = undefined) {
  that(`${claim}: ${status}`, response.status === status, `${response.status} ${response.error} ${brief(response.body)}`, route);
  for (const [name, wanted] of Object.entries(headers)) {
    const value = response.headers[name];
    const holds = wanted instanceof RegExp ? wanted.test(value || '') : wanted === null ? value === undefined : value === wanted;
    that(`${claim}: ${name}${wanted === null ? ' is absent' : ''}`, holds, { wanted: String(wanted), value }, route);
  }
  return parse(response);
}

// problem checks that a response is an error in the form of RFC 9457, that names
// exactly these fields.
export function problem(claim, response, status, fields = [], route = undefined) {
  const headers = { 'Content-Type': /^application\/problem\+json/, 'Cache-Control': 'no-store', 'X-Cache': null };
  if (status === 401) headers['Www-Authenticate'] = /^Bearer /;
  const body = answer(claim, response, status, headers, route) || {};
  that(`${claim}: problem+json`, body.status === status && typeof body.title === 'string' && body.title !== '', body, route);
  const named = [...new Set((body.errors || []).map((e) => e.field))].sort();
  that(`${claim}: lists each bad field`, JSON.stringify(named) === JSON.stringify([...fields].sort()), named, route);
}

// whole makes a scenario's function of fn. An exception ends an iteration and fails
// no run by itself, so that nobody would miss the checks behind it: here it is a check
// that fails, unless the service has refused to go on.
export function whole(fn) {
  return (data) => {
    try {
      fn(data);
    } catch (e) {
      if (!(e instanceof Refused)) that('the script runs to its end', false, `${e} ${e.stack || ''}`);
    }
  };
}

function parse(response) {
  try {
    return response.body ? JSON.parse(response.body) : null;
  } catch (_) {
    return null;
  }
}

const brief = (text) => String(text || '').slice(0, 300);
