// A client of one service:
//
//   const { send } = client('http://localhost:8080');
//   send('GET', '/api/posts/{id}', { params: { id: 7 }, as: person(42) });
//
// The path is a template, and the template is the name under which k6 counts the
// request. With ids in it, every URL would be a series of its own.

import http from 'k6/http';

import { bearer } from './token.js';

// person is somebody who asks: their number, token, language and flag.
export function person(id, { locale, v2, role } = {}) {
  return { id, token: bearer(id, role), locale, v2 };
}

// nobody asks without a token.
export const nobody = { id: null };

export function client(url) {
  const base = url.replace(/\/+$/, '');

  // request makes what k6 sends. A body is sent as JSON, unless it is a string
  // already. A status from 400 on counts into http_req_failed unless it is expected.
  function request(method, template, { params = {}, query = {}, as = nobody, headers = {}, body = null, expect = [] } = {}) {
    const path = template.replace(/{(\w+)}/g, (_, name) => encodeURIComponent(params[name]));
    const search = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&');
    const own = {};
    if (as.token) own.Authorization = `Bearer ${as.token}`;
    if (as.locale) own['Accept-Language'] = as.locale;
    if (as.v2) own['X-FF-Feed-V2'] = '1';
    if (body !== null) own['Content-Type'] = 'application/json';
    return {
      method,
      url: base + path + (search ? `?${search}` : ''),
      body: body === null || typeof body === 'string' ? body : JSON.stringify(body),
      params: {
        headers: { ...own, ...headers },
        tags: { name: `${method} ${template}` },
        timeout: '10s',
        ...(expect.length > 0 ? { responseCallback: http.expectedStatuses({ min: 200, max: 399 }, ...expect) } : {}),
      },
    };
  }

  // send sends a request and returns k6's response.
  function send(method, template, options) {
    const { url, body, params } = request(method, template, options);
    return http.request(method, url, body, params);
  }

  // burst sends requests that request has made all at once, and returns the responses
  // in their order.
  function burst(requests) {
    return http.batch(requests);
  }

  return { base, request, send, burst };
}
