// Asks and changes through Apollo Client, by GET and with persisted queries too: node apollo.mjs BASE_URL, key in API_KEY.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";

import { ApolloClient, gql, HttpLink, InMemoryCache } from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";

const [, , baseUrl] = process.argv;
const requests = [];
const link = (options = {}) =>
  new HttpLink({
    uri: `${baseUrl}/graphql`,
    headers: { Authorization: `Bearer ${process.env.API_KEY}` },
    fetch: async (input, init) => {
      const answer = await fetch(input, init);
      requests.push([init.method, answer.status]);
      return answer;
    },
    ...options,
  });
const clientOf = (link) => new ApolloClient({ link, cache: new InMemoryCache() });
const VIEWER = gql`query Who { viewer { livemode } }`;
const sha256 = (text) => createHash("sha256").update(text).digest("hex");

const client = clientOf(link());
assert.equal((await client.query({ query: VIEWER })).data.viewer.livemode, false);
const made = await client.mutate({
  mutation: gql`
    mutation Send {
      sendMessage(input: { to: "+12125550173", body: "Doors open." }) {
        __typename
        ... on Message { id status to }
        ... on Error { code message }
      }
    }
  `,
});
assert.equal(made.data.sendMessage.__typename, "Message");
const again = await client.query({
  query: gql`query One($id: ID!) { message(id: $id) { id to } }`,
  variables: { id: made.data.sendMessage.id },
});
assert.equal(again.data.message.to, "+12125550173");
assert.deepEqual(requests.splice(0), [["POST", 200], ["POST", 200], ["POST", 200]]);

// The reason stands in the error, not only a status.
await assert.rejects(client.query({ query: gql`query Wrong { nonsense }` }), /nonsense/);
requests.splice(0);

await clientOf(link({ useGETForQueries: true })).query({ query: VIEWER });
assert.deepEqual(requests.splice(0), [["GET", 200]]);

// The hash alone is refused as not supported, under the type that Apollo asks for with 400; the document follows, and is not hashed again.
for (const useGETForHashedQueries of [false, true]) {
  const persisted = clientOf(new PersistedQueryLink({ sha256, useGETForHashedQueries }).concat(link()));
  assert.equal((await persisted.query({ query: VIEWER })).data.viewer.livemode, false);
  await persisted.query({ query: VIEWER, fetchPolicy: "network-only" });
  assert.deepEqual(
    requests.splice(0).map(([, status]) => status),
    [400, 200, 200],
  );
}
console.log("Apollo Client asked, changed, and fell back from persisted queries");
