// Receives webhooks with Express: `node express.mjs`.
import express from "express";
import { SignatureVerificationError, webhooks } from "@massivesms/node";

export const app = express();
export const seen = new Set(); // Yours is a table with a unique column: events may come more than once.

// express.raw, not express.json: the signature is of the bytes.
app.post("/webhooks/sms", express.raw({ type: "application/json" }), async (request, response) => {
  try {
    const secret = process.env.MASSIVESMS_WEBHOOK_SECRET;
    const event = await webhooks.constructEvent(request.body, request.get(webhooks.SIGNATURE_HEADER), secret);
    seen.add(event.id);
    response.status(204).end();
  } catch (error) {
    response.status(error instanceof SignatureVerificationError ? 400 : 500).end();
  }
});

if (process.env.PORT) app.listen(process.env.PORT);
