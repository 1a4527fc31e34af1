// Asks, changes and is refused through graphql-request: node graphql_request.mjs BASE_URL, the key in API_KEY.
import assert from "node:assert/strict";

import { ClientError, gql, GraphQLClient } from "graphql-request";

const url = `${process.argv[2]}/graphql`;
const headers = { Authorization: `Bearer ${process.env.API_KEY}` };
const VIEWER = gql`query Who { viewer { livemode } }`;

const client = new GraphQLClient(url, { headers });
assert.deepEqual(await client.request(VIEWER), { viewer: { livemode: false } });
const byGet = new GraphQLClient(url, { headers, method: "GET", jsonSerializer: JSON });
assert.deepEqual(await byGet.request(VIEWER), { viewer: { livemode: false } });
const made = await client.request(
  gql`mutation Send($input: SendMessageInput!) { sendMessage(input: $input) { __typename ... on Message { to } } }`,
  { input: { to: "+12125550174", body: "Doors open." } },
);
assert.deepEqual(made.sendMessage, { __typename: "Message", to: "+12125550174" });

await assert.rejects(client.request(gql`query Wrong { nonsense }`), (error) => {
  assert.ok(error instanceof ClientError);
  assert.match(error.response.errors[0].message, /nonsense/);
  return true;
});
await assert.rejects(new GraphQLClient(url).request(VIEWER), (error) => {
  assert.deepEqual([error.response.status, error.response.errors[0].extensions.code], [401, "api_key_missing"]);
  return true;
});
console.log("graphql-request asked by POST and GET, changed, and was refused");
