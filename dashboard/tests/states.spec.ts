// Every page in each of its states, forced by what the service is made to answer; axe on each state.
import { AxeBuilder } from "@axe-core/playwright";
import { expect, test, type Page, type Route } from "@playwright/test";
import { logIn, makeList, rest } from "./steps";

// What the shell asks, which a state of a page leaves as it is.
const OF_SHELL = /^dashboard\/(?:SessionViewer|Shell|ShellNotifications)-/;
const REQUEST = "req_01K0PAGE0F8TATES0F0RCED00";

interface Place {
  name: string;
  path: string;
  /** The filter in the address that leaves nothing. */
  filtered?: string;
}

type Answer = { data?: unknown; errors?: unknown[] };

async function makeThings(page: Page): Promise<Place[]> {
  const list = await makeList(page, `States ${Date.now()}`, 2);
  const segment = await rest(page, "POST", "/segments", { name: `States ${Date.now()}`, filter: { all: [{ field: "opt_in_status", op: "eq", value: "opted_in" }] } });
  const campaign = await rest(page, "POST", "/campaigns", { name: `States ${Date.now()}`, body: "Doors open.", audience: { list_ids: [list] }, quiet_hours: false });
  const [contact] = (await rest(page, "GET", `/lists/${list}/contacts`))["data"] as { id: string; phone: string }[];
  const sent = await rest(page, "POST", "/messages", { to: contact!.phone, body: "See you at 8pm." });
  await rest(page, "POST", "/test/inbound", { from: contact!.phone, body: "Can I bring a friend?" });
  const webhook = await rest(page, "POST", "/webhooks", { url: `https://api.cohortlabs.co/webhooks/states/${Date.now()}`, events: ["message.delivered"] });
  const at = (of: Record<string, unknown>) => String(of["id"]);
  return [
    { name: "home", path: "/" },
    { name: "campaigns", path: "/campaigns", filtered: "/campaigns?status=CANCELED" },
    { name: "calendar", path: "/campaigns?view=calendar" },
    { name: "composer", path: "/campaigns/new" },
    { name: "campaign", path: `/campaigns/${at(campaign)}` },
    { name: "recipients", path: `/campaigns/${at(campaign)}?tab=recipients`, filtered: `/campaigns/${at(campaign)}?tab=recipients&status=CANCELED` },
    { name: "replies", path: `/campaigns/${at(campaign)}?tab=replies` },
    { name: "books", path: `/campaigns/${at(campaign)}?tab=books` },
    { name: "inbox", path: "/inbox", filtered: "/inbox?q=nobody%20says%20this" },
    { name: "thread", path: `/inbox?id=${contact!.id}&about=1` },
    { name: "flagged", path: "/inbox?view=flagged" },
    { name: "messages", path: "/messages", filtered: "/messages?error=nothing_of_this_code" },
    { name: "message", path: `/messages?id=${at(sent)}` },
    { name: "timeline", path: `/messages?id=${at(sent)}&tab=timeline` },
    { name: "why", path: `/messages?id=${at(sent)}&tab=why` },
    { name: "contacts", path: "/contacts", filtered: "/contacts?q=nobody%20of%20this%20name" },
    { name: "contact", path: `/contacts/${contact!.id}` },
    { name: "contact's messages", path: `/contacts/${contact!.id}?tab=messages` },
    { name: "lists", path: "/lists" },
    { name: "list", path: `/lists/${list}`, filtered: `/lists/${list}?q=nobody%20of%20this%20name` },
    { name: "segments", path: "/segments" },
    { name: "segment", path: `/segments/${at(segment)}` },
    { name: "suppressions", path: "/suppressions", filtered: "/suppressions?phone=%2B12125550199" },
    { name: "keywords", path: "/keywords" },
    { name: "imports", path: "/imports", filtered: "/imports?status=FAILED" },
    { name: "credits", path: "/credits" },
    { name: "purchases", path: "/credits?tab=purchases" },
    { name: "keys", path: "/developers" },
    { name: "webhooks", path: "/developers?tab=webhooks" },
    { name: "events", path: "/developers?tab=events&still=1", filtered: "/developers?tab=events&still=1&type=SUPPRESSION_DELETED" },
    { name: "requests", path: "/developers?tab=requests", filtered: "/developers?tab=requests&path=/v1/nothing" },
    { name: "webhook", path: `/developers/webhooks/${at(webhook)}` },
    { name: "settings", path: "/settings" },
    { name: "sending", path: "/settings?tab=sending" },
    { name: "texts", path: "/settings?tab=texts" },
    { name: "senders", path: "/settings?tab=senders" },
    { name: "members", path: "/settings?tab=members" },
    { name: "audit", path: "/settings?tab=audit", filtered: "/settings?tab=audit&actor=usr_01K0NOBODY0F7H18NAME000000" },
    { name: "notifications", path: "/notifications" },
    { name: "security", path: "/account?part=security" },
    { name: "sessions", path: "/account?part=sessions" },
  ];
}

