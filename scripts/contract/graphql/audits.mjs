// Holds the service to GraphQL over HTTP by the audits of graphql-http: node audits.mjs BASE_URL, the key in API_KEY.
import { serverAudits } from "graphql-http";

// What may differ, and why. An audit that is not named here must pass, and one that is named must not.
const EXCEPTIONS = {};

const url = `${process.argv[2]}/graphql`;
const headers = { Authorization: `Bearer ${process.env.API_KEY}` };
const fetchFn = (input, init) => fetch(input, { ...init, headers: { ...headers, ...init?.headers } });

const failed = [];
const audits = serverAudits({ url, fetchFn });
for (const audit of audits) {
  const result = await audit.fn();
  const passed = result.status === "ok";
  if (passed === audit.id in EXCEPTIONS) failed.push(`${audit.id} ${result.status}: ${audit.name}: ${result.reason ?? "passes"}`);
}
if (failed.length) throw new Error(failed.join("\n"));
console.log(`graphql-http: ${audits.length} audits, ${Object.keys(EXCEPTIONS).length} exceptions`);
