import { InvalidPayloadError, SignatureVerificationError } from "./errors.js";
import type { Event } from "./types.js";

/** The header that has the signature. */
export const SIGNATURE_HEADER = "MSVS-Signature";

/** Settings of verification. */
export interface VerifyOptions {
  /** Seconds that the signature may be away from now: 300. */
  tolerance?: number;
  /** The time in seconds, for tests. */
  now?: number;
}

/** The bytes of a body, or its text exactly as it came. */
export type Payload = string | Uint8Array | ArrayBuffer;
/** The value of a header as frameworks give it. */
export type Header = string | readonly string[] | null | undefined;

/**
 * Return the event of a webhook whose signature is right.
 *
 * Throws SignatureVerificationError where anything is not right (answer 400), and InvalidPayloadError.
 */
export async function constructEvent(
  payload: Payload,
  header: Header,
  secret: string,
  options: VerifyOptions = {},
): Promise<Event> {
  await verify(payload, header, secret, options);
  return readEvent(payload);
}

/** The headers of a request as frameworks give them: an object, or `Headers`. */
export type Headers = { get(name: string): string | null } | Record<string, Header>;

/**
 * Return the event of a webhook with `standard_webhooks`, whose signature by Standard Webhooks is right.
 *
 * Throws SignatureVerificationError where anything is not right (answer 400), and InvalidPayloadError.
 */
export async function constructStandardEvent(
  payload: Payload,
  headers: Headers,
  secret: string,
  options: VerifyOptions = {},
): Promise<Event> {
  await verifyStandard(payload, headers, secret, options);
  return readEvent(payload);
}

function readEvent(payload: Payload): Event {
  let value: unknown;
  try {
    value = JSON.parse(typeof payload === "string" ? payload : new TextDecoder("utf-8", { fatal: true }).decode(bytes(payload)));
  } catch {
    throw new InvalidPayloadError("The body of the webhook is not JSON.");
  }
  if (typeof value !== "object" || value === null || typeof (value as { type?: unknown }).type !== "string") {
    throw new InvalidPayloadError("The body of the webhook is not an event.");
  }
  return value as Event;
}

/** Throw SignatureVerificationError unless the header has a signature of the payload by the secret, of about now. */
export async function verify(
  payload: Payload,
  header: Header,
  secret: string,
  { tolerance = 300, now = Date.now() / 1000 }: VerifyOptions = {},
): Promise<void> {
  const raw = bytes(payload);
  const text = typeof header === "string" ? header : (header ?? []).join(",");
  if (!secret) throw new SignatureVerificationError("The secret of the endpoint is empty.", "secret_missing");
  if (!text) {
    throw new SignatureVerificationError(`The request has no ${SIGNATURE_HEADER} header.`, "header_missing");
  }
  const { timestamp, candidates } = parse(text);
  checkTime(timestamp, tolerance, now);
  checkAny(await digest(raw, secret, timestamp), candidates);
}

/** Throw SignatureVerificationError unless the headers of Standard Webhooks have such a signature. */
export async function verifyStandard(
  payload: Payload,
  headers: Headers,
  secret: string,
  { tolerance = 300, now = Date.now() / 1000 }: VerifyOptions = {},
): Promise<void> {
  const raw = bytes(payload);
  if (!secret) throw new SignatureVerificationError("The secret of the endpoint is empty.", "secret_missing");
  const id = headerOf(headers, "webhook-id");
  const time = headerOf(headers, "webhook-timestamp");
  const signatures = headerOf(headers, "webhook-signature");
  if (!id || !time || !signatures) {
    throw new SignatureVerificationError("The request has no headers of Standard Webhooks.", "header_missing");
  }
  const candidates = signatures.split(" ").flatMap((part) => (part.startsWith("v1,") ? [part.slice(3)] : []));
  if (!/^[0-9]{1,12}$/.test(time) || candidates.length === 0) {
    throw new SignatureVerificationError("The headers of Standard Webhooks cannot be read.", "header_malformed");
  }
  checkTime(Number(time), tolerance, now);
  const key = fromBase64(secret.replace(/^whsec_/, ""));
  const signed = join(new TextEncoder().encode(`${id}.${time}.`), raw);
  checkAny(key === undefined ? "" : btoa(String.fromCharCode(...(await hmac(key, signed)))), key === undefined ? [] : candidates);
}

