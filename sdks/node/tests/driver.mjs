// Makes the calls that the conformance run asks for, one a line.
import { createInterface } from "node:readline";
import { MassiveSMS, MassiveSMSError, Page } from "../dist/esm/index.js";
import { call } from "./call.mjs";

const client = new MassiveSMS();

async function answer({ operation_id, args, options, all }) {
  const { max_retries, idempotency_key, timeout, deadline } = options;
  const chosen = {
    ...(max_retries === undefined ? {} : { maxRetries: max_retries }),
    ...(idempotency_key === undefined ? {} : { idempotencyKey: idempotency_key }),
    ...(timeout === undefined ? {} : { timeout: timeout * 1000 }),
    ...(deadline === undefined ? {} : { deadline: deadline * 1000 }),
  };
  try {
    const called = call(client, operation_id, args, chosen);
    if (all) return { ids: (await called.toArray({ limit: 10_000 })).map((each) => each.id) };
    const result = await called;
    const { lastResponse } = result;
    return {
      result: result instanceof Page ? JSON.parse(lastResponse.body) : result,
      request_id: lastResponse.requestId,
      tries: lastResponse.tries,
      idempotency_key: lastResponse.idempotencyKey,
    };
  } catch (error) {
    if (!(error instanceof MassiveSMSError)) throw error;
    const { name, status = null, code = null, request_id = null, idempotencyKey: idempotency_key, tries } = error;
    return { error: { name, status, code, request_id, idempotency_key, tries } };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(await answer(JSON.parse(line))) + "\n");
}
