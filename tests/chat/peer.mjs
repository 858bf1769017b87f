// A visitor's page with the client graphql-ws: it comes back by itself and goes on after the last cursor it saw.
// Arguments: the folder with node_modules, the address, the token, the conversation, the document. Prints one JSON line a happening.
import { createRequire } from "node:module";

const [folder, url, token, sessionId, query] = process.argv.slice(2);
const require = createRequire(`${folder}/`);
const { createClient } = require("graphql-ws");
const tell = (line) => console.log(JSON.stringify(line));

const client = createClient({
  url,
  webSocketImpl: require("ws"),
  connectionParams: async () => ({ Authorization: `Bearer ${token}` }),
  retryAttempts: Infinity,
  retryWait: () => new Promise((resolve) => setTimeout(resolve, 100)),
  shouldRetry: () => true,
  on: { closed: () => tell({ closed: true }) },
});

const payload = { query, variables: { sessionId, after: "cmv_0" } };
client.subscribe(payload, {
  next: ({ data }) => {
    payload.variables.after = data.chatEvents.cursor ?? payload.variables.after; // sent again when the client comes back
    tell(data.chatEvents);
  },
  error: (error) => tell({ error: String(error?.reason ?? error?.[0]?.message ?? error) }),
  complete: () => tell({ complete: true }),
});
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
