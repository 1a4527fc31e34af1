// Receives webhooks with Hono, on Node, Deno, Bun or the edge.
import { Hono } from "hono";
import { SignatureVerificationError, webhooks } from "@massivesms/node";

export const app = new Hono();
export const seen = new Set(); // Yours is a table with a unique column: events may come more than once.

app.post("/webhooks/sms", async (c) => {
  try {
    const secret = process.env.MASSIVESMS_WEBHOOK_SECRET;
    const event = await webhooks.constructEvent(await c.req.text(), c.req.header(webhooks.SIGNATURE_HEADER), secret);
    seen.add(event.id);
    return c.body(null, 204);
  } catch (error) {
    if (error instanceof SignatureVerificationError) return c.body(null, 400);
    throw error;
  }
});

export default app;
