import { SignatureVerificationError, webhooks } from "@massivesms/node";
import { signedRequest } from "@massivesms/node/testing";

const secret = process.env.MASSIVESMS_WEBHOOK_SECRET ?? "whsec_of_your_endpoint";

/** Answer a webhook: `body` is the text or bytes as they came, `header` is MSVS-Signature. */
async function receive(body, header) {
  try {
    const event = await webhooks.constructEvent(body, header, secret);
    if (event.type === "message.failed") console.log(event.data.id, event.data.error);
    return 200;
  } catch (error) {
    if (error instanceof SignatureVerificationError) return 400;
    throw error;
  }
}

// In your tests:
const { body, headers } = await signedRequest({ id: "evt_1", type: "test.ping", data: {} }, secret);
console.log(await receive(body, headers["MSVS-Signature"]), await receive(body + " ", headers["MSVS-Signature"]));
