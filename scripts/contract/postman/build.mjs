// Writes the Postman collection and its environments from openapi.yaml: node build.mjs OPENAPI_YAML FOLDER
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

import Converter from "openapi-to-postmanv2";
import { parse } from "yaml";

import { FLOW, FOLDERS, SPARES } from "./flow.mjs";
import {
  AFTER_ALL, BEFORE_ALL, makeSpare, objectTest, PAGE_TEST, save, saveAny, saveFirst, skipWithout, statusTest, VERIFY,
} from "./scripts.mjs";

const COLLECTION_ID = "4d415353-4956-4553-8d53-000000000001";
const ENVIRONMENT_IDS = { Sandbox: "4d415353-4956-4553-8d53-000000000002", Production: "4d415353-4956-4553-8d53-000000000003" };
const SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json";

const [openapiPath, folder] = process.argv.slice(2);
const text = readFileSync(openapiPath, "utf8");
const document = parse(text);
const vectors = JSON.parse(readFileSync(new URL("./vectors.json", import.meta.url), "utf8"));

const convert = promisify((data, options, done) => Converter.convertV2(data, options, done));
const converted = await convert(
  { type: "string", data: text },
  { folderStrategy: "Tags", requestParametersResolution: "Example", exampleParametersResolution: "Example" },
);
if (!converted.result) throw new Error(converted.reason);
const generated = converted.output.find(({ type }) => type === "collection").data;

function resolve(value) {
  return value?.$ref ? value.$ref.slice(2).split("/").reduce((at, key) => at[key], document) : value;
}

function find(method, path) {
  const template = `/${path.map((part) => (part.startsWith(":") ? `{${part.slice(1)}}` : part)).join("/")}`;
  const operation = document.paths[template]?.[method.toLowerCase()];
  if (!operation) throw new Error(`${method} ${template} is not in the document`);
  return { template, operation };
}

const order = Object.keys(FLOW);
const place = ({ request: { method, url } }) => order.indexOf(find(method, url.path).operation.operationId);

const script = (listen, exec) => ({ listen, script: { type: "text/javascript", exec } });

function finish(item) {
  const { method, url, description } = item.request;
  const { template, operation } = find(method, url.path);
  const flow = FLOW[operation.operationId];
  if (!flow) throw new Error(`flow.mjs does not know ${operation.operationId}`);
  const [status, response] = Object.entries(operation.responses).find(([code]) => code.startsWith("2"));
  const example = resolve(response).content["application/json"].example;
  const sent = operation.requestBody && {
    ...resolve(operation.requestBody).content["application/json"].example,
    ...flow.body,
  };

  const headers = [{ key: "Accept", value: "application/json" }];
  if (sent) headers.unshift({ key: "Content-Type", value: "application/json" });
  if (method !== "GET") headers.push({ key: "Idempotency-Key", value: "{{$guid}}" });
  const parameters = operation.parameters.map(resolve);
  const request = {
    method,
    description: typeof description === "string" ? description : description?.content,
    header: headers,
    url: {
      raw: `{{base_url}}${template.replace(/\{(\w+)\}/g, ":$1")}`,
      host: ["{{base_url}}"],
      path: url.path,
      query: parameters.filter((each) => each.in === "query").map(({ name, description: about }) => ({
        key: name,
        value: flow.query?.[name] ?? "",
        description: about,
        disabled: flow.query?.[name] === undefined,
      })),
      variable: parameters.filter((each) => each.in === "path").map(({ name, description: about }) => ({
        key: name,
        value: `{{${flow.path[name]}}}`,
        description: about,
      })),
    },
  };
  if (sent) {
    request.body = { mode: "raw", raw: JSON.stringify(sent, null, 2), options: { raw: { language: "json" } } };
  }

  const tests = [...statusTest(status)];
  // What has no cursor is in an order of its own, all at once.
  if (parameters.some((each) => each.name === "starting_after")) tests.push(...PAGE_TEST);
  else if (example.object) tests.push(...objectTest(example.object, example.livemode !== undefined));
  if (flow.save) tests.push(...save(flow.save));
  if (flow.saveFirst) tests.push(...saveFirst(flow.saveFirst));
  if (flow.saveAny) tests.push(...saveAny(flow.saveAny));
  const needed = flow.needs ? skipWithout(flow.needs) : [];
  const before = [...needed, ...(flow.before ?? []).flatMap((name) => makeSpare(SPARES[name]))];
  return {
    name: operation.summary,
    event: [...(before.length ? [script("prerequest", before)] : []), script("test", tests)],
    request,
    response: [{
      name: response.description ?? "Success",
      originalRequest: request,
      status: status === "201" ? "Created" : "OK",
      code: Number(status),
      _postman_previewlanguage: "json",
      header: [{ key: "Content-Type", value: "application/json" }],
      body: JSON.stringify(example, null, 2),
    }],
  };
}

