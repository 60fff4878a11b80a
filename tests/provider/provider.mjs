// A real OpenID provider (npm oidc-provider) over TLS for the suite 'provider', on a loopback port. It is told what to do
// by JSON lines on standard input and answers each with one JSON line. Besides the provider itself it can put caching
// headers on the key set, and answer in the provider's place with what a broken one would say.
//
// usage: node provider.mjs SETTINGS.json     {modules, certificate, key, ca, state, port, client_key}
// `state` keeps port and keys, so that one that was killed comes back as the same issuer.
import { createHash, generateKeyPairSync, randomUUID } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:https';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const { default: Provider } = await import(pathToFileURL(`${settings.modules}/oidc-provider/lib/index.js`));
const { createMemoryAdapter } = await import(pathToFileURL(`${settings.modules}/oidc-provider/lib/adapters/memory_adapter.js`));
// What every issuer of this process knows about its tokens: a change of keys makes a new one, which must know them too.
const adapter = createMemoryAdapter(0);

// What a token is for decides its form. null: opaque.
const apis = { 'urn:test:api:rs256': 'RS256', 'urn:test:api:es256': 'ES256', 'urn:test:api:eddsa': 'EdDSA', 'urn:test:api:opaque': null };
const kinds = {
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: () => generateKeyPairSync('ed25519'),
};

const newKeys = () => Object.entries(kinds).map(([alg, make]) => (
  { ...make().privateKey.export({ format: 'jwk' }), kid: `${alg}-${randomUUID()}`, alg, use: 'sig' }));

let state = existsSync(settings.state) ? JSON.parse(readFileSync(settings.state, 'utf8')) : { port: settings.port ?? 0, keys: newKeys() };
const keep = () => {
  writeFileSync(`${settings.state}.new`, JSON.stringify(state), { mode: 0o600 });
  renameSync(`${settings.state}.new`, settings.state);
};

// A secret of every character that must be escaped on its way.
const secret = 'colon:plus+percent%and&equals= space';
const reader = (id, more) => ({ client_id: id, client_secret: secret, grant_types: [], response_types: [], redirect_uris: [], ...more });

function makeProvider(issuer) {
  return new Provider(issuer, {
    adapter,
    jwks: { keys: state.keys },
    clients: [
      { client_id: 'svc', client_secret: secret, grant_types: ['client_credentials'], response_types: [], redirect_uris: [] },
      reader('rs-basic', { token_endpoint_auth_method: 'client_secret_basic' }),
      reader('rs-post', { token_endpoint_auth_method: 'client_secret_post' }),
      reader('rs-signed', { introspection_signed_response_alg: 'ES256' }),
      { client_id: 'rs-key', grant_types: [], response_types: [], redirect_uris: [], token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'ES256', jwks: { keys: [settings.client_key] } },
    ],
    scopes: ['openid', 'read', 'write'],
    cookies: { keys: ['only for a test'] },
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    enabledJWA: { introspectionSigningAlgValues: ['RS256', 'ES256', 'EdDSA'], idTokenSigningAlgValues: ['RS256', 'ES256', 'EdDSA'] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      dPoP: { enabled: true },
      introspection: { enabled: true, allowedPolicy: async () => true },
      jwtIntrospection: { enabled: true },
      revocation: { enabled: true, allowedPolicy: async () => true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo(context, resource) {
          if (!(resource in apis)) throw new Error('invalid_target');
          const alg = apis[resource];
          return { scope: 'read write', audience: resource, accessTokenTTL: 300, accessTokenFormat: alg ? 'jwt' : 'opaque',
            ...(alg ? { jwt: { sign: { alg } } } : {}) };
        },
      },
    },
    ttl: { ClientCredentials: 300 },
  });
}

// An issuer for each name that it is asked by, so that what stands before it on another port is an issuer of its own. They
// share keys and tokens.
const issuers = new Map();
const here = () => `127.0.0.1:${state.port}`;
function answerAs(host) {
  if (!issuers.has(host)) issuers.set(host, makeProvider(`https://${host}`).callback());
  return issuers.get(host);
}
const counts = {};
const lies = {};
let jwksHeaders = null;

