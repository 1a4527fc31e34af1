// Pictures of every page from the narrowest phone to the widest screen, light and dark, each held against axe and its width.
// They are kept where MSVS_SHOTS names a folder: MSVS_SHOTS=/tmp/shots make dashboard-test ARGS=pictures
import { mkdirSync, writeFileSync } from "node:fs";
import { expect, test, type Page, type Route } from "@playwright/test";
import { atEachSize, demo, logIn, makeList, OF_SHELL, operatorPassword, rest, violationsOf } from "./steps";

const FOLDER = process.env["MSVS_SHOTS"];
// Some of the pages and widths, to see again what was mended: MSVS_PAGES='^(exports|campaigns)$' MSVS_WIDTHS=320,390
const PAGES = new RegExp(process.env["MSVS_PAGES"] ?? "");
const WIDTHS = process.env["MSVS_WIDTHS"]?.split(",").map(Number);
const LCP_MS = 1500;
const TRIES = 3;

type Place = readonly [name: string, path: string];

interface Measured {
  name: string;
  /** When the largest thing of the page was painted, in ms. */
  lcp: number;
}

/** Return the tables whose last column is cut off, which nobody sees to scroll for. */
const cutTables = (page: Page): Promise<string[]> =>
  page.evaluate(() =>
    [...document.querySelectorAll("table")]
      .map((table) => ({ name: table.getAttribute("aria-label") ?? "a table", over: table.scrollWidth - table.parentElement!.clientWidth, isSeen: table.checkVisibility(), room: table.parentElement!.clientWidth }))
      // Those for readers of the screen alone are in a box of one pixel.
      .filter(({ over, isSeen, room }) => isSeen && room > 1 && over > 1)
      .map(({ name, over }) => `${name} is cut by ${over} px`),
  );

/** Return how many px a page goes on below what it holds: what is hidden in a part that scrolls makes it longer unless it is placed there. */
const blankBelow = (page: Page): Promise<number> =>
  page.evaluate(() => {
    const { scrollHeight, clientHeight } = document.documentElement;
    return Math.floor(scrollHeight - Math.max(clientHeight, document.getElementById("root")!.getBoundingClientRect().bottom + scrollY));
  });

/** The widths and themes of an album; all where left out. */
interface Seen {
  widths?: readonly number[];
  schemes?: readonly ("light" | "dark")[];
}

/** What did not hold: told at once, and held against the test at its end, so that one run shows all of it. */
class Album {
  readonly measured: Measured[] = [];
  readonly wrong: string[] = [];

  readonly page: Page;
  private readonly seen: Seen;

  constructor(page: Page, seen: Seen = {}) {
    this.page = page;
    this.seen = seen;
    if (FOLDER !== undefined) mkdirSync(FOLDER, { recursive: true });
  }

  async open(name: string, path: string) {
    if (!PAGES.test(name)) return;
    const { page } = this;
    await page.setViewportSize({ width: 1440, height: 900 });
    await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
    let lcp = await this.load(path);
    // What else runs here gets it another try.
    for (let again = 1; again < TRIES && lcp > LCP_MS; again++) lcp = Math.min(lcp, await this.load(path));
    this.measured.push({ name, lcp: Math.round(lcp) });
    await this.take(name);
  }

  /** Open a page; return when its largest thing was painted, in ms. */
  private async load(path: string): Promise<number> {
    const { page } = this;
    await page.goto("about:blank");
    await page.goto(`/dashboard${path}`);
    await page.waitForLoadState("networkidle").catch(() => undefined);
    await page.waitForTimeout(300);
    return page.evaluate(
      () =>
        new Promise<number>((done) => {
          new PerformanceObserver((list) => done(list.getEntries().at(-1)!.startTime)).observe({ type: "largest-contentful-paint", buffered: true });
          setTimeout(() => done(-1), 1000);
        }),
    );
  }

  /** Take the page as it stands, at each width in light and dark. */
  async take(name: string) {
    const { page } = this;
    await atEachSize(page, async (width, scheme) => {
      if (FOLDER !== undefined) await page.screenshot({ path: `${FOLDER}/${name}-${width}-${scheme}.png`, fullPage: true });
      for (const cut of await cutTables(page)) this.tell(`${name} at ${width}: ${cut}`);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (overflow > 0) this.tell(`${name} is ${overflow} px wider than ${width}`);
      const blank = await blankBelow(page);
      if (blank > 0) this.tell(`${name} at ${width} goes on ${blank} px below what it holds`);
      for (const each of await violationsOf(page, scheme === "dark")) this.tell(`${name} at ${width}, ${scheme}: ${each}`);
    }, this.seen.widths?.filter((width) => WIDTHS?.includes(width) ?? true) ?? WIDTHS, this.seen.schemes);
  }

