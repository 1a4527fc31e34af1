// Calls by the name of an operation, with arguments by their names on the wire.
import { readFileSync } from "node:fs";

const operations = JSON.parse(readFileSync(new URL("operations.json", import.meta.url), "utf8"));

export function call(client, operationId, args, options = {}) {
  const { resource, method, ids, params } = operations[operationId];
  const rest = { ...args };
  const given = ids.map((name) => {
    const value = rest[name];
    delete rest[name];
    return value;
  });
  return client[resource][method](...given, ...(params ? [rest] : []), options);
}
