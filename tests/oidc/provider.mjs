// A real provider of OpenID Connect (npm's oidc-provider) with people, clients and groups for tests. Started by tests/oidc/provider.py.
//
// What it is told comes as JSON in OIDC_TEST: where oidc-provider is installed, the port, the private keys, people, clients and lifetimes. Who logs in is
// who `login_hint` says, or the first one; nobody is asked for a password, and everybody consents.
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';

const told = JSON.parse(process.env.OIDC_TEST);
const { Provider } = await import(pathToFileURL(`${told.installed}/node_modules/oidc-provider/lib/index.js`));
const issuer = `http://127.0.0.1:${told.port}`;

const about = (name) => ({ sub: told.people[name].sub, ...told.people[name].claims });
const named = (sub) => Object.keys(told.people).find((name) => told.people[name].sub === sub);

const provider = new Provider(issuer, {
  jwks: { keys: told.keys },
  clients: told.clients,
  cookies: { keys: ['for tests only'] },
  claims: { openid: ['sub'], profile: ['preferred_username', 'groups', 'tenant'] },
  conformIdTokenClaims: told.userinfoOnly,
  ttl: { AccessToken: 600, ClientCredentials: 600, IdToken: 600, AuthorizationCode: 60, DeviceCode: told.deviceSeconds, Grant: 600, Session: 600, Interaction: 600 },
  pkce: { required: () => true },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    userinfo: { enabled: true },
    rpInitiatedLogout: { enabled: told.endsSessions, logoutSource: (ctx, form) => { ctx.body = form; } },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => told.audience,
      useGrantedResource: () => !told.userinfoOnly,
      getResourceServerInfo: (ctx, resource) => ({
        scope: 'openid profile', audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: 600, jwt: { sign: { alg: told.algorithm } },
      }),
    },
  },
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (ctx, sub) => (named(sub) ? { accountId: sub, claims: () => about(named(sub)) } : undefined),
  extraTokenClaims: (ctx, token) => {
    if (token.kind === 'ClientCredentials') return told.clientClaims[token.clientId];
    const { sub, ...claims } = about(named(token.accountId));
    return claims;
  },
  loadExistingGrant: async (ctx) => {
    const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
    grant.addOIDCScope('openid profile');
    grant.addResourceScope(told.audience, 'openid profile');
    await grant.save();
    return grant;
  },
  renderError: (ctx, out) => { ctx.body = out; },
});

const answer = provider.callback();
createServer(async (request, response) => {
  if (request.url.startsWith('/interaction/')) {
    const { params } = await provider.interactionDetails(request, response);
    if (params.login_hint === 'nobody') {
      await provider.interactionFinished(request, response, { error: 'access_denied', error_description: 'not today' });
    } else {
      const name = params.login_hint ?? Object.keys(told.people)[0];
      await provider.interactionFinished(request, response, { login: { accountId: told.people[name].sub } });
    }
    return;
  }
  answer(request, response);
}).listen(told.port, '127.0.0.1', () => console.log('ready'));
