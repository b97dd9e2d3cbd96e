// Bearer tokens, signed here as the service signs them (internal/identity): so a
// scenario can be as many users as it likes.

import crypto from 'k6/crypto';
import encoding from 'k6/encoding';

// What `api dev` and docker-compose.yml sign with: cmd/api/token.go. It is no secret.
const development = 'communityfeed development secret: not for production';

const secret = __ENV.JWT_SECRET || development;

const encode = (text) => encoding.b64encode(text, 'rawurl');

const renewal = 30 * 60 * 1000; // ms; half of what a token is good for
const signed = {}; // by user and role, of this virtual user

// bearer returns a token that is good for half an hour at the least, without signing
// one for each request: a run may be longer than a token lives.
export function bearer(user, role = '') {
  const kept = signed[user + role];
  if (kept && Date.now() - kept.at < renewal) return kept.token;
  const token = sign(user, { role: role || undefined });
  signed[user + role] = { token, at: Date.now() };
  return token;
}

// sign returns a token for a user (a number), good for an hour. Changes make it
// another token than the service would take.
export function sign(user, { role, ...changes } = {}) {
  const now = Math.floor(Date.now() / 1000);
  const header = encode(JSON.stringify({ alg: 'HS256', typ: 'JWT' }));
  const claims = encode(JSON.stringify({
    iss: 'communityfeed', aud: 'communityfeed', sub: String(user), iat: now, exp: now + 3600, role, ...changes,
  }));
  return `${header}.${claims}.${crypto.hmac('sha256', secret, `${header}.${claims}`, 'base64rawurl')}`;
}
