// PostGraphile over the tables themselves: connects as the application's role, sets its settings for each request from a
// verified token, as the product does. Arguments come in the environment.
import { createServer } from "node:http";

import { importSPKI, jwtVerify } from "jose";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { makePgService } from "postgraphile/adaptors/pg";
import { postgraphile } from "postgraphile";
import { grafserv } from "postgraphile/grafserv/node";

const { PEER_DATABASE_URL, PEER_PUBLIC_KEY, PEER_ISSUER, PEER_AUDIENCE, PEER_POOL, PEER_PORT } = process.env;
const key = await importSPKI(PEER_PUBLIC_KEY, "EdDSA");
const verified = new Map();

async function claimsOf(header) {
  const token = header?.startsWith("Bearer ") ? header.slice(7) : "";
  let claims = verified.get(token);
  if (claims === undefined) {
    const rules = { algorithms: ["EdDSA"], issuer: PEER_ISSUER, audience: PEER_AUDIENCE };
    claims = (await jwtVerify(token, key, rules)).payload;
    verified.set(token, claims);
  }
  if (claims.exp * 1000 <= Date.now()) throw new Error("the token has expired");
  return claims;
}

const preset = {
  extends: [PostGraphileAmberPreset],
  // It would offer only relations and orders whose index begins with them; ours begin with the tenant.
  disablePlugins: ["PgIndexBehaviorsPlugin"],
  pgServices: [
    makePgService({
      connectionString: PEER_DATABASE_URL,
      schemas: ["public", "bench"],
      pubsub: false,
      poolConfig: { max: Number(PEER_POOL), options: "-c jit=off -c timezone=UTC" },
    }),
  ],
  grafserv: { graphqlPath: "/graphql", graphiql: false, websockets: false, watch: false },
  grafast: {
    explain: false,
    async context(request) {
      const claims = await claimsOf(request.node?.req.headers.authorization);
      const everywhere = claims.location_ids === "*";
      return {
        pgSettings: {
          "app.tenant_id": claims.tenant_id,
          "app.location_ids": everywhere ? "*" : claims.location_ids.join(","),
          "app.subject": claims.sub,
          "app.role": claims.role,
        },
      };
    },
  },
};

const server = createServer();
server.on("error", (error) => {
  console.error(error);
  process.exit(1);
});
await postgraphile(preset).createServ(grafserv).addTo(server);
server.listen(Number(PEER_PORT), "127.0.0.1");