function headerOf(headers: Headers, name: string): string {
  if (typeof headers.get === "function") return (headers as { get(name: string): string | null }).get(name) ?? "";
  const found = Object.entries(headers as Record<string, Header>).find(([each]) => each.toLowerCase() === name)?.[1];
  return typeof found === "string" ? found : (found ?? []).join(" ");
}

function fromBase64(text: string): Uint8Array | undefined {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text) || text === "") return undefined;
  return Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
}

function checkTime(timestamp: number, tolerance: number, now: number): void {
  if (Math.abs(now - timestamp) > tolerance) {
    throw new SignatureVerificationError(
      `The signature is over ${tolerance} seconds away from now: an old request, or a clock that is wrong.`,
      "timestamp_outside_tolerance",
    );
  }
}

function checkAny(expected: string, candidates: readonly string[]): void {
  // All are compared, so that the time taken tells nothing.
  if (!candidates.map((candidate) => isEqual(candidate, expected)).includes(true)) {
    throw new SignatureVerificationError(
      "No signature matches. Pass the body exactly as it came (not parsed and written again), and the secret of " +
        "this endpoint.",
      "no_match",
    );
  }
}

/** Return the MSVS-Signature header of a payload, for tests of your own endpoint. */
export async function generateTestHeader(
  payload: Payload,
  secret: string,
  { timestamp = Math.floor(Date.now() / 1000) }: { timestamp?: number } = {},
): Promise<string> {
  return `t=${timestamp},v1=${await digest(bytes(payload), secret, timestamp)}`;
}

function bytes(payload: unknown): Uint8Array {
  if (typeof payload === "string") return new TextEncoder().encode(payload);
  // Not by instanceof: test runners and edge runtimes hand over bytes of another realm, whose classes are others.
  if (ArrayBuffer.isView(payload)) return new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength);
  if (Object.prototype.toString.call(payload) === "[object ArrayBuffer]") return new Uint8Array(payload as ArrayBuffer);
  throw new TypeError(
    "The payload was parsed; the signature is of the body's bytes. Pass them as they came: " +
      'express.raw({ type: "application/json" }) in Express, await c.req.text() in Hono, await request.text() in Next.',
  );
}

function parse(header: string): { timestamp: number; candidates: string[] } {
  const times: string[] = [];
  const candidates: string[] = [];
  for (const part of header.split(",")) {
    const [, name, value] = /^\s*([^=]*)=?([^]*?)\s*$/.exec(part)!;
    if (name === "t") times.push(value!);
    else if (name === "v1") candidates.push(value!);
  }
  if (times.length !== 1 || !/^[0-9]{1,12}$/.test(times[0]!) || candidates.length === 0) {
    throw new SignatureVerificationError(`${SIGNATURE_HEADER} is not of the form t=…,v1=….`, "header_malformed");
  }
  return { timestamp: Number(times[0]), candidates };
}

async function digest(payload: Uint8Array, secret: string, timestamp: number): Promise<string> {
  const encoder = new TextEncoder();
  const signature = await hmac(encoder.encode(secret), join(encoder.encode(`${timestamp}.`), payload));
  return Array.from(signature, (each) => each.toString(16).padStart(2, "0")).join("");
}

function join(one: Uint8Array, other: Uint8Array): Uint8Array {
  const joined = new Uint8Array(one.length + other.length);
  joined.set(one);
  joined.set(other, one.length);
  return joined;
}

async function hmac(secret: Uint8Array, signed: Uint8Array): Promise<Uint8Array> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", secret as Uint8Array<ArrayBuffer>, algorithm, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, signed as Uint8Array<ArrayBuffer>));
}

function isEqual(one: string, other: string): boolean {
  let difference = one.length ^ other.length;
  for (let index = 0; index < other.length; index++) difference |= one.charCodeAt(index) ^ other.charCodeAt(index);
  return difference === 0;
}
