// Pictures of every page at a desk's and a phone's width, light and dark, and how fast each is shown.
// They are taken only where MSVS_SHOTS names a folder: MSVS_SHOTS=/tmp/shots make dashboard-test ARGS=pictures
import { mkdirSync, writeFileSync } from "node:fs";
import { expect, test, type Page } from "@playwright/test";
import { demo, logIn, makeList, operatorPassword, rest } from "./steps";

const FOLDER = process.env["MSVS_SHOTS"];
const SIZES = [[1440, 900], [390, 844]] as const;

interface Measured {
  name: string;
  /** When the largest thing of the page was painted, in ms. */
  lcp: number;
  /** By how many pixels the page is wider than a phone of 320. */
  overflow: number;
}

const measured: Measured[] = [];

/** Open a page, take its four pictures and note how fast it was painted. */
async function shoot(page: Page, name: string, path: string) {
  await page.setViewportSize({ width: 1440, height: 900 });
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
  await page.goto("about:blank");
  await page.goto(`/dashboard${path}`);
  await page.waitForLoadState("networkidle").catch(() => undefined);
  await page.waitForTimeout(500);
  const lcp = await page.evaluate(
    () =>
      new Promise<number>((done) => {
        new PerformanceObserver((list) => done(list.getEntries().at(-1)!.startTime)).observe({ type: "largest-contentful-paint", buffered: true });
        setTimeout(() => done(-1), 1000);
      }),
  );
  for (const [width, height] of SIZES) {
    await page.setViewportSize({ width, height });
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await page.waitForTimeout(150);
      await page.screenshot({ path: `${FOLDER}/${name}-${width}-${colorScheme}.png` });
    }
  }
  await page.setViewportSize({ width: 320, height: 640 });
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  measured.push({ name, lcp: Math.round(lcp), overflow });
}

async function makeThings(page: Page) {
  const list = await makeList(page, "Cohort 07", 8);
  await rest(page, "POST", "/lists", { name: "Webinar in May" });
  const segment = await rest(page, "POST", "/segments", { name: "Opted in", filter: { all: [{ field: "opt_in_status", op: "eq", value: "opted_in" }, { list }] } });
  const campaign = await rest(page, "POST", "/campaigns", { name: "Doors open", body: "Hi {firstName|there}, doors open at 8pm. Reply STOP to opt out.", audience: { list_ids: [list] }, quiet_hours: false });
  const draft = await rest(page, "POST", "/campaigns", { name: "Last seats", body: "Hi {firstName|there} – three seats are left.", audience: { list_ids: [list] }, draft: true }).catch(() => undefined);
  const [contact] = ((await rest(page, "GET", `/lists/${list}/contacts`))["data"] as { id: string; phone: string }[]);
  const sent = await rest(page, "POST", "/messages", { to: "+14155550101", body: "Your seat is kept until midnight." });
  await rest(page, "POST", "/messages", { to: contact!.phone, body: "See you tomorrow at 8pm." });
  await rest(page, "POST", "/test/inbound", { from: contact!.phone, body: "Can I bring a friend?" });
  const webhook = await rest(page, "POST", "/webhooks", { url: `https://api.cohortlabs.co/webhooks/sms/${Date.now()}`, events: ["message.delivered", "message.failed"] }).catch(() => undefined);
  await rest(page, "POST", "/suppressions", { phone: "+12125550666", source: "complaint" }).catch(() => undefined);
  await rest(page, "POST", "/keywords", { word: `COHORT${Date.now() % 1000}`, list_id: list }).catch(() => undefined);
  await page.waitForTimeout(6000);
  return { list, segment, campaign, draft, contact: contact!, sent, webhook };
}

