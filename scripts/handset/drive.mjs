// Drives the handset's page in a browser, as a person does: node drive.mjs BASE_URL [FOLDER for screenshots]
// The browser is Chromium, at $CHROMIUM or where Debian has it.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";

const [base, folder] = process.argv.slice(2);
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const password = "correct horse battery staple";
const email = `rosa.${Date.now()}@cohortlabs.co`;
const PHONE = "+14155550123";
const LONG =
  "Hey Maria! Cohort 07 opens tonight at 8pm ET ★ Your early seat is kept until midnight. Bring a friend and both of" +
  " you get the bonus module “Launch in a week”. Reply YES to keep it, STOP to opt out.";
const MARKUP = "<img src=x onerror=\"document.title='owned'\"><b>Sale</b> & <script>alert(1)</script>";

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
const send = (to, body, more = {}) =>
  post("/v1/messages", { to, body, ...more }, { Authorization: `Bearer ${testKey}` });

await send("+14155550107", "Doors open at 8pm ET.");
await send("+14155550103", "Your link: https://cohortlabs.co/join");

const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
  timeout: 120_000,
});
const context = await browser.newContext({ viewport: { width: 1360, height: 900 }, colorScheme: "light", locale: "en-US" });
const page = await context.newPage();
const requests = [];
const complaints = [];
page.on("request", (request) => request.url().endsWith("/graphql") && requests.push(request));
page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
page.on("pageerror", (error) => complaints.push(String(error)));
// What the policy keeps from running is told here too.
await page.addInitScript(() => {
  window.sockets = [];
  window.WebSocket = class extends WebSocket {
    constructor(...given) {
      super(...given);
      window.sockets.push(this);
    }
  };
  document.addEventListener("securitypolicyviolation", (event) => console.error(`refused: ${event.violatedDirective}`));
});

// Print the page's console errors when a step times out.
process.on("uncaughtExceptionMonitor", () => console.error("The page's complaints:", complaints));
page.setDefaultTimeout(60_000);

let shots = 0;
async function shoot(name) {
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  await page.waitForTimeout(350);
  shots += 1;
  await page.screenshot({ path: `${folder}/${shots}-${name}.png` });
}

const bubbles = page.locator("#bubbles li");
const last = bubbles.last();
const log = page.getByRole("log");

// Logging in: without anything, with a half, wrong, then right.
await page.goto(`${base}/handset`);
await page.getByRole("button", { name: "Log in" }).click();
await page.getByRole("alert").filter({ hasText: "Enter your e-mail address and your password." }).waitFor();
assert.equal(await page.getByLabel("E-mail").evaluate((field) => field === document.activeElement), true);
await page.getByLabel("E-mail").fill(email);
await page.keyboard.press("Enter");
await page.getByRole("alert").filter({ hasText: "Enter your password." }).waitFor();
await page.getByLabel("E-mail").fill(email);
await page.getByLabel("Password").fill("not the password");
await page.getByRole("button", { name: "Log in" }).click();
await page.getByRole("alert").filter({ hasText: "wrong" }).waitFor();
await shoot("login");
await page.getByLabel("Password").fill(password);
await page.keyboard.press("Enter");
await page.getByText("Live", { exact: true }).waitFor();
await page.getByText("Sandbox", { exact: true }).waitFor();
assert.equal(await page.locator("#workspace option").count(), 1);

// A number that has no message yet, and one that is none.
await page.getByLabel("Any number").fill("12");
await page.keyboard.press("Enter");
await page.locator("#open-problem").filter({ hasText: "E.164" }).waitFor();
await page.getByLabel("Any number").fill("+1 415 555 0123");
await page.keyboard.press("Enter");
await page.getByText("Nothing received yet").waitFor();
await shoot("empty");
await page.getByRole("button", { name: "Send a first message" }).click();
await last.getByText(/doors open at 8pm ET/).waitFor();
await page.getByText("Nothing received yet").waitFor({ state: "hidden" });

// A message appears as it is sent, with its segments, and its status follows.
await send(PHONE, LONG);
await last.getByText(/Cohort 07 opens/).waitFor();
await last.locator(".meta").filter({ hasText: /delivered · 3 segments · UCS-2/ }).waitFor();
await page.getByText("Show segments").click();
const parts = await last.locator(".part").evaluateAll((spans) => spans.map((span) => [span.dataset.part, span.textContent]));
assert.deepEqual(parts.map(([name]) => name), ["1/3", "2/3", "3/3"]);
assert.equal(parts.map(([, text]) => text).join(""), LONG);
assert.ok(parts.every(([, text]) => text.length <= 67));

