// Sends a message through the client that @hey-api/openapi-ts generates: node hey_api.js BASE_URL, the key in API_KEY.
import { createMessage, createWebhook, deleteWebhook, retrieveMessage, type Message } from "./generated/index.js";
import { createClient } from "./generated/client/index.js";

const client = createClient({ baseUrl: process.argv[2] ?? "", auth: () => process.env["API_KEY"] ?? "" });

const sent = await createMessage({ client, body: { to: "+12125550162", body: "Doors open.", metadata: { cohort: "06" } } });
if (!sent.data) throw new Error(JSON.stringify(sent.error));
const message: Message = sent.data;
if (message.metadata["cohort"] !== "06") throw new Error(JSON.stringify(message));

const found = await retrieveMessage({ client, path: { id: message.id } });
if (found.data?.id !== message.id) throw new Error(JSON.stringify(found.error));

const refused = await createMessage({ client, body: { to: "+1abc", body: "Doors open." } });
if (refused.error?.error.code !== "phone_number_invalid") throw new Error(JSON.stringify(refused.data));

const webhook = await createWebhook({
  client,
  body: { url: "https://api.cohortlabs.co/webhooks/sms", events: ["message.delivered"] },
});
if (!webhook.data?.secret?.startsWith("whsec_")) throw new Error(JSON.stringify(webhook.error));
await deleteWebhook({ client, path: { id: webhook.data.id } });

console.log(`@hey-api/openapi-ts sent ${message.id}`);
