// Bearer tokens, signed here as the service signs them (internal/identity): so a
// scenario can be as many users as it likes.

import crypto from 'k6/crypto';
import encoding from 'k6/encoding';

// What `api dev` and docker-compose.yml sign with: cmd/api/token.go. It is no secret.
const development = 'communityfeed development secret: not for production';

const secret = __ENV.JWT_SECRET || development;

const encode = (text) => encoding.b64encode(text, 'rawurl');

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
