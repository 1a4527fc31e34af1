// The cases that all five SDKs share.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { inspect } from "node:util";
import { createContext, runInContext } from "node:vm";
import * as massivesms from "../dist/esm/index.js";
import { signedRequest } from "../dist/esm/testing.js";
import { call } from "./call.mjs";

const { MassiveSMS, webhooks } = massivesms;
const read = (name) => JSON.parse(readFileSync(new URL(`../../vectors/${name}.json`, import.meta.url), "utf8"));
const key = read("encodings").key;

/** A wire that answers in turn, with a clock that moves on by what is slept. */
function wire(...answers) {
  const requests = [];
  const waits = [];
  let now = 1_000_000;
  const fetch = async (url, init) => {
    requests.push({ url, ...init, headers: { ...init.headers } });
    const answer = answers.shift();
    if (answer.fault === "connection") throw new TypeError("fetch failed");
    if (answer.fault === "timeout") throw Object.assign(new Error("slow"), { name: "TimeoutError" });
    return new Response(answer.body, { status: answer.status, headers: answer.headers });
  };
  const timing = { now: () => now, sleep: async (wait) => void (waits.push(wait / 1000), (now += wait)) };
  const client = (more = {}) => new MassiveSMS({ apiKey: key, baseUrl: "https://api.example.com", fetch, timing, ...more });
  return { requests, waits, client };
}
const answer = (body) => ({ status: 200, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
const caught = async (action) => {
  try {
    await action();
  } catch (error) {
    return error;
  }
  return undefined;
};

for (const each of read("signatures").cases) {
  test(`signature: ${each.name}`, async () => {
    const payload = Buffer.from(each.payload_base64, "base64");
    const { tolerance = 300, now } = each;
    const error = await caught(() => webhooks.verify(payload, each.header, each.secret, { tolerance, now }));
    assert.equal(error?.reason, each.reason);
    if (!each.valid) assert(error instanceof massivesms.SignatureVerificationError);
  });
}

for (const each of read("signatures").standard) {
  test(`standard webhooks: ${each.name}`, async () => {
    const payload = Buffer.from(each.payload_base64, "base64");
    const { tolerance = 300, now } = each;
    const isHeaders = Object.values(each.headers).every((value) => /^[ -~]*$/.test(value));
    for (const headers of [each.headers, ...(isHeaders ? [new Headers(each.headers)] : [])]) {
      const error = await caught(() => webhooks.verifyStandard(payload, headers, each.secret, { tolerance, now }));
      assert.equal(error?.reason, each.reason);
      if (!each.valid) assert(error instanceof massivesms.SignatureVerificationError);
    }
    if (each.valid) assert.equal((await webhooks.constructStandardEvent(payload, each.headers, each.secret, { tolerance, now })).type, "test.ping");
  });
}

for (const each of read("signatures").signing) {
  test(`signing: ${each.name}`, async () => {
    const payload = Buffer.from(each.payload_base64, "base64");
    assert.equal(await webhooks.generateTestHeader(payload, each.secret, { timestamp: each.timestamp }), each.header);
  });
}

for (const each of read("retries").cases) {
  test(`retries: ${each.name}`, async () => {
    const { requests, waits, client } = wire(...each.answers);
    const deadline = each.deadline === undefined ? {} : { deadline: each.deadline * 1000 };
    const options = each.key ? { idempotencyKey: each.key } : {};
    const its = client({ maxRetries: each.max_retries ?? 2, ...deadline });
    let result;
    const error = await caught(async () => {
      result = await call(its, each.operation_id, each.args, options);
    });
    assert.equal(requests.length, each.tries);
    assert.equal(waits.length, each.waits.length);
    waits.forEach((wait, index) => assert(wait >= each.waits[index][0] && wait <= each.waits[index][1], String(wait)));
    const keys = new Set(requests.map((request) => request.headers["Idempotency-Key"]));
    assert.equal(keys.size, 1);
    const [sent] = keys;
    assert.equal(sent !== undefined, each.same_key);
    if (each.key) assert.equal(sent, each.key);
    if (each.error) {
      assert.equal(error?.constructor, massivesms[each.error], inspect(error));
      assert.equal(error.idempotencyKey, sent ?? null);
      assert.equal(error.tries, each.tries);
      assert.equal(error.code ?? undefined, each.code);
    } else {
      assert.equal(error, undefined);
      assert.equal(result.lastResponse.tries, each.tries);
      assert.equal(result.lastResponse.idempotencyKey, sent ?? null);
    }
  });
}

for (const each of read("paging").cases) {
  test(`paging: ${each.name}`, async () => {
    const { requests, client } = wire(...each.pages.map((page) => answer(page.answer)));
    const ids = [];
    for await (const item of call(client(), each.operation_id, each.args)) {
      ids.push(item.id);
      if (ids.length === each.take) break;
    }
    assert.deepEqual(ids, each.ids);
    const queries = requests.map(({ url }) => Object.fromEntries(new URL(url).searchParams));
    assert.deepEqual(queries, each.pages.map((page) => page.query));
  });
}

for (const each of read("errors").cases) {
  test(`error: ${each.name}`, async () => {
    const { client } = wire(each);
    const error = await caught(() => call(client({ maxRetries: 0 }), each.operation_id, each.args));
    const { message, ...rest } = each.error;
    assert.equal(error.detail, message);
    assert.deepEqual(Object.fromEntries(Object.keys(rest).map((name) => [name, error[name]])), rest);
    for (const text of [String(error), inspect(error), JSON.stringify(error)]) assert(!text.includes(each.never_in_text));
    for (const shown of [rest.code, rest.request_id]) assert(shown === null || String(error).includes(shown));
  });
}

test("every type and status of errors has its class", () => {
  const { kinds, by_status } = read("errors");
  const named = (classes) => Object.fromEntries(Object.entries(classes).map(([at, kind]) => [at, kind.name]));
  assert.deepEqual(named(massivesms.ERROR_TYPES), kinds);
  assert.deepEqual(named(massivesms.ERROR_STATUSES), by_status);
});

for (const each of read("events").cases) {
  test(`event: ${each.name}`, async () => {
    const header = await webhooks.generateTestHeader(each.payload, "whsec_a");
    const received = await webhooks.constructEvent(each.payload, header, "whsec_a");
    const retrieved = await wire(answer(JSON.parse(each.payload))).client().events.retrieve("evt_1");
    for (const event of [received, retrieved]) {
      assert.deepEqual(JSON.parse(JSON.stringify(event)), JSON.parse(each.payload));
      assert.equal(massivesms.isKnown(event), each.known);
      for (const [name, value] of Object.entries(each.data_fields)) assert.equal(event.data[name], value);
    }
  });
}

for (const each of read("encodings").cases) {
  test(`encoding: ${each.name}`, async () => {
    const { requests, client } = wire(answer({ object: "list", data: [], has_more: false, url: "" }));
    const error = await caught(async () => call(client(), each.operation_id, each.args));
    if (each.error) {
      assert.equal(error?.constructor, massivesms[each.error]);
      assert.equal(requests.length, 0);
      return;
    }
    assert.equal(error, undefined);
    const [request] = requests;
    const [path, query = ""] = request.url.slice("https://api.example.com".length).split(/\?(.*)/s);
    const [expected, expectedQuery = ""] = each.target.split(/\?(.*)/s);
    assert.deepEqual([request.method, path], [each.method, expected]);
    assert.deepEqual(query.split("&").sort(), expectedQuery.split("&").sort());
    assert.deepEqual(request.body === undefined ? null : JSON.parse(request.body), each.body);
    assert.equal(request.headers["Content-Type"] === "application/json", each.body !== null);
    for (const [name, pattern] of Object.entries(read("encodings").headers)) {
      assert.match(request.headers[name], new RegExp(pattern.replace("{language}", "node")));
    }
  });
}

test("filters of lists", async () => {
  const { requests, client } = wire(answer({ object: "list", data: [], has_more: false, url: "" }));
  const since = new Date("2026-05-01T00:00:00Z");
  await client().messages.list({ statuses: ["sent", "failed"], "created_at[gte]": since, metadata: { "order no": "1&2" } });
  assert.deepEqual(requests[0].url.split("?")[1].split("&"), [
    "statuses=sent%2Cfailed",
    "created_at%5Bgte%5D=2026-05-01T00%3A00%3A00Z",
    "metadata%5Border%20no%5D=1%262",
  ]);
});

test("a short page goes on from its cursor", async () => {
  const whole = { object: "list", url: "/v1/messages" };
  const short = answer({ ...whole, data: [], has_more: true, next_cursor: "msg_5" });
  const { requests, client } = wire(short, answer({ ...whole, data: [{ id: "msg_1" }], has_more: false }));
  assert.deepEqual(await client().messages.list().toArray({ limit: 9 }), [{ id: "msg_1" }]);
  assert.equal(new URL(requests[1].url).searchParams.get("starting_after"), "msg_5");
});

// Date has no offset of its own.
for (const each of read("encodings").times.filter((time) => time.offset_minutes === 0)) {
  test(`time: ${each.wire}`, async () => {
    const { requests, client } = wire(answer({}));
    await client().messages.create({ to: "+14155550123", body: "Hi", scheduled_at: new Date(each.epoch * 1000) });
    assert.equal(JSON.parse(requests[0].body).scheduled_at, each.wire);
  });
}

for (const [index, each] of read("encodings").keys.entries()) {
  test(`key ${index}`, async () => {
    const error = await caught(async () => assert.equal(new MassiveSMS({ apiKey: each.key }).livemode, each.livemode));
    assert.equal(error?.constructor, each.valid ? undefined : massivesms.ConfigurationError);
    if (error && each.key) assert(!error.message.includes(each.key));
  });
}

for (const each of read("encodings").base_urls) {
  test(`base URL: ${each.base_url}`, async () => {
    const error = await caught(async () => {
      assert.equal(new MassiveSMS({ apiKey: key, baseUrl: each.base_url }).baseUrl, each.url);
    });
    assert.equal(error?.constructor, each.url ? undefined : massivesms.ConfigurationError);
  });
}

test("a parsed body is refused with advice", async () => {
  const error = await caught(() => webhooks.constructEvent({ id: "evt_1" }, "t=1,v1=a", "whsec_a"));
  assert(error instanceof TypeError);
  assert.match(error.message, /express\.raw/);
});

for (const each of read("signatures").no_events) {
  test(`no event: ${each.name}`, async () => {
    const payload = Buffer.from(each.payload_base64, "base64");
    const header = await webhooks.generateTestHeader(payload, "whsec_a");
    const error = await caught(() => webhooks.constructEvent(payload, header, "whsec_a"));
    assert(error instanceof massivesms.InvalidPayloadError, inspect(error));
  });
}

test("the helper signs a request", async () => {
  const { body, headers } = await signedRequest({ id: "evt_1", type: "test.ping", data: {} }, "whsec_a");
  assert.equal((await webhooks.constructEvent(body, headers["MSVS-Signature"], "whsec_a")).type, "test.ping");
});

test("no key in what is shown of a client", () => {
  const client = new MassiveSMS({ apiKey: key });
  for (const text of [inspect(client, { depth: 9, showHidden: true }), JSON.stringify(client), String(client)]) {
    assert(!text.includes(key), text);
  }
  assert(client.messages);
  assert(!inspect(client, { depth: 9, showHidden: true }).includes(key));
});

test("the log has methods, paths and statuses alone", async () => {
  const lines = [];
  const { client } = wire({ fault: "connection" }, answer({ object: "list", data: [] }));
  await client({ log: (level, message) => lines.push(`${level} ${message}`) }).contacts.list({ phone: "+14155550123" });
  assert.equal(lines.length, 2);
  assert(!lines.join().includes("4155550123") && !lines.join().includes(key));
});

test("a signal ends a call, and nothing is tried again", async () => {
  const controller = new AbortController();
  const fetch = async (_, init) => {
    queueMicrotask(() => controller.abort(new Error("enough")));
    return new Promise((_, reject) => init.signal.addEventListener("abort", () => reject(init.signal.reason)));
  };
  const client = new MassiveSMS({ apiKey: key, fetch });
  const error = await caught(() => client.credits.retrieve({ signal: controller.signal }));
  assert.equal(error.message, "enough");
});

test("a try that takes too long ends", async () => {
  const fetch = (_, init) => new Promise((_, reject) => init.signal.addEventListener("abort", () => reject(init.signal.reason)));
  const client = new MassiveSMS({ apiKey: key, fetch, maxRetries: 0 });
  assert((await caught(() => client.credits.retrieve({ timeout: 5 }))) instanceof massivesms.APITimeoutError);
});

test("browsers are refused unless it is said", async () => {
  globalThis.window = { document: {} };
  try {
    assert((await caught(async () => new MassiveSMS({ apiKey: key }))) instanceof massivesms.ConfigurationError);
    assert(new MassiveSMS({ apiKey: key, dangerouslyAllowBrowser: true }));
  } finally {
    delete globalThis.window;
  }
});

// What users of other libraries reported; see sdks/cases.md.

test("bytes and headers of another realm are read", async () => {
  const header = await webhooks.generateTestHeader("{}", "whsec_a");
  const other = createContext({});
  for (const made of ["new Uint8Array([123, 125])", "new Uint8Array([123, 125]).buffer", "new DataView(new Uint8Array([9, 123, 125]).buffer, 1)"]) {
    await webhooks.verify(runInContext(made, other), header, "whsec_a");
    await webhooks.verify(runInContext(made, other), header.split(","), "whsec_a");
  }
  const { body, headers } = await signedRequest({ type: "test.ping" }, "whsec_a");
  const event = await webhooks.constructEvent(new TextEncoder().encode(body).buffer, [headers["MSVS-Signature"]], "whsec_a");
  assert.equal(event.type, "test.ping");
  for (const missing of [undefined, null, "", []]) {
    assert.equal((await caught(() => webhooks.verify(body, missing, "whsec_a"))).reason, "header_missing");
  }
});

test("collections are sent as what they hold, and bytes not at all", async () => {
  const { requests, client } = wire(answer({}), answer({ object: "list", data: [] }));
  const its = client();
  await its.contacts.create({
    phone: "+14155550123",
    attributes: new Map([["tier", "vip"], ["at", new Date(0)]]),
    opt_in: { toJSON: () => ({ source: "checkout" }) },
    list_ids: new Set(["lst_1", "lst_2"]),
  });
  assert.deepEqual(JSON.parse(requests[0].body), {
    phone: "+14155550123",
    attributes: { tier: "vip", at: "1970-01-01T00:00:00Z" },
    opt_in: { source: "checkout" },
    list_ids: ["lst_1", "lst_2"],
  });
  await its.messages.list({ statuses: new Set(["sent", "failed"]), metadata: new Map([["order", 1]]) });
  assert.equal(requests[1].url.split("?")[1], "statuses=sent%2Cfailed&metadata%5Border%5D=1");
  for (const bytes of [Buffer.from("a"), new Uint8Array(1), new ArrayBuffer(1)]) {
    assert.equal((await caught(() => its.contacts.create({ phone: bytes }))).constructor, massivesms.ConfigurationError);
  }
});

test("headers of a call replace the client's and never the key", async () => {
  const { requests, client } = wire(answer({}));
  const headers = { authorization: "Bearer other", "user-agent": "mine", "idempotency-key": "no", "content-type": "text/plain" };
  await client().messages.create({ to: "+1", body: "a" }, { headers, idempotencyKey: "mine" });
  const sent = new Headers(requests[0].headers);
  const names = ["authorization", "user-agent", "idempotency-key", "content-type"];
  assert.deepEqual(names.map((name) => sent.get(name)), [`Bearer ${key}`, "mine", "mine", "application/json"]);
});

test("times and counts that cannot be are refused, and a longer try has its time", async () => {
  const { requests, client } = wire();
  for (const wrong of [{ timeout: 0 }, { timeout: Infinity }, { timeout: "5" }, { deadline: -1 }, { maxRetries: -1 }, { maxRetries: 1.5 }]) {
    assert.equal((await caught(async () => client(wrong))).constructor, massivesms.ConfigurationError);
    assert.equal((await caught(() => client().credits.retrieve(wrong))).constructor, massivesms.ConfigurationError);
  }
  assert.equal((await caught(() => client().credits.retrieve({ retries: 5 }))).constructor, massivesms.ConfigurationError);
  assert.equal(requests.length, 0);
  const busy = { status: 429, headers: { "Retry-After": "50" }, body: "{}" };
  for (const [settings, tries] of [[{}, 3], [{ timeout: 200_000 }, 4], [{ timeout: 200_000, deadline: 60_000 }, 2]]) {
    const held = wire(busy, busy, busy, busy, busy, busy);
    assert.equal((await caught(() => held.client({ maxRetries: 5, ...settings }).credits.retrieve())).tries, tries);
  }
});

test("Next.js is told not to answer from its cache, and no other runtime is", async () => {
  const { requests, client } = wire(answer({}), answer({}));
  await client().credits.retrieve();
  process.env.NEXT_RUNTIME = "nodejs";
  try {
    await client().credits.retrieve();
  } finally {
    delete process.env.NEXT_RUNTIME;
  }
  assert.deepEqual(requests.map((request) => request.cache), [undefined, "no-store"]);
});

test("a call that was ended between two tries waits no more", async () => {
  const controller = new AbortController();
  const { requests, client } = wire({ fault: "connection" }, answer({}));
  const its = client({ log: () => controller.abort(new Error("enough")) });
  assert.equal((await caught(() => its.credits.retrieve({ signal: controller.signal }))).message, "enough");
  assert.equal(requests.length, 1);
});
