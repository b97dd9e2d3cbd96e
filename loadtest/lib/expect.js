// Checks that say what they saw. A k6 check only counts; one that fails here also
// prints what came instead, so that a red run in CI can be read.

import { check } from 'k6';

// that checks one claim and returns whether it holds. Seen is printed if not.
export function that(claim, holds, seen) {
  check(null, { [claim]: () => holds });
  if (!holds) console.error(`FAILED ${claim}; seen: ${seen === undefined ? holds : JSON.stringify(seen)}`);
  return holds;
}

// answer checks a response's status and header, and returns its JSON body, null
// if it has none. Headers are compared as given: a string for equality, a regular
// expression, or null for a header that must not be there.
export function answer(claim, response, status, headers = {}) {
  that(`${claim}: ${status}`, response.status === status, `${response.status} ${response.error} ${brief(response.body)}`);
  for (const [name, wanted] of Object.entries(headers)) {
    const value = response.headers[name];
    const holds = wanted instanceof RegExp ? wanted.test(value || '') : wanted === null ? value === undefined : value === wanted;
    that(`${claim}: ${name}${wanted === null ? ' is absent' : ''}`, holds, { wanted: String(wanted), value });
  }
  return parse(response);
}

// problem checks that a response is an error in the form of RFC 9457, that names
// exactly these fields.
export function problem(claim, response, status, fields = []) {
  const headers = { 'Content-Type': /^application\/problem\+json/, 'Cache-Control': 'no-store', 'X-Cache': null };
  if (status === 401) headers['Www-Authenticate'] = /^Bearer /;
  const body = answer(claim, response, status, headers) || {};
  that(`${claim}: problem+json`, body.status === status && typeof body.title === 'string' && body.title !== '', body);
  const named = [...new Set((body.errors || []).map((e) => e.field))].sort();
  that(`${claim}: lists each bad field`, JSON.stringify(named) === JSON.stringify([...fields].sort()), named);
}

function parse(response) {
  try {
    return response.body ? JSON.parse(response.body) : null;
  } catch (_) {
    return null;
  }
}

const brief = (body) => String(body || '').slice(0, 300);