// What was sent is shown as text, even if it looks like markup.
await send(PHONE, MARKUP);
await last.getByText("<b>Sale</b>").waitFor();
assert.equal(await last.locator(".text").textContent(), MARKUP);
assert.equal(await page.locator("#bubbles img, #bubbles b, #bubbles script").count(), 0);
assert.equal(await page.title(), "Handset · MassiveSMS");

// Answers: typed, with the keyboard, and by the buttons.
await page.getByLabel("Answer as this phone").fill("Is there a <i>replay</i>?");
await page.keyboard.press("Enter");
await page.locator("#bubbles .sent").filter({ hasText: "Is there a <i>replay</i>?" }).waitFor();
await bubbles.filter({ hasText: "<b>Sale</b>" }).locator(".meta").filter({ hasText: "replied" }).waitFor();
assert.equal(await page.getByLabel("Answer as this phone").inputValue(), "");
await page.getByRole("button", { name: "HELP", exact: true }).click();
await page.locator("#bubbles .sent .meta").filter({ hasText: "understood as HELP" }).waitFor();
await page.locator("#bubbles .received .meta").filter({ hasText: "automatic" }).waitFor();
await shoot("conversation");

// STOP opts out, and START back in.
await page.getByRole("button", { name: "STOP", exact: true }).click();
await page.getByText("This number has opted out").waitFor();
await page.locator("#about-consent").filter({ hasText: "opted out" }).waitFor();
await page.locator("#handsets .tag").filter({ hasText: "opted out" }).waitFor();
await page.locator("#bubbles .received .meta").filter({ hasText: "automatic" }).nth(1).waitFor();
await shoot("opted-out");
await page.emulateMedia({ colorScheme: "dark" });
await shoot("dark");
await page.emulateMedia({ colorScheme: "light" });
await page.getByRole("button", { name: "START", exact: true }).click();
await page.getByText("This number has opted out").waitFor({ state: "hidden" });

// A message to another number: it moves up in the list and is marked; the keyboard opens it.
await send("+14155550107", "One more thing.");
const other = page.locator("#handsets button.unread");
await other.filter({ hasText: "One more thing." }).waitFor();
await other.focus();
await page.keyboard.press("Enter");
await log.getByText("One more thing.").waitFor();
assert.equal(await page.locator("#handsets button.unread").count(), 0);
// It answers by itself.
await page.locator("#bubbles .sent").filter({ hasText: "Thanks, see you there!" }).nth(1).waitFor();
await page.locator("#handsets button").filter({ hasText: "555-0103" }).click();
await page.locator("#bubbles .lost .meta").filter({ hasText: "failed" }).waitFor();
await page.getByText("Test numbers").click();
await shoot("failed");

// A reload keeps the session and the number.
await page.reload();
await page.locator("#bubbles .lost").waitFor();
await page.getByText("Live", { exact: true }).waitFor();

// Cut off, it connects again by itself, and what happened meanwhile is there.
await page.getByLabel("Any number").fill(PHONE);
await page.keyboard.press("Enter");
await log.getByText(/Cohort 07 opens/).waitFor();
await page.evaluate(() => window.sockets.at(-1).close(4999));
await page.getByText("Reconnecting", { exact: true }).waitFor();
await send(PHONE, "Sent while nobody listened.");
await page.getByText("Live", { exact: true }).waitFor();
await last.getByText("Sent while nobody listened.").waitFor();
assert.equal(await page.evaluate(() => window.sockets.length), 2);

// A link leads to a number.
await page.goto(`${base}/handset#+14155550107`);
await page.reload();
await log.getByText("One more thing.").waitFor();
await page.getByText("Live", { exact: true }).waitFor();
await page.locator("#handsets button").filter({ hasText: "555-0123" }).click();
await last.getByText("Sent while nobody listened.").waitFor();

// Narrow: one thing at a time.
await page.setViewportSize({ width: 390, height: 780 });
await shoot("narrow");
assert.ok(await page.getByLabel("Answer as this phone").isVisible());
assert.ok(await page.locator("nav.side").isHidden());
assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
await page.getByRole("button", { name: "Back to the numbers" }).click();
assert.ok(await page.locator("nav.side").isVisible());
await shoot("narrow-numbers");
await page.setViewportSize({ width: 1360, height: 900 });

// Every request was of the sandbox, and told so.
assert.ok(requests.length > 10);
for (const request of requests) {
  const headers = await request.allHeaders();
  assert.equal(headers["x-livemode"], "false");
}

// Logging out.
await page.getByRole("button", { name: "Log out" }).click();
await page.getByRole("heading", { name: "Log in" }).waitFor();
assert.equal(await page.locator("#bubbles li").count(), 0);
assert.deepEqual(complaints, []);
await browser.close();
console.log(`The handset works in Chromium: ${requests.length} requests, all of the sandbox.`);