const idOf = (route: Route): string => String((route.request().postDataJSON() as { id?: string }).id);

/** Have the service answer what pages ask for, the shell apart, in another way. */
async function force(page: Page, how: (route: Route) => Promise<void>) {
  await page.unrouteAll({ behavior: "ignoreErrors" });
  await page.route("**/graphql", (route) => (route.request().method() !== "POST" || OF_SHELL.test(idOf(route)) ? route.continue() : how(route)));
}

const refusal = (extensions: Record<string, unknown>, message = "Said by the service."): Answer => ({ data: null as unknown, errors: [{ message, extensions: { requestId: REQUEST, ...extensions } }] });
const answering = (answer: Answer) => (route: Route) => route.fulfill({ json: answer });

const AXE = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

async function checkState(page: Page, name: string, colorScheme: "light" | "dark") {
  await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
  const { violations } = await new AxeBuilder({ page }).withTags(AXE).analyze();
  expect.soft(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`), name).toEqual([]);
}

interface State {
  name: string;
  how: (route: Route) => Promise<void>;
  holds: (page: Page) => Promise<void>;
}

const STATES: readonly State[] = [
  {
    name: "loading",
    how: () => new Promise(() => undefined),
    holds: (page) => expect(page.getByRole("status", { name: "Loading" }).first()).toBeVisible(),
  },
  {
    name: "an error, with its request id and a retry",
    how: answering(refusal({ code: "internal_error", type: "api_error" })),
    holds: async (page) => {
      await expect(page.getByRole("alert").first()).toContainText(REQUEST);
      await expect(page.getByRole("alert").first().getByRole("button", { name: /Try again/ })).toBeVisible();
    },
  },
  {
    name: "not for the role, which is named",
    how: answering(refusal({ code: "permission_denied", type: "permission_error" })),
    holds: (page) => expect(page.getByRole("alert").first()).toContainText("Your role (Owner) does not allow this"),
  },
  {
    name: "rate limited, with a countdown",
    how: answering(refusal({ code: "rate_limit_exceeded", type: "rate_limit_error", retryAfter: 90 })),
    holds: (page) => expect(page.getByRole("alert").first()).toContainText(/Trying again in \d+ s/),
  },
  {
    name: "offline",
    how: (route) => route.abort(),
    holds: (page) => expect(page.getByRole("alert").first()).toContainText("The service does not answer"),
  },
];

test.describe.configure({ mode: "serial" });

for (const [number, state] of STATES.entries()) {
  test(`every page: ${state.name}`, async ({ page }) => {
    test.setTimeout(420_000);
    await logIn(page);
    const places = await makeThings(page);
    for (const [at, place] of places.entries()) {
      await force(page, state.how);
      await page.goto(`/dashboard${place.path}`);
      await test.step(`${place.name}: ${state.name}`, async () => {
        await expect.soft(async () => state.holds(page), `${place.name}: ${state.name}`).toPass({ timeout: 8000 });
        await checkState(page, `${place.name}: ${state.name}`, (number + at) % 2 === 0 ? "light" : "dark");
      });
    }
    await page.unrouteAll({ behavior: "ignoreErrors" });
  });
}

test("every page: a part that could not be read is told above what was, and read again", async ({ page }) => {
  test.setTimeout(300_000);
  await logIn(page);
  for (const place of await makeThings(page)) {
    await force(page, async (route) => {
      const answer = await route.fetch();
      const whole = (await answer.json()) as Answer;
      await route.fulfill({ json: { ...whole, errors: [{ message: "A part is missing.", extensions: { code: "internal_error", type: "api_error", requestId: REQUEST } }] } });
    });
    await page.goto(`/dashboard${place.path}`);
    await test.step(place.name, async () => {
      const note = page.getByRole("alert").filter({ hasText: REQUEST }).first();
      await expect.soft(note, place.name).toBeVisible({ timeout: 8000 });
      await page.unrouteAll({ behavior: "ignoreErrors" });
      for (let tries = 0; tries < 4 && (await page.getByRole("button", { name: "Try again" }).count()) > 0; tries++) {
        await page.getByRole("button", { name: "Try again" }).first().click();
        await page.waitForLoadState("networkidle");
      }
      await expect.soft(page.getByRole("alert").filter({ hasText: REQUEST }), `${place.name}: read again`).toHaveCount(0);
    });
  }
});

test("every filter that leaves nothing says so, and is cleared by one press", async ({ page }) => {
  test.setTimeout(240_000);
  await logIn(page);
  for (const { name, filtered } of await makeThings(page)) {
    if (filtered === undefined) continue;
    await page.goto(`/dashboard${filtered}`);
    await test.step(name, async () => {
      await expect.soft(page.getByText("Nothing matches these filters"), name).toBeVisible({ timeout: 8000 });
      await checkState(page, `${name}: filtered`, "dark");
      await page.getByRole("button", { name: /Clear/ }).first().click();
      await expect.soft(page.getByText("Nothing matches these filters"), `${name}: cleared`).toHaveCount(0);
    });
  }
});

test("first use: every page of an empty workspace says what it is for, with one thing to do", async ({ page }) => {
  test.setTimeout(240_000);
  await page.goto("/dashboard/signup");
  await page.getByLabel("Your name").fill("Ana Silva");
  await page.getByLabel("Workspace").fill("Empty Labs");
  await page.getByLabel("E-mail").fill(`empty.${Date.now()}@cohortlabs.example`);
  await page.getByLabel("Password").fill("violet harbor train nine");
  await page.getByRole("button", { name: "Create workspace" }).click();
  await page.getByRole("button", { name: "Go to the dashboard" }).click();
  await expect(page.locator("#page h1")).toBeVisible();
  // Path → what is offered first.
  const offers: readonly (readonly [string, RegExp])[] = [
    ["/", /contacts|list|campaign/i],
    ["/campaigns", /Write a campaign|New campaign/],
    ["/inbox", /reply|Handset|phone|example/i],
    ["/messages", /Send/],
    ["/contacts", /Import|Add/],
    ["/lists", /New list/],
    ["/segments", /New segment/],
    ["/suppressions", /Suppress a phone/],
    ["/keywords", /keyword/i],
    ["/imports", /Import/],
    ["/developers?tab=webhooks", /webhook|endpoint/i],
    ["/developers?tab=events", /./],
    ["/developers?tab=requests", /Code samples/],
    ["/settings?tab=senders", /./],
  ];
  for (const [path, offer] of offers) {
    await page.goto(`/dashboard${path}`);
    await test.step(path, async () => {
      const main = page.locator("#page");
      await expect.soft(main.locator("h1"), path).toBeVisible();
      await expect.soft(page.getByRole("status", { name: "Loading" }), path).toHaveCount(0);
      await expect.soft(main.getByRole("button", { name: offer }).or(main.getByRole("link", { name: offer })).first(), path).toBeVisible({ timeout: 8000 });
      await checkState(page, `${path}: first use`, "light");
    });
  }
});

test("a session that has ended is told over each page, which stays", async ({ page }) => {
  test.setTimeout(240_000);
  await logIn(page);
  for (const place of await makeThings(page)) {
    await force(page, answering(refusal({ code: "session_invalid", type: "authentication_error" }, "Log in.")));
    await page.goto(`/dashboard${place.path}`);
    await test.step(place.name, async () => {
      await expect.soft(page.getByRole("alertdialog"), place.name).toContainText("Your session has ended", { timeout: 8000 });
      await checkState(page, `${place.name}: session ended`, "light");
    });
  }
  await page.unrouteAll({ behavior: "ignoreErrors" });
});
