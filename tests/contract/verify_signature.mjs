// Runs the API document's verifier, unchanged, on {"body", "header", "secret"} read as JSON from stdin.
import { readFileSync } from "node:fs";

import crypto from "crypto";

function verify(rawBody, header, secret) {
  const [t, v1] = header.split(",").map((p) => p.split("=")[1]);
  const expected = crypto
    .createHmac("sha256", secret)
    .update(`${t}.${rawBody}`)
    .digest("hex");
  return crypto.timingSafeEqual(
    Buffer.from(expected),
    Buffer.from(v1)
  );
}

const { body, header, secret } = JSON.parse(readFileSync(0, "utf8"));
console.log(verify(body, header, secret));