test("pictures of every page", async ({ page }) => {
  test.skip(FOLDER === undefined, "MSVS_SHOTS names no folder");
  test.setTimeout(900_000);
  mkdirSync(FOLDER!, { recursive: true });
  for (const name of ["login", "signup", "forgot", "reset", "confirm", "invitation"]) await shoot(page, name, `/${name}`);
  await page.setViewportSize({ width: 1440, height: 900 });
  await logIn(page);
  const made = await makeThings(page);
  const at = (each: unknown) => String((each as { id?: string } | undefined)?.id);
  const pages: [string, string][] = [
    ["home", "/"],
    ["campaigns", "/campaigns"],
    ["calendar", "/campaigns?view=calendar"],
    ["compose", `/campaigns/new${made.draft === undefined ? "" : `?id=${at(made.draft)}`}`],
    ["campaign", `/campaigns/${at(made.campaign)}`],
    ...["recipients", "replies", "books"].map((tab): [string, string] => [`campaign-${tab}`, `/campaigns/${at(made.campaign)}?tab=${tab}`]),
    ["inbox", "/inbox"],
    ["inbox-thread", `/inbox?id=${made.contact.id}&about=1`],
    ["inbox-flagged", "/inbox?view=flagged"],
    ["messages", "/messages"],
    ["messages-filtered", "/messages?status=CANCELED"],
    ["messages-drawer", `/messages?id=${at(made.sent)}`],
    ["messages-timeline", `/messages?id=${at(made.sent)}&tab=timeline`],
    ["messages-why", `/messages?id=${at(made.sent)}&tab=why`],
    ["messages-send", "/messages?send=1"],
    ["contacts", "/contacts"],
    ["contact", `/contacts/${made.contact.id}`],
    ["contact-messages", `/contacts/${made.contact.id}?tab=messages`],
    ["contact-notes", `/contacts/${made.contact.id}?tab=notes`],
    ["lists", "/lists"],
    ["list", `/lists/${made.list}`],
    ["segments", "/segments"],
    ["segment-new", "/segments/new"],
    ["segment", `/segments/${at(made.segment)}`],
    ["suppressions", "/suppressions"],
    ["keywords", "/keywords"],
    ["imports", "/imports"],
    ["import-new", "/imports/new"],
    ["credits", "/credits"],
    ["notifications", "/notifications"],
    ["credits-purchases", "/credits?tab=purchases"],
    ["developers", "/developers"],
    ...["webhooks", "events", "requests", "samples"].map((tab): [string, string] => [`developers-${tab}`, `/developers?tab=${tab}`]),
    ["webhook", `/developers/webhooks/${at(made.webhook)}`],
    ["settings", "/settings"],
    ...["sending", "texts", "senders", "members", "audit"].map((tab): [string, string] => [`settings-${tab}`, `/settings?tab=${tab}`]),
    ...["profile", "security", "sessions"].map((part): [string, string] => [`account-${part}`, `/account?part=${part}`]),
    ["unknown", "/nothing-here"],
  ];
  for (const [name, path] of pages) await shoot(page, name, path);
  judge("measured.json");
});

test("pictures of the operators' area", async ({ page, baseURL }) => {
  test.skip(FOLDER === undefined, "MSVS_SHOTS names no folder");
  test.setTimeout(300_000);
  mkdirSync(FOLDER!, { recursive: true });
  await shoot(page, "operators-sign-in", "/operators");
  const signed = await page.request.post("/ops/api/session", { data: { password: operatorPassword() }, headers: { Origin: baseURL! } });
  expect(signed.ok()).toBeTruthy();
  for (const name of ["", "jobs", "carriers", "routes", "workspaces", `workspaces/${demo().workspace_id}`, "log"]) await shoot(page, `operators-${name.split("_")[0]!.replace("/", "-")}`, `/operators/${name}`.replace(/\/$/, ""));
  judge("measured-operators.json");
});

/** Keep the figures of the pages of a test, and hold them against what a page may take. */
function judge(file: string) {
  const own = measured.splice(0);
  writeFileSync(`${FOLDER}/${file}`, JSON.stringify(own, null, 1));
  expect(own.filter(({ overflow }) => overflow > 0)).toEqual([]);
  expect(own.filter(({ lcp }) => lcp > 1500)).toEqual([]);
}
