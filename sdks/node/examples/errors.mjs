import {
  APIConnectionError,
  ComplianceError,
  InvalidRequestError,
  MassiveSMS,
  PaymentRequiredError,
  RateLimitError,
} from "@massivesms/node";

const client = new MassiveSMS({ timeout: 10_000, deadline: 60_000, maxRetries: 2 });
try {
  await client.messages.create({ to: "+1abc", body: "Doors open" });
} catch (error) {
  if (error instanceof InvalidRequestError) console.log(error.code, error.param, error.request_id);
  else if (error instanceof PaymentRequiredError) console.log("credits:", error.available, "of", error.required);
  else if (error instanceof ComplianceError) console.log("may not be sent:", error.code);
  else if (error instanceof RateLimitError) console.log("later:", error.retry_after, error.resets_at);
  else if (error instanceof APIConnectionError) console.log("no answer; try again with", error.idempotencyKey);
  else throw error;
}