  private tell(what: string) {
    console.log(what);
    this.wrong.push(what);
  }

  /** Keep the figures, and hold them against what a page may take. */
  judge(file: string) {
    if (FOLDER !== undefined) writeFileSync(`${FOLDER}/${file}.json`, JSON.stringify(this.measured, null, 1));
    const times = this.measured.map(({ lcp }) => lcp).filter((lcp) => lcp >= 0).toSorted((one, other) => one - other);
    if (times.length > 0) console.log(`${this.measured.length} pages: LCP median ${times[times.length >> 1]} ms, longest ${times.at(-1)} ms`);
    expect(this.wrong).toEqual([]);
    expect(this.measured.filter(({ lcp }) => lcp > LCP_MS)).toEqual([]);
  }
}

const idOf = (each: unknown) => String((each as { id?: string } | undefined)?.id);

async function makeThings(page: Page) {
  const stamp = Date.now();
  const list = await makeList(page, "Cohort 07", 8);
  await rest(page, "POST", "/lists", { name: "Webinar in May" });
  const segment = await rest(page, "POST", "/segments", { name: "Opted in", filter: { all: [{ field: "opt_in_status", op: "eq", value: "opted_in" }, { list }] } });
  const body = "Hi {firstName|there}, doors open at 8pm. Reply STOP to opt out.";
  const campaign = await rest(page, "POST", "/campaigns", { name: "Doors open", body, audience: { list_ids: [list] }, quiet_hours: false });
  const draft = await rest(page, "POST", "/campaigns", { name: "Last seats", body: "Hi {firstName|there} – three seats are left.", audience: { list_ids: [list] }, draft: true });
  const links = await rest(page, "POST", "/campaigns", { name: "Cart closes", body: "Cart closes tonight: https://cohortlabs.co/cart", audience: { list_ids: [list] }, quiet_hours: false, shorten_links: true });
  for (const [name, days] of [["Reminder of the webinar", 2], ["Early bird ends", 2], ["Last call", 3]] as const)
    await rest(page, "POST", "/campaigns", { name, body, audience: { list_ids: [list] }, scheduled_at: new Date(stamp + days * 86_400_000).toISOString() });
  const [contact, buyer] = (await rest(page, "GET", `/lists/${list}/contacts`))["data"] as { id: string; phone: string }[];
  await rest(page, "POST", `/contacts/${contact!.id}/tags`, { add: ["vip", "webinar"] });
  const sent = await rest(page, "POST", "/messages", { to: "+14155550101", body: "Your seat is kept until midnight." });
  await rest(page, "POST", "/messages", { to: contact!.phone, body: "See you tomorrow at 8pm." });
  await rest(page, "POST", "/test/inbound", { from: contact!.phone, body: "Can I bring a friend?" });
  const webhook = await rest(page, "POST", "/webhooks", { url: `https://api.cohortlabs.co/webhooks/sms/${stamp}`, events: ["message.delivered", "message.failed"] });
  await rest(page, "POST", "/suppressions", { phone: "+12125550666", source: "complaint" }).catch(() => undefined);
  await rest(page, "POST", "/keywords", { word: `COHORT${stamp % 1000}`, list_id: list }).catch(() => undefined);
  await rest(page, "POST", "/exports", { kind: "contacts" }).catch(() => undefined);
  const snippet = await rest(page, "POST", "/snippets", { name: `signature-${stamp}`, body: "Ana from Cohort Labs. Reply STOP to opt out." });
  const template = await rest(page, "POST", "/templates", { name: `Cart close ${stamp}`, body: `Hey {firstName|there}, the cart closes tonight. {snippet.signature-${stamp}}`, tags: ["launch"] });
  const sequence = await rest(page, "POST", "/sequences", { name: "Five-day challenge", template: "challenge", entry: { list_ids: [list] }, quiet_hours: false });
  await rest(page, "POST", `/sequences/${idOf(sequence)}/publish`);
  await rest(page, "POST", `/sequences/${idOf(sequence)}/enrollments`, { contact_id: contact!.id });
  await rest(page, "POST", "/sequences", { name: "Webinar in May", template: "webinar_reminder" });
  await page.waitForTimeout(6000);
  // Both after the campaign has gone out, which they follow.
  for (const [order, value] of [["A-1042", 4900], ["A-1043", 14900]] as const)
    await rest(page, "POST", "/conversions", { contact_id: buyer!.id, order_id: `${order}-${stamp}`, value, currency: "USD" });
  await rest(page, "POST", "/order_hooks", { type: "stripe", name: "Course shop" }).catch(() => undefined);
  return { list, segment, campaign, draft, contact: contact!, links, sent, snippet, template, webhook, sequence };
}

