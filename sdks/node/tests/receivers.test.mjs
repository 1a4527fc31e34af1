// The receivers among the examples: a good signature is taken, anything else is answered 400.
import assert from "node:assert/strict";
import { test } from "node:test";
import { signedRequest } from "../dist/esm/testing.js";

const secret = (process.env.MASSIVESMS_WEBHOOK_SECRET = "whsec_receiver_1");
const event = { id: "evt_1", object: "event", type: "test.ping", data: { text: "Olá 👋" } };

const starts = {
  express: async () => {
    const { app, seen } = await import("../examples/receivers/express.mjs");
    const server = app.listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const url = `http://127.0.0.1:${server.address().port}/webhooks/sms`;
    return { seen, post: (init) => fetch(url, init), stop: () => server.close() };
  },
  hono: async () => {
    const { app, seen } = await import("../examples/receivers/hono.mjs");
    return { seen, post: (init) => app.request("/webhooks/sms", init), stop() {} };
  },
  next: async () => {
    const { POST, seen } = await import("../examples/receivers/next-route.mjs");
    return { seen, post: (init) => POST(new Request("http://receiver.test/webhooks/sms", init)), stop() {} };
  },
};

for (const [name, start] of Object.entries(starts)) {
  test(`receiver: ${name}`, async () => {
    const { seen, post, stop } = await start();
    try {
      const { body, headers } = await signedRequest(event, secret);
      const ask = async (text, more) => (await post({ method: "POST", body: text, headers: more })).status;
      const { "MSVS-Signature": _, ...unsigned } = headers;
      assert.equal(await ask(body + " ", headers), 400);
      assert.equal(await ask(body, unsigned), 400);
      assert.equal(await ask(body, (await signedRequest(event, "whsec_another")).headers), 400);
      assert.equal(await ask(body, (await signedRequest(event, secret, { timestamp: 1 })).headers), 400);
      assert.deepEqual([...seen], []);
      assert.equal(await ask(body, headers), 204);
      assert.deepEqual([...seen], ["evt_1"]);
    } finally {
      stop();
    }
  });
}
