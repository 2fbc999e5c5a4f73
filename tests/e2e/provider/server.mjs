// An OpenID provider for the end-to-end tests: oidc-provider itself, with a door in front of it for what a test asks of it.
//
//   node server.mjs PORT DIRECTORY      the directory is where scripts/setup has put the package
//
// Tokens are JWT access tokens of the client `app` (client credentials); `resource` says under which algorithm and for whom.
// A token that is no JWT can be introspected, by `app-post` too, and revoked.
//   POST /test/rotate?keep=N   new keys sign from now on; of the ones before, the newest N generations stay in the set
//   POST /test/mood?is=M       how the key set and the discovery document are answered: see `answerAs`
//   GET  /test/asked           how often these two were asked for
import { createPrivateKey, generateKeyPairSync, randomUUID } from 'node:crypto';
import http from 'node:http';
import { pathToFileURL } from 'node:url';

const [, , port, directory] = process.argv;
const { default: Provider } = await import(pathToFileURL(`${directory}/node_modules/oidc-provider/lib/index.js`));
const issuer = `http://127.0.0.1:${port}`;
const generations = [];
let provider;
let mood = 'well';
let asked = 0;

// Node 20 waits for itself for ever, now and then, where a key that was generated is exported while the generator is collected:
// so the text comes from the generator, and the exported key from the text.
function newKey(type, options) {
  const text = { publicKeyEncoding: { type: 'spki', format: 'pem' }, privateKeyEncoding: { type: 'pkcs8', format: 'pem' } };
  return createPrivateKey(generateKeyPairSync(type, { ...options, ...text }).privateKey).export({ format: 'jwk' });
}

function newKeys() {
  const made = [
    ['RS256', newKey('rsa', { modulusLength: 2048 })],
    ['PS256', newKey('rsa', { modulusLength: 2048 })],
    ['ES256', newKey('ec', { namedCurve: 'P-256' })],
    ['EdDSA', newKey('ed25519')],
  ];
  return made.map(([alg, key]) => ({ ...key, alg, use: 'sig', kid: randomUUID() }));
}

// https://ALGORITHM.AUDIENCE.example, or https://opaque.example for a token that is no JWT.
function resource(indicator) {
  const [alg, audience] = new URL(indicator).hostname.split('.');
  const common = { scope: 'orders:read', accessTokenTTL: 300 };
  if (alg === 'opaque') return { ...common, audience: indicator, accessTokenFormat: 'opaque' };
  const named = { rs256: 'RS256', ps256: 'PS256', es256: 'ES256', eddsa: 'EdDSA' }[alg];
  return { ...common, audience, accessTokenFormat: 'jwt', jwt: { sign: { alg: named } } };
}

function rotate(keep) {
  generations.unshift(newKeys());
  generations.length = Math.min(generations.length, keep + 1);
  provider = new Provider(issuer, {
    jwks: { keys: generations.flat() },
    clients: [['app', 'client_secret_basic'], ['app-post', 'client_secret_post']].map(([id, method]) => ({
      client_id: id, client_secret: 'a secret of the tests', token_endpoint_auth_method: method,
      grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
    })),
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA'] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: { enabled: true, getResourceServerInfo: (_, indicator) => resource(indicator) },
    },
  }).callback();
}

function answerAs(how, request, response) {
  const answer = (status, type, body) => response.writeHead(status, { 'content-type': type }).end(body);
  switch (how) {
    case 'slow': return setTimeout(() => provider(request, response), 3000);
    case 'html': return answer(200, 'text/html', '<html>sign in</html>');
    case 'broken': return answer(200, 'application/json', '{"keys":[');
    case 'error': return answer(500, 'application/json', '{"keys":[]}');
    case 'empty': return answer(200, 'application/json', '{"keys":[]}');
    case 'huge': return answer(200, 'application/json', `{"keys":[${' '.repeat(10 << 20)}]}`);
    case 'reset': return request.socket.resetAndDestroy();
    default: return provider(request, response);
  }
}

rotate(0);
http.createServer((request, response) => {
  const url = new URL(request.url, issuer);
  switch (url.pathname) {
    case '/test/rotate': rotate(Number(url.searchParams.get('keep'))); return response.end();
    case '/test/mood': mood = url.searchParams.get('is'); return response.end();
    case '/test/asked': return response.end(String(asked));
    case '/jwks':
    case '/.well-known/openid-configuration': asked += 1; return answerAs(mood, request, response);
    default: return provider(request, response);
  }
}).listen(Number(port), '127.0.0.1');