test("pictures of the pages before logging in", async ({ page }) => {
  test.setTimeout(600_000);
  const album = new Album(page);
  for (const name of ["login", "signup", "forgot", "reset", "confirm", "invitation"]) await album.open(name, `/${name}`);
  album.judge("before");
});

const GROUPS: Record<string, (made: Awaited<ReturnType<typeof makeThings>>) => readonly Place[]> = {
  sequences: ({ sequence, snippet, template }) => [
    ["templates", "/templates"],
    ["template-new", "/templates?open=new"],
    ["template-edit", `/templates?open=${idOf(template)}`],
    ["snippets", "/templates?tab=snippets"],
    ["snippet-edit", `/templates?tab=snippets&open=${idOf(snippet)}`],
    ["sequences", "/sequences"],
    ["sequence-new", "/sequences/new"],
    ["sequence", `/sequences/${idOf(sequence)}`],
    ["sequence-people", `/sequences/${idOf(sequence)}?tab=people`],
    ["sequence-edit", `/sequences/${idOf(sequence)}/edit`],
  ],
  campaigns: ({ campaign, draft, links }) => [
    ["home", "/"],
    ["campaigns", "/campaigns"],
    ["campaigns-filtered", "/campaigns?q=nothing%20of%20this%20name"],
    ["calendar", "/campaigns?view=calendar"],
    ["compose-new", "/campaigns/new"],
    ["compose", `/campaigns/new?id=${idOf(draft)}`],
    ["campaign", `/campaigns/${idOf(campaign)}`],
    ["campaign-links", `/campaigns/${idOf(links)}`],
    ...["recipients", "replies", "books", "events"].map((tab): Place => [`campaign-${tab}`, `/campaigns/${idOf(campaign)}?tab=${tab}`]),
  ],
  messages: ({ contact, sent }) => [
    ["inbox", "/inbox"],
    ["inbox-thread", `/inbox?id=${contact.id}`],
    ["inbox-about", `/inbox?id=${contact.id}&about=1`],
    ["inbox-flagged", "/inbox?view=flagged"],
    ["handset", "/handset"],
    ["handset-phone", `/handset?phone=${encodeURIComponent(contact.phone)}`],
    ["handset-empty", "/handset?phone=%2B14155550107"],
    ["messages", "/messages"],
    ["messages-filtered", "/messages?status=CANCELED"],
    ["messages-drawer", `/messages?id=${idOf(sent)}`],
    ["messages-timeline", `/messages?id=${idOf(sent)}&tab=timeline`],
    ["messages-why", `/messages?id=${idOf(sent)}&tab=why`],
    ["messages-send", "/messages?send=1"],
  ],
  audience: ({ contact, list, segment }) => [
    ["contacts", "/contacts"],
    ["contacts-filtered", "/contacts?consent=OPTED_IN&tag=vip"],
    ["contact", `/contacts/${contact.id}`],
    ["contact-messages", `/contacts/${contact.id}?tab=messages`],
    ["contact-notes", `/contacts/${contact.id}?tab=notes`],
    ["lists", "/lists"],
    ["list", `/lists/${list}`],
    ["segments", "/segments"],
    ["segment-new", "/segments/new"],
    ["segment", `/segments/${idOf(segment)}`],
    ["suppressions", "/suppressions"],
    ["keywords", "/keywords"],
    ["conversions", "/conversions"],
    ["conversions-filtered", "/conversions?order=nothing%20of%20this%20number"],
    ["imports", "/imports"],
    ["import-new", "/imports/new"],
    ["connections", "/connections"],
    ["connection-new", "/connections/new"],
    ["connection-csv", "/connections/new?type=csv"],
  ],
  workspace: ({ webhook }) => [
    ["credits", "/credits"],
    ...["purchases", "rates"].map((tab): Place => [`credits-${tab}`, `/credits?tab=${tab}`]),
    ["exports", "/exports"],
    ["export-new", "/exports/new?kind=contacts"],
    ["notifications", "/notifications"],
    ["developers", "/developers"],
    ...["webhooks", "events", "requests", "samples"].map((tab): Place => [`developers-${tab}`, `/developers?tab=${tab}`]),
    ["webhook", `/developers/webhooks/${idOf(webhook)}`],
    ["settings", "/settings"],
    ...["sending", "texts", "senders", "members", "ownership", "audit"].map((tab): Place => [`settings-${tab}`, `/settings?tab=${tab}`]),
    ...["profile", "security", "sessions"].map((part): Place => [`account-${part}`, `/account?part=${part}`]),
    ["unknown", "/nothing-here"],
  ],
};

