// Takes the README's pictures of a running service: node pictures.mjs BASE_URL OPERATOR_PASSWORD FOLDER
// The browser is Chromium, at $CHROMIUM or where Debian has it. It packs the pictures as WebP, too.

import assert from "node:assert/strict";
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [base, operatorPassword, folder] = process.argv.slice(2);
const password = "correct horse battery staple";
const email = "rosa@cohortlabs.co";
const PHONE = "+14155550123";

async function post(path, body, headers = {}) {
  const response = await fetch(base + path, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  assert.ok(response.ok && !answer.errors, JSON.stringify(answer));
  return answer;
}

const SIGN_UP = `mutation SignUp($input: SignUpInput!) {
  signUp(input: $input) { ... on SignedUp { testKey } ... on Error { code message } }
}`;
const input = { email, password, name: "Rosa", workspaceName: "Cohort Labs" };
const { testKey } = (await post("/graphql", { query: SIGN_UP, variables: { input } })).data.signUp;
const call = (path, body) => post(path, body, { Authorization: `Bearer ${testKey}` });
const send = (to, body) => call("/v1/messages", { to, body });

// A webhook endpoint and a campaign, so that every queue has work to show.
const receiver = createServer((request, response) => request.resume().on("end", () => response.end()));
await new Promise((listening) => receiver.listen(0, "127.0.0.1", listening));
await call("/v1/webhooks", { url: `http://127.0.0.1:${receiver.address().port}/`, events: ["*"] });
const contact = await call("/v1/contacts", { phone: "+12125550199", first_name: "Maria", opt_in: { source: "checkout" } });
await call("/v1/campaigns", {
  name: "Cohort 07: open cart",
  body: "Hey {firstName|there}, Cohort 07 opens tonight at 8pm ET. Reply STOP to opt out.",
  audience: { contact_ids: [contact.id] },
});

for (const [to, body] of [
  ["+14155550103", "Your link: https://cohortlabs.co/join"],
  ["+14155550107", "Doors open at 8pm ET."],
  ["+14155550105", "Last seats for Cohort 07."],
  [PHONE, "Hey Maria, Cohort 07 opens tonight at 8pm ET. Reply STOP to opt out."],
]) {
  await send(to, body);
}

const profile = mkdtempSync(join(tmpdir(), "msvs-pictures-"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
  ],
  viewport: { width: 1280, height: 800 },
  deviceScaleFactor: 1.5,
  colorScheme: "light",
  locale: "en-US",
});
const page = await context.newPage();
page.setDefaultTimeout(20_000);
const packer = await context.newPage();
await packer.goto(`${base}/livez`);

async function shoot(name) {
  await page.waitForTimeout(500);
  const png = (await page.screenshot()).toString("base64");
  const webp = await packer.evaluate(async (text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const picture = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
    const canvas = new OffscreenCanvas(picture.width, picture.height);
    canvas.getContext("2d").drawImage(picture, 0, 0);
    const packed = new Uint8Array(await (await canvas.convertToBlob({ type: "image/webp", quality: 0.85 })).arrayBuffer());
    return btoa(Array.from(packed, (byte) => String.fromCharCode(byte)).join(""));
  }, png);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.webp`), Buffer.from(webp, "base64"));
}

// The handset: a conversation of the sandbox.
await page.goto(`${base}/handset`);
await page.getByLabel("E-mail").fill(email);
await page.getByLabel("Password").fill(password);
await page.keyboard.press("Enter");
await page.getByText("Live", { exact: true }).waitFor();
await page.getByLabel("Any number").fill(PHONE);
await page.keyboard.press("Enter");
await page.locator("#bubbles .meta").filter({ hasText: "delivered" }).first().waitFor();
await page.getByLabel("Answer as this phone").fill("Is there a replay?");
await page.keyboard.press("Enter");
await page.locator("#bubbles .sent").filter({ hasText: "Is there a replay?" }).waitFor();
await send(PHONE, "Yes: the replay stays up for 48 hours. See you tonight!");
await page.locator("#bubbles .meta").filter({ hasText: "delivered" }).last().waitFor();
await page.getByRole("button", { name: "HELP", exact: true }).click();
await page.locator("#bubbles .received .meta").filter({ hasText: "automatic" }).waitFor();
await page.locator("#handsets .tag").filter({ hasText: "opted out" }).waitFor();
await shoot("handset");

// The operators' page: queues and workers.
await page.goto(`${base}/ops/login`);
await page.getByLabel("Operator password").fill(operatorPassword);
await page.getByRole("button", { name: "Sign in" }).click();
for (const queue of ["campaigns", "maintenance", "messages", "reports", "webhooks"]) {
  await page.getByRole("cell", { name: queue, exact: true }).waitFor();
}
await shoot("operators");

// The documentation.
await page.goto(`${base}/docs/messages`);
await page.getByRole("heading", { level: 1 }).waitFor();
await shoot("docs");

await context.close();
receiver.close();
receiver.closeAllConnections();
rmSync(profile, { recursive: true, force: true });
