// Asks, changes and subscribes through urql as it is set up by default: node urql.mjs BASE_URL, the key in API_KEY.
import assert from "node:assert/strict";

import { Client, fetchExchange, gql, subscriptionExchange } from "@urql/core";
import { createClient } from "graphql-ws";
import { WebSocket } from "undici";

// What urql breaks off on unsubscribing rejects where nobody awaits it.
process.on("unhandledRejection", (error) => {
  if (error.name !== "AbortError") throw error;
});
const [, , baseUrl] = process.argv;
const authorization = `Bearer ${process.env.API_KEY}`;
const methods = [];
const options = {
  url: `${baseUrl}/graphql`,
  fetchOptions: { headers: { Authorization: authorization } },
  fetch: (input, init) => {
    methods.push(init.method);
    return fetch(input, init);
  },
};
const EVENTS = gql`
  subscription Sent($types: [EventType!]) {
    eventTail(types: $types) { id type data }
  }
`;
const SEND = gql`
  mutation Send($to: String!) {
    sendMessage(input: { to: $to, body: "Doors open." }) {
      __typename
      ... on Message { id status }
      ... on Error { code }
    }
  }
`;

const client = new Client({ ...options, exchanges: [fetchExchange], fetchSubscriptions: true });
const viewer = await client.query(gql`query Who { viewer { livemode } }`, {}).toPromise();
assert.deepEqual([viewer.error, viewer.data.viewer.livemode, methods], [undefined, false, ["GET"]]);
const refused = await client.query(gql`query Wrong { nonsense }`, {}).toPromise();
assert.match(refused.error.message, /nonsense/);

/** The first event of a subscription, once `client` has sent a message to a phone. */
async function firstEvent(client, to) {
  const events = client.subscription(EVENTS, { types: ["MESSAGE_QUEUED"] });
  const deadline = setTimeout(() => assert.fail("no event came"), 30_000);
  const found = await new Promise((resolve, reject) => {
    const seen = [];
    const subscription = events.subscribe((result) => {
      if (result.error) reject(result.error);
      seen.push(result.data.eventTail.data.to);
      if (seen.includes(to)) resolve(result.data.eventTail);
    });
    // The stream begins at what comes after it was opened, which nothing tells: send until it shows.
    const again = setInterval(send, 500);
    async function send() {
      const sent = (await client.mutation(SEND, { to }).toPromise()).data.sendMessage;
      assert.equal(sent.__typename, "Message");
    }
    const settle = (done) => (value) => {
      clearInterval(again);
      subscription.unsubscribe();
      done(value);
    };
    [resolve, reject] = [settle(resolve), settle(reject)];
    void send();
  });
  clearTimeout(deadline);
  assert.equal(found.type, "MESSAGE_QUEUED");
  return found;
}

// Server-sent events on /graphql, as urql asks for them.
await firstEvent(client, "+12125550171");

const sockets = createClient({
  url: `${baseUrl.replace("http", "ws")}/graphql`,
  connectionParams: { Authorization: authorization },
  webSocketImpl: WebSocket,
});
const overSockets = new Client({
  ...options,
  exchanges: [
    subscriptionExchange({
      forwardSubscription: (request) => ({
        subscribe: (sink) => ({ unsubscribe: sockets.subscribe({ ...request, query: request.query ?? "" }, sink) }),
      }),
    }),
    fetchExchange,
  ],
});
await firstEvent(overSockets, "+12125550172");
await sockets.dispose();
console.log("urql asked by GET, changed, and subscribed over SSE and WebSocket");
process.exit(0);
