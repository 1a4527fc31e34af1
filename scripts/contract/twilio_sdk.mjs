// Drives Twilio's own library for Node: node twilio_sdk.mjs BASE_URL, the key in API_KEY.
import assert from "node:assert/strict";
import { createServer } from "node:http";

import twilio from "twilio";

const [, , baseUrl] = process.argv;
const key = process.env.API_KEY;

class HttpClient extends twilio.RequestClient {
  request(options) {
    return super.request({ ...options, uri: options.uri.replace("https://api.twilio.com", baseUrl) });
  }
}

const httpClient = new HttpClient();
const [account] = await twilio(`AC${"0".repeat(32)}`, key, { httpClient, username: key }).api.v2010.accounts
  .list()
  .catch(async () => {
    // The library takes an AccountSid alone as its username, so that the account is asked for by hand.
    const basic = Buffer.from(`${key}:${key}`).toString("base64");
    const answer = await fetch(`${baseUrl}/2010-04-01/Accounts.json`, { headers: { Authorization: `Basic ${basic}` } });
    return (await answer.json()).accounts;
  });
const client = twilio(account.sid, key, { httpClient });
const refused = async (promise, status, code) =>
  assert.rejects(promise, (error) => {
    assert.deepEqual([error.status, error.code], [status, code]);
    return true;
  });
const until = async (done) => {
  const deadline = Date.now() + 30_000;
  while (!(await done()) && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 100));
};

const forms = [];
const server = createServer((request, response) => {
  let body = "";
  request.on("data", (data) => (body += data));
  request.on("end", () => {
    forms.push([Object.fromEntries(new URLSearchParams(body)), request.headers["x-twilio-signature"]]);
    response.writeHead(204).end();
  });
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const statusCallback = `http://127.0.0.1:${server.address().port}/sms?cohort=06`;
const messagingServiceSid = `MG${"0".repeat(32)}`;
const sent = await client.messages.create({ to: "+12125550166", body: "Doors open.", messagingServiceSid, statusCallback });
assert.deepEqual([sent.status, sent.messagingServiceSid], ["queued", messagingServiceSid]);
await until(() => forms.length === 2);
server.close();
assert.deepEqual(forms.map(([form]) => form.MessageStatus), ["sent", "delivered"]);
for (const [form, signature] of forms) {
  assert.equal(form.MessageSid, sent.sid);
  assert.ok(twilio.validateRequest(key, signature, statusCallback, form));
  assert.ok(!twilio.validateRequest(key, signature, statusCallback, { ...form, To: "+12125550167" }));
}
assert.equal((await client.messages(sent.sid).fetch()).status, "delivered");

const listed = await client.messages.list({ to: "+12125550166", limit: 1 });
assert.deepEqual(listed.map(({ sid }) => sid), [sent.sid]);
const sendAt = new Date(Date.now() + 3_600_000);
const later = await client.messages.create({ to: "+12125550166", body: "Later", scheduleType: "fixed", sendAt });
assert.equal((await client.messages(later.sid).update({ status: "canceled" })).status, "canceled");

for (const [param, digit, code] of [
  ["from", 1, 21212],
  ["from", 7, 21606],
  ["from", 8, 21611],
  ["to", 1, 21211],
  ["to", 2, 21612],
  ["to", 3, 21408],
  ["to", 4, 21610],
  ["to", 9, 21614],
]) {
  const magic = { from: "+15005550006", to: "+12125550166", body: "Doors open.", [param]: `+1500555000${digit}` };
  await refused(client.messages.create(magic), 400, code);
}

assert.equal((await client.messages(sent.sid).update({ body: "" })).body, "");
assert.equal(await client.messages(sent.sid).remove(), true);
await refused(client.messages(sent.sid).fetch(), 404, 20404);

assert.ok(Number((await client.balance.fetch()).balance) > 0);
const [usage] = await client.usage.records.list({ category: "sms-outbound" });
assert.ok(Number(usage.usage) >= Number(usage.count) && Number(usage.count) >= 1);
assert.equal((await client.usage.records.daily.list({ category: "sms", limit: 1 })).length, 1);
console.log(`twilio for Node sent ${sent.sid}`);
