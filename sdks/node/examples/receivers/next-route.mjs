// Receives webhooks with Next: as app/webhooks/sms/route.js.
import { SignatureVerificationError, webhooks } from "@massivesms/node";

export const seen = new Set(); // Yours is a table with a unique column: events may come more than once.

export async function POST(request) {
  try {
    const secret = process.env.MASSIVESMS_WEBHOOK_SECRET;
    const event = await webhooks.constructEvent(
      await request.text(),
      request.headers.get(webhooks.SIGNATURE_HEADER),
      secret,
    );
    seen.add(event.id);
    return new Response(null, { status: 204 });
  } catch (error) {
    if (error instanceof SignatureVerificationError) return new Response(null, { status: 400 });
    throw error;
  }
}
