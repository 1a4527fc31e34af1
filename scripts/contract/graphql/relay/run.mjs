// Reads, pages and changes through Relay's runtime, with artifacts of its compiler: node run.mjs BASE_URL, key in API_KEY.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

import relay from "relay-runtime";

const { commitMutation, createOperationDescriptor, Environment, fetchQuery, getSelector, Network, RecordSource, Store } = relay;
const [, , baseUrl] = process.argv;
const headers = { Authorization: `Bearer ${process.env.API_KEY}`, "Content-Type": "application/json" };

const require = createRequire(import.meta.url);
const artifact = (name) => require(`./__generated__/${name}.graphql`);

async function send(operation, variables) {
  const body = JSON.stringify({ query: operation.text, variables });
  const answer = await fetch(`${baseUrl}/graphql`, { method: "POST", headers, body });
  assert.equal(answer.status, 200, operation.name);
  return answer.json();
}

const store = new Store(new RecordSource());
const environment = new Environment({ network: Network.create(send), store });
const ask = async (query, variables) => fetchQuery(environment, query, variables).toPromise();
const change = async (mutation, variables) =>
  new Promise((resolve, reject) => {
    commitMutation(environment, { mutation, variables, onCompleted: resolve, onError: reject });
  });

const create = artifact("operationsCreateMutation");
const made = [];
for (const name of ["Cohort 07", "Cohort 08", "Cohort 09"]) {
  const { createList } = await change(create, { name });
  assert.equal(createList.__typename, "ContactList");
  made.push(createList.id);
}

const none = await ask(artifact("operationsNoneQuery"), {});
assert.deepEqual(none.contactLists.edges, []);
assert.equal(none.contactLists.pageInfo.hasNextPage, true);
assert.ok(none.contactLists.totalCount >= 3);

// A connection is paged through the store, and holds each list once.
const query = artifact("operationsListsQuery");
const fragment = artifact("operationsLists_query");
const seen = [];
let after = null;
do {
  const operation = createOperationDescriptor(query, { first: 2, after });
  const page = await ask(query, { first: 2, after });
  const connection = store.lookup(getSelector(fragment, page)).data.contactLists;
  assert.ok(operation.request.node);
  for (const { node } of connection.edges) if (!seen.includes(node.id)) seen.push(node.id);
  after = connection.pageInfo.hasNextPage ? connection.pageInfo.endCursor : null;
} while (after);
assert.deepEqual(seen.filter((id) => made.includes(id)), made.toReversed());

const node = await ask(artifact("operationsNodeQuery"), { id: made[0] });
assert.deepEqual(node.node, { __typename: "ContactList", id: made[0], name: "Cohort 07" });

// What was deleted leaves the store, and with it the answer, whose `id` Relay takes for that of the same record.
assert.ok(store.getSource().has(made[0]));
const removal = artifact("operationsDeleteMutation");
for (const id of made) {
  assert.deepEqual(await change(removal, { id }), { deleteList: null });
  assert.equal(store.getSource().get(id) ?? null, null);
}
const gone = await ask(artifact("operationsNodeQuery"), { id: made[0] });
assert.equal(gone.node, null);
console.log("Relay compiled, paged, changed and deleted");