for (const [group, places] of Object.entries(GROUPS)) {
  test(`pictures of the pages of ${group}`, async ({ page }) => {
    test.setTimeout(1_200_000);
    await logIn(page);
    const album = new Album(page);
    for (const [name, path] of places(await makeThings(page))) await album.open(name, path);
    album.judge(group);
  });
}

test("pictures of an import's columns and of its check", async ({ page }) => {
  test.setTimeout(600_000);
  await logIn(page);
  const album = new Album(page);
  await page.goto("/dashboard/imports/new");
  const phone = `+1212559${String(Date.now() % 10_000).padStart(4, "0")}`;
  await page.getByLabel("Or paste rows").fill(`phone,first name,plan\n${phone},Maria,gold\nnothing,Kofi,silver`);
  await page.getByRole("button", { name: "Go on with these rows" }).click();
  await expect(page.getByLabel("Where all of them agreed")).toBeVisible();
  await album.take("import-columns");
  await page.getByLabel("Where all of them agreed").fill("web_form");
  await page.getByRole("button", { name: "See what would come of it" }).click();
  await expect(page.getByRole("button", { name: "Run the import" })).toBeVisible();
  await album.take("import-check");
  album.judge("import");
});

const REQUEST = "req_01K0PAGE0F8TATES0F0RCED00";
const refusal = (extensions: Record<string, unknown>) => (route: Route) =>
  route.fulfill({ json: { data: null, errors: [{ message: "Said by the service.", extensions: { requestId: REQUEST, ...extensions } }] } });
const STATES: Record<string, (route: Route) => Promise<void>> = {
  loading: () => new Promise(() => undefined),
  error: refusal({ code: "internal_error", type: "api_error" }),
  role: refusal({ code: "permission_denied", type: "permission_error" }),
  rate: refusal({ code: "rate_limit_exceeded", type: "rate_limit_error", retryAfter: 90 }),
  offline: (route) => route.abort(),
  ended: refusal({ code: "session_invalid", type: "authentication_error" }),
};

test("pictures of the states of pages", async ({ page }) => {
  test.setTimeout(1_200_000);
  await logIn(page);
  const album = new Album(page, { widths: [390, 1440] });
  for (const [state, how] of Object.entries(STATES)) {
    await page.route("**/graphql", (route) => {
      const asked = route.request().method() === "POST" ? String((route.request().postDataJSON() as { id?: string }).id) : "";
      return asked === "" || OF_SHELL.test(asked) ? route.continue() : how(route);
    });
    for (const [name, path] of [["campaigns", "/campaigns"], ["inbox", "/inbox"], ["credits", "/credits"]] as const) {
      await page.goto(`/dashboard${path}`);
      await page.waitForTimeout(1200);
      await album.take(`state-${state}-${name}`);
    }
    await page.unrouteAll({ behavior: "ignoreErrors" });
  }
  album.judge("states");
});

for (const language of ["pt-BR", "es"] as const) {
  test(`pictures in ${language}`, async ({ page }) => {
    test.setTimeout(600_000);
    await logIn(page);
    await page.addInitScript((chosen) => localStorage.setItem("msvs.language", chosen), language);
    const album = new Album(page, { widths: [320, 1440], schemes: ["light"] });
    for (const [name, path] of [["home", "/"], ["campaigns", "/campaigns"], ["calendar", "/campaigns?view=calendar"], ["compose", "/campaigns/new"], ["sequence-new", "/sequences/new"], ["templates", "/templates"], ["conversions", "/conversions"], ["inbox", "/inbox"], ["contacts", "/contacts"], ["import-new", "/imports/new"], ["connections", "/connections"], ["developers-webhooks", "/developers?tab=webhooks"], ["settings-sending", "/settings?tab=sending"], ["credits", "/credits"]] as const)
      await album.open(`${name}.${language}`, path);
    await expect(page.locator("html")).toHaveAttribute("lang", language);
    album.judge(language);
  });
}

test("pictures of the operators' area", async ({ page, baseURL }) => {
  test.setTimeout(600_000);
  const album = new Album(page);
  await album.open("operators-sign-in", "/operators");
  const signed = await page.request.post("/ops/api/session", { data: { password: operatorPassword() }, headers: { Origin: baseURL! } });
  expect(signed.ok()).toBeTruthy();
  for (const name of ["", "jobs", "carriers", "routes", "workspaces", `workspaces/${demo().workspace_id}`, "log"]) await album.open(`operators-${name.split("_")[0]!.replace("/", "-")}`, `/operators/${name}`.replace(/\/$/, ""));
  album.judge("operators");
});
