// The graphql-ws client as a browser would use it: it comes back by itself and goes on after the last cursor it saw.
// Arguments: the folder with node_modules, the address, the token, the first cursor. Prints one JSON line a happening.
import { createRequire } from "node:module";

const [folder, url, token, after] = process.argv.slice(2);
const require = createRequire(`${folder}/`);
const { createClient } = require("graphql-ws");
const tell = (line) => console.log(JSON.stringify(line));

const client = createClient({
  url,
  webSocketImpl: require("ws"),
  connectionParams: async () => ({ Authorization: `Bearer ${token}` }),
  retryAttempts: Infinity, // a number is soon used up: a server that starts on a busy machine takes longer than 100 tries
  retryWait: () => new Promise((resolve) => setTimeout(resolve, 100)),
  shouldRetry: () => true,
  on: {
    connected: () => tell({ connected: true }),
    closed: (event) => tell({ closed: event.code ?? 0 }),
  },
});

const payload = {
  query: "subscription ($after: String) { leadEvents(after: $after) { cursor kind } }",
  variables: { after },
};
client.subscribe(payload, {
  next: ({ data }) => {
    payload.variables.after = data.leadEvents.cursor; // the client sends the same payload again when it comes back
    tell(data.leadEvents);
  },
  error: (error) => tell({ error: String(error?.reason ?? error?.[0]?.message ?? error), code: error?.code ?? 0 }),
  complete: () => tell({ complete: true }),
});
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
