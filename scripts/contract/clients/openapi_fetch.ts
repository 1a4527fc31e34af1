// Sends a message through openapi-fetch, typed by openapi-typescript: node openapi_fetch.js BASE_URL, the key in API_KEY.
import createClient from "openapi-fetch";

import type { components, paths } from "./schema.js";

type Message = components["schemas"]["Message"];

const client = createClient<paths>({
  baseUrl: process.argv[2] ?? "",
  headers: { Authorization: `Bearer ${process.env["API_KEY"] ?? ""}` },
});

const sent = await client.POST("/v1/messages", {
  body: { to: "+12125550161", body: "Doors open, {firstName}.", variables: { firstName: "Maria" } },
});
if (!sent.data) throw new Error(JSON.stringify(sent.error));
const message: Message = sent.data;
if (message.body !== "Doors open, Maria." || message.object !== "message") throw new Error(JSON.stringify(message));

const found = await client.GET("/v1/messages/{id}", { params: { path: { id: message.id } } });
if (found.data?.id !== message.id) throw new Error(JSON.stringify(found.error));

const refused = await client.POST("/v1/messages", { body: { to: "+1abc", body: "Doors open." } });
if (refused.error?.error.code !== "phone_number_invalid") throw new Error(JSON.stringify(refused.data));

const webhook = await client.POST("/v1/webhooks", {
  body: { url: "https://api.cohortlabs.co/webhooks/sms", events: ["message.delivered"] },
});
if (!webhook.data?.secret?.startsWith("whsec_")) throw new Error(JSON.stringify(webhook.error));
await client.DELETE("/v1/webhooks/{id}", { params: { path: { id: webhook.data.id } } });

// @ts-expect-error A misspelt field does not compile.
const misspelt: components["schemas"]["MessageCreate"] = { to: "+12125550161", body: "Doors open.", schedule_at: "" };
void misspelt;

console.log(`openapi-fetch sent ${message.id}`);