const byName = new Map(generated.item.map((each) => [each.name, each]));
// Webhook events are not requests, so their tag has no folder.
byName.delete("Webhook events");
const unplaced = [...byName.keys()].filter((name) => !FOLDERS.includes(name));
if (unplaced.length) throw new Error(`flow.mjs has no place for ${unplaced.join(", ")}`);

const signatures = {
  name: "Webhook signatures",
  description: "A verifier to copy, run on test vectors, and on a delivery of yours put into the environment.",
  item: [{
    name: "Verify a signature",
    event: [script("test", VERIFY)],
    request: {
      method: "GET",
      description: "The request itself only asks whether the service answers; the script beside it verifies.",
      header: [{ key: "Accept", value: "application/json" }],
      auth: { type: "noauth" },
      url: { raw: "{{base_url}}/healthz", host: ["{{base_url}}"], path: ["healthz"] },
    },
    response: [],
  }],
};

const names = Object.values(FLOW).flatMap(({ save: saved, saveFirst: first, saveAny: any }) => [saved, first, any]).filter(Boolean);
const spares = Object.values(SPARES).map(({ variable }) => variable);
const variables = [...new Set(["phone", "phone_in_query", "spare_phone", "tomorrow", "an_hour_ago", "now", ...names, ...spares])];

const collection = {
  info: {
    _postman_id: COLLECTION_ID,
    name: document.info.title,
    description: `${document.info.description.trim()}\n\nChoose an environment and put your key into api_key. `
      + "Run from top to bottom, each request leaves its id for those after it.",
    version: document.info.version,
    schema: SCHEMA,
  },
  auth: { type: "bearer", bearer: [{ key: "token", value: "{{api_key}}", type: "string" }] },
  event: [script("prerequest", BEFORE_ALL), script("test", AFTER_ALL)],
  variable: [
    ...variables.map((key) => ({ key, value: "" })),
    { key: "signature_vectors", value: JSON.stringify(vectors) },
  ],
  item: [
    ...FOLDERS.map((name) => ({
      name,
      description: document.tags.find((tag) => tag.name === name)?.description,
      // As flow.mjs has them: what ends a thing comes after all that needs it.
      item: byName.get(name).item.toSorted((one, other) => place(one) - place(other)).map(finish),
    })),
    signatures,
  ],
};

const environment = (name, baseUrl) => ({
  id: ENVIRONMENT_IDS[name],
  name: `MassiveSMS ${name}`,
  values: [
    { key: "base_url", value: baseUrl, type: "default", enabled: true },
    { key: "api_key", value: "", type: "secret", enabled: true },
    { key: "webhook_url", value: "https://api.cohortlabs.co/webhooks/sms", type: "default", enabled: true },
    { key: "webhook_body", value: "", type: "default", enabled: true },
    { key: "webhook_signature", value: "", type: "default", enabled: true },
    { key: "webhook_secret", value: "", type: "secret", enabled: true },
    ...(name === "Production" ? [{ key: "live_writes", value: "false", type: "default", enabled: true }] : []),
  ],
  _postman_variable_scope: "environment",
});

mkdirSync(folder, { recursive: true });
const write = (name, value) => writeFileSync(join(folder, name), `${JSON.stringify(value, null, 2)}\n`);
const [{ url: server }] = document.servers;
write("massivesms.postman_collection.json", collection);
write("sandbox.postman_environment.json", environment("Sandbox", server));
write("production.postman_environment.json", environment("Production", server));
