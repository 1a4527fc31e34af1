// Programs to copy, each whole, with the reader's own host in it.
export type Language = "curl" | "python" | "node";
export type Task = "send" | "graphql" | "verify";

const SEND: Record<Language, (host: string) => string> = {
  curl: (host) => `curl ${host}/v1/messages \\
  -H "Authorization: Bearer $MSVS_KEY" \\
  -H "Content-Type: application/json" \\
  -H "Idempotency-Key: order-1042-shipped" \\
  -d '{"to": "+14155550123", "body": "Your order is on its way. Reply STOP to opt out."}'`,
  python: (host) => `import json
import os
import urllib.request

request = urllib.request.Request(
    "${host}/v1/messages",
    data=json.dumps({"to": "+14155550123", "body": "Your order is on its way. Reply STOP to opt out."}).encode(),
    headers={
        "Authorization": f"Bearer {os.environ['MSVS_KEY']}",
        "Content-Type": "application/json",
        "Idempotency-Key": "order-1042-shipped",
    },
)
with urllib.request.urlopen(request) as answer:
    print(json.load(answer)["id"])`,
  node: (host) => `const answer = await fetch("${host}/v1/messages", {
  method: "POST",
  headers: {
    Authorization: \`Bearer \${process.env.MSVS_KEY}\`,
    "Content-Type": "application/json",
    "Idempotency-Key": "order-1042-shipped",
  },
  body: JSON.stringify({ to: "+14155550123", body: "Your order is on its way. Reply STOP to opt out." }),
});
console.log(answer.status, await answer.json());`,
};

const GRAPHQL: Record<Language, (host: string) => string> = {
  curl: (host) => `curl ${host}/graphql \\
  -H "Authorization: Bearer $MSVS_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{"query": "{ messages(first: 5) { nodes { id to status } } }"}'`,
  python: (host) => `import json
import os
import urllib.request

request = urllib.request.Request(
    "${host}/graphql",
    data=json.dumps({"query": "{ messages(first: 5) { nodes { id to status } } }"}).encode(),
    headers={"Authorization": f"Bearer {os.environ['MSVS_KEY']}", "Content-Type": "application/json"},
)
with urllib.request.urlopen(request) as answer:
    print(json.load(answer)["data"]["messages"]["nodes"])`,
  node: (host) => `const answer = await fetch("${host}/graphql", {
  method: "POST",
  headers: { Authorization: \`Bearer \${process.env.MSVS_KEY}\`, "Content-Type": "application/json" },
  body: JSON.stringify({ query: "{ messages(first: 5) { nodes { id to status } } }" }),
});
console.log((await answer.json()).data.messages.nodes);`,
};

const VERIFY: Partial<Record<Language, string>> = {
  python: `import hashlib
import hmac
import time


def is_ours(header: str, body: bytes, secret: str) -> bool:
    """Whether MSVS-Signature is of this body and younger than five minutes."""
    parts = [part.split("=", 1) for part in header.split(",")]
    sent = next(value for name, value in parts if name == "t")
    if abs(time.time() - int(sent)) > 300:
        return False
    expected = hmac.new(secret.encode(), sent.encode() + b"." + body, hashlib.sha256).hexdigest()
    return any(hmac.compare_digest(expected, value) for name, value in parts if name == "v1")`,
  node: `import { createHmac, timingSafeEqual } from "node:crypto";

/** Whether MSVS-Signature is of this body (the bytes as they came) and younger than five minutes. */
export function isOurs(header, body, secret) {
  const parts = header.split(",").map((part) => part.split("="));
  const sent = parts.find(([name]) => name === "t")[1];
  if (Math.abs(Date.now() / 1000 - Number(sent)) > 300) return false;
  const expected = createHmac("sha256", secret).update(\`\${sent}.\`).update(body).digest();
  return parts.some(([name, value]) => {
    const given = Buffer.from(value, "hex");
    return name === "v1" && given.length === expected.length && timingSafeEqual(given, expected);
  });
}`,
};

/** Return a program that does a task in a language; null where that language is not made for it. */
export function sampleOf(task: Task, language: Language, host: string): string | null {
  if (task === "verify") return VERIFY[language] ?? null;
  return (task === "send" ? SEND : GRAPHQL)[language](host);
}
