// The scripts that go into the collection, as lines of text.

const lines = (text) => text.trim().split("\n");

// Before every request: numbers and times to use, and no change of live data unless it is wanted.
export const BEFORE_ALL = lines(`
const digits = (count) => String(Math.floor(Math.random() * 10 ** count)).padStart(count, "0");
const number = () => "+1212" + (2 + Math.floor(Math.random() * 3)) + (2 + Math.floor(Math.random() * 8)) + digits(5);
const isoTime = (seconds) => new Date(Date.now() + seconds * 1000).toISOString().replace(/\\.\\d+Z$/, "Z");
if (!pm.collectionVariables.get("phone")) pm.collectionVariables.set("phone", number());
pm.collectionVariables.set("phone_in_query", encodeURIComponent(pm.collectionVariables.get("phone")));
pm.collectionVariables.set("spare_phone", number());
pm.collectionVariables.set("tomorrow", isoTime(86400));
pm.collectionVariables.set("an_hour_ago", isoTime(-3600));
pm.collectionVariables.set("now", new Date().toISOString());
const isLive = String(pm.variables.get("api_key") || "").startsWith("msvs_live_");
if (isLive && pm.request.method !== "GET" && pm.variables.get("live_writes") !== "true") {
  console.warn("Skipped: a live key may send real messages. Set live_writes to true in the environment to allow it.");
  pm.execution.skipRequest();
}
`);

// After every request: what each answer of the API has.
export const AFTER_ALL = lines(`
pm.test("the answer is JSON", () => {
  pm.expect(pm.response.headers.get("Content-Type")).to.equal("application/json");
  pm.response.to.be.json;
});
pm.test("X-Request-Id names the request", () => {
  pm.expect(pm.response.headers.get("X-Request-Id")).to.match(/^req_[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
});
if (pm.response.code >= 400) {
  pm.test("a failure has the error envelope", () => {
    const body = pm.response.json();
    pm.expect(Object.keys(body)).to.eql(["error"]);
    pm.expect(body.error).to.include.all.keys("type", "code", "message", "request_id");
    pm.expect(body.error.request_id).to.equal(pm.response.headers.get("X-Request-Id"));
  });
}
if (pm.request.url.getPath().startsWith("/v1/") && pm.response.code !== 401 && pm.response.code < 500) {
  pm.test("the rate limit is told", () => {
    const header = (name) => Number(pm.response.headers.get(name));
    pm.expect(header("X-RateLimit-Limit")).to.be.at.least(1);
    pm.expect(header("X-RateLimit-Remaining")).to.be.at.least(0);
    pm.expect(header("X-RateLimit-Reset")).to.be.above(Date.now() / 1000 - 60);
  });
}
`);

export const statusTest = (status) => lines(`
pm.test("status is ${status}", () => pm.response.to.have.status(${status}));
`);

export const objectTest = (object, livemodeShown) => lines(
  `pm.test("object is ${object}", () => pm.expect(pm.response.json().object).to.equal("${object}"));` +
  (livemodeShown
    ? `\npm.test("it is of the key's mode", () => pm.expect(pm.response.json().livemode)` +
      `.to.equal(pm.variables.get("api_key").startsWith("msvs_live_")));`
    : "")
);

export const PAGE_TEST = lines(`
pm.test("it is a page, newest first", () => {
  const page = pm.response.json();
  pm.expect(page.object).to.equal("list");
  pm.expect(page.has_more).to.be.a("boolean");
  const ids = page.data.map((each) => each.id.slice(4)); // without their prefixes: some pages mix kinds
  pm.expect(ids).to.eql([...ids].sort().reverse());
});
`);

export const save = (variable) => [`pm.collectionVariables.set("${variable}", pm.response.json().id);`];

export const saveFirst = (variable) => lines(`
pm.test("there is at least one", () => pm.expect(pm.response.json().data).to.not.be.empty);
pm.collectionVariables.set("${variable}", pm.response.json().data[0].id);
`);

export const saveAny = (variable) => [
  `pm.collectionVariables.set("${variable}", pm.response.json().data[0]?.id ?? "");`,
];

export const skipWithout = (variable) => lines(`
// A workspace of a minute has none yet.
if (!pm.collectionVariables.get("${variable}")) pm.execution.skipRequest();
`);

export const makeSpare = ({ path, variable, body }) => lines(`
pm.sendRequest({
  url: pm.variables.replaceIn("{{base_url}}${path}"),
  method: "POST",
  header: { Authorization: pm.variables.replaceIn("Bearer {{api_key}}"), "Content-Type": "application/json" },
  body: { mode: "raw", raw: pm.variables.replaceIn(JSON.stringify(${JSON.stringify(body)})) },
}, (error, response) => {
  pm.expect(error).to.equal(null);
  pm.expect(response.code, response.text()).to.equal(201);
  pm.collectionVariables.set("${variable}", response.json().id);
});
`);

// The verifier: age first, then every v1 in constant time, so that both signatures of a secret's rotation do.
export const VERIFY = lines(`
const crypto = require("crypto-js");

function verifySignature(rawBody, header, secret, now, toleranceSeconds = 300) {
  const parts = header.split(",").map((part) => part.trim().split("="));
  const times = parts.filter(([name]) => name === "t").map(([, value]) => value);
  if (times.length !== 1 || !/^[0-9]{1,15}$/.test(times[0])) return false;
  if (Math.abs(now - Number(times[0])) > toleranceSeconds) return false;
  const expected = crypto.HmacSHA256(times[0] + "." + rawBody, secret).toString(crypto.enc.Hex);
  let matches = false;
  for (const [name, value] of parts) {
    if (name !== "v1" || !value || value.length !== expected.length) continue;
    let difference = 0;
    for (let i = 0; i < expected.length; i += 1) difference |= expected.charCodeAt(i) ^ value.charCodeAt(i);
    matches = difference === 0 || matches;
  }
  return matches;
}

for (const vector of JSON.parse(pm.collectionVariables.get("signature_vectors"))) {
  pm.test("signature vector: " + vector.name, () => {
    pm.expect(verifySignature(vector.body, vector.header, vector.secret, vector.now)).to.equal(vector.valid);
  });
}

// To check a delivery of yours: paste what arrived into these variables of the environment.
const [body, header, secret] = ["webhook_body", "webhook_signature", "webhook_secret"].map((name) => pm.variables.get(name));
if (body && header && secret) {
  pm.test("your delivery's signature is right and at most five minutes old", () => {
    pm.expect(verifySignature(body, header, secret, Date.now() / 1000)).to.equal(true);
  });
}
`);
