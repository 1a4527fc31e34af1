import type { Fetch, FetchInit } from "./call.js";
import { generateTestHeader, SIGNATURE_HEADER } from "./webhooks.js";

/** An answer from memory: a status and body, an error to be thrown, or a function of the request. */
export type FakeAnswer =
  | { status?: number; headers?: Record<string, string>; body: unknown }
  | Error
  | ((url: string, init: FetchInit) => { status?: number; headers?: Record<string, string>; body: unknown });

/** Return a `fetch` that answers from memory in turn, and keeps the requests. */
export function fakeFetch(...answers: FakeAnswer[]): Fetch & { requests: Array<{ url: string; init: FetchInit }> } {
  const requests: Array<{ url: string; init: FetchInit }> = [];
  const fake: Fetch = async (url, init) => {
    requests.push({ url, init: { ...init, headers: { ...init.headers } } });
    let answer = answers.shift();
    if (answer === undefined) throw new Error(`No answer is left for ${init.method} ${url}.`);
    if (typeof answer === "function") answer = answer(url, init);
    if (answer instanceof Error) throw answer;
    const { status = 200, headers = {}, body } = answer;
    const text = typeof body === "string" ? body : JSON.stringify(body);
    return {
      status,
      headers: { forEach: (each) => Object.entries(headers).forEach(([name, value]) => each(value, name)) },
      text: async () => text,
    };
  };
  return Object.assign(fake, { requests });
}

/** Return the body and headers of a webhook with this event, to be posted to your own endpoint. */
export async function signedRequest(
  event: object,
  secret: string,
  options: { timestamp?: number } = {},
): Promise<{ body: string; headers: Record<string, string> }> {
  const body = JSON.stringify(event);
  const signature = await generateTestHeader(body, secret, options);
  return { body, headers: { "Content-Type": "application/json", [SIGNATURE_HEADER]: signature } };
}
