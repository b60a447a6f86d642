// An OpenID Connect provider that does one thing wrong when told to: a line on stdin names it, `ok` ends it.
import { createHmac } from "node:crypto";
import { createInterface } from "node:readline";
import { OAuth2Server } from "oauth2-mock-server";

const CLIENT = "quintet-test";
const PERSON = { sub: "johndoe", email: "john@example.test", email_verified: true, name: "John Doe" };
const segment = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const parts = (token) => token.split(".").map((part, n) => (n < 2 ? JSON.parse(Buffer.from(part, "base64url")) : part));

const CLAIMS = {
  wrong_nonce: (claims) => ({ ...claims, nonce: "another" }),
  no_nonce: ({ nonce, ...claims }) => claims,
  wrong_audience: (claims) => ({ ...claims, aud: "somebody-else" }),
  several_audiences: (claims) => ({ ...claims, aud: [CLIENT, "somebody-else"] }),
  several_audiences_ours: (claims) => ({ ...claims, aud: [CLIENT, "somebody-else"], azp: CLIENT }),
  wrong_party: (claims) => ({ ...claims, azp: "somebody-else" }),
  wrong_issuer: (claims) => ({ ...claims, iss: "https://accounts.google.com" }),
  expired: (claims) => ({ ...claims, exp: claims.iat - 3600 }),
  no_expiry: ({ exp, ...claims }) => claims,
  no_subject: ({ sub, ...claims }) => claims,
  unverified_email: (claims) => ({ ...claims, email_verified: false }),
  same_email: (claims) => ({ ...claims, sub: "another", name: "Not John" }),
};

const TOKENS = {
  alg_none: ([header, claims]) => `${segment({ ...header, alg: "none" })}.${segment(claims)}.`,
  tampered: ([header, claims, signature]) => `${segment(header)}.${segment({ ...claims, sub: "root" })}.${signature}`,
  hs256: ([header, claims]) => {
    const body = `${segment({ ...header, alg: "HS256" })}.${segment(claims)}`;
    const key = JSON.stringify(server.issuer.keys.toJSON()[0]);
    return `${body}.${createHmac("sha256", key).update(body).digest("base64url")}`;
  },
  unknown_key: ([header, claims, signature]) => `${segment({ ...header, kid: "x" })}.${segment(claims)}.${signature}`,
  no_token: () => undefined,
};

let fault = "ok";
const server = new OAuth2Server();
await server.issuer.keys.generate("RS256");
await server.start(0, "127.0.0.1");

server.service.on("beforeAuthorizeRedirect", ({ url }) => {
  if (fault === "access_denied") {
    url.searchParams.delete("code");
    url.searchParams.set("error", "access_denied");
  }
});
server.service.on("beforeTokenSigning", (token) => {
  if (!token.payload.aud) return; // the access token: nobody reads it
  Object.assign(token.payload, PERSON);
  const claims = CLAIMS[fault] ? CLAIMS[fault](token.payload) : { ...token.payload };
  for (const name of Object.keys(token.payload)) delete token.payload[name];
  Object.assign(token.payload, claims);
});
server.service.on("beforeResponse", (response) => {
  if (TOKENS[fault]) response.body.id_token = TOKENS[fault](parts(response.body.id_token));
  if (fault === "token_error") Object.assign(response, { statusCode: 400, body: { error: "invalid_grant" } });
  if (fault === "token_error_200") response.body = { error: "bad_verification_code" };
  if (fault === "server_error") Object.assign(response, { statusCode: 500, body: {} });
});

const say = (words) => process.stdout.write(`${JSON.stringify(words)}\n`);
say({ issuer: server.issuer.url });
for await (const line of createInterface({ input: process.stdin })) {
  fault = line.trim();
  if (fault === "new_key") {
    await server.issuer.keys.generate("RS256");
    server.issuer.keys.get(server.issuer.keys.toJSON()[0].kid); // the next signature is the new key's
  }
  say({ fault });
}
process.exit(0); // whoever started us is gone