const server = createServer({ cert: readFileSync(settings.certificate), key: readFileSync(settings.key), keepAliveTimeout: 65_000 },
  (incoming, outgoing) => {
    const path = incoming.url.split('?')[0];
    counts[path] = (counts[path] ?? 0) + 1;
    const lie = lies[path];
    if (lie) return setTimeout(() => tell(outgoing, lie), lie.after_ms ?? 0);
    if (path === '/jwks' && jwksHeaders) return keySet(incoming, outgoing);
    answerAs(incoming.headers.host ?? here())(incoming, outgoing);
  });

function tell(outgoing, lie) {
  if (lie.reset) return outgoing.socket.destroy();
  outgoing.writeHead(lie.status ?? 200, { 'content-type': lie.type ?? 'application/json', ...(lie.headers ?? {}) });
  outgoing.end(lie.fill ? lie.fill.repeat(lie.times) : lie.body ?? '');
}

function publicKeys() {
  const secretMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi'];
  return state.keys.map((key) => Object.fromEntries(Object.entries(key).filter(([name]) => !secretMembers.includes(name))));
}

// The provider sends its key set without a word on caching; others do not.
function keySet(incoming, outgoing) {
  const body = JSON.stringify({ keys: publicKeys() });
  const tag = `"${createHash('sha256').update(body).digest('base64url')}"`;
  const headers = { 'content-type': 'application/jwk-set+json', etag: tag, ...jwksHeaders };
  if (incoming.headers['if-none-match'] === tag) {
    counts.not_modified = (counts.not_modified ?? 0) + 1;
    outgoing.writeHead(304, headers);
    return outgoing.end();
  }
  outgoing.writeHead(200, headers);
  outgoing.end(body);
}

function post(path, fields, user, host = here()) {
  return new Promise((done, failed) => {
    const escaped = (text) => encodeURIComponent(text).replaceAll('%20', '+');
    const asked = request({ host: '127.0.0.1', port: state.port, path, method: 'POST', ca: readFileSync(settings.ca),
      headers: { host, 'content-type': 'application/x-www-form-urlencoded',
        authorization: `Basic ${Buffer.from(`${escaped(user)}:${escaped(secret)}`).toString('base64')}` } }, (response) => {
      let text = '';
      response.on('data', (part) => { text += part; });
      response.on('end', () => done({ status: response.statusCode, body: text }));
    });
    asked.on('error', failed);
    asked.end(new URLSearchParams(fields).toString());
  });
}

const commands = {
  async issue({ resource, count = 1, scope = 'read', host }) {
    const tokens = [];
    for (let i = 0; i < count; ++i) {
      const given = await post('/token', { grant_type: 'client_credentials', scope, resource }, 'svc', host);
      if (given.status !== 200) throw new Error(given.body);
      tokens.push(JSON.parse(given.body).access_token);
    }
    return { tokens };
  },
  async revoke({ token }) { return post('/token/revocation', { token }, 'svc'); },
  async introspect({ token }) { return post('/token/introspection', { token }, 'rs-basic'); },
  // New keys in front, which sign from now on; the old ones stay published unless dropped.
  rotate({ drop = false }) {
    state.keys = drop ? newKeys() : [...newKeys(), ...state.keys];
    keep();
    issuers.clear();
    return {};
  },
  // Withdraws all but the newest ones.
  drop() {
    state.keys = state.keys.slice(0, Object.keys(kinds).length);
    keep();
    issuers.clear();
    return {};
  },
  keys({ alg }) { return { keys: publicKeys().filter((key) => key.alg === alg) }; },
  jwks_headers({ headers }) { jwksHeaders = headers; return {}; },
  lie({ path, ...lie }) { lies[path] = lie; return {}; },
  honest() { for (const path of Object.keys(lies)) delete lies[path]; return {}; },
  counts() { return { counts }; },
};

server.listen(state.port, '127.0.0.1', () => {
  state.port = server.address().port;
  keep();
  answerAs(here());
  console.log(JSON.stringify({ ready: true, issuer: `https://${here()}`, secret }));
});

for await (const line of createInterface({ input: process.stdin })) {
  try {
    const { command, ...rest } = JSON.parse(line);
    console.log(JSON.stringify(await commands[command](rest)));
  } catch (error) {
    console.log(JSON.stringify({ failed: String(error.message ?? error) }));
  }
}
process.exit(0);
