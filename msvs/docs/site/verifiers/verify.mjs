import { createHmac, timingSafeEqual } from "node:crypto";

const TOLERANCE_SECONDS = 300;

/** Whether MSVS-Signature signs the body (a Buffer) by this secret, in the last five minutes. */
export function verify(rawBody, header, secret, now = Date.now() / 1000) {
  const timestamps = [];
  const signatures = [];
  for (const part of header.split(",")) {
    const [name, ...rest] = part.trim().split("=");
    if (name === "t") timestamps.push(rest.join("="));
    else if (name === "v1") signatures.push(Buffer.from(rest.join("=")));
  }
  if (timestamps.length !== 1 || !/^[0-9]{1,15}$/.test(timestamps[0])) return false;
  if (Math.abs(now - Number(timestamps[0])) > TOLERANCE_SECONDS) return false;
  const expected = Buffer.from(
    createHmac("sha256", secret).update(`${timestamps[0]}.`).update(rawBody).digest("hex"),
  );
  // There are two during a rotation; each is compared in constant time.
  let matches = false;
  for (const signature of signatures) {
    if (signature.length !== expected.length) continue;
    if (timingSafeEqual(signature, expected)) matches = true;
  }
  return matches;
}
