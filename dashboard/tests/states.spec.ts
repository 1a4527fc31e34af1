// Every page in each of its states, forced by what the service is made to answer; axe on each state.
import { AxeBuilder } from "@axe-core/playwright";
import { expect, test, type Page, type Route } from "@playwright/test";
import { logIn, makeList, OF_SHELL, rest, signUp } from "./steps";

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
  const sequence = await rest(page, "POST", "/sequences", { name: `States ${Date.now()}`, template: "welcome" });
  await rest(page, "POST", `/sequences/${String(sequence["id"])}/publish`);
  await rest(page, "POST", `/sequences/${String(sequence["id"])}/enrollments`, { contact_id: contact!.id });
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
    { name: "campaign's events", path: `/campaigns/${at(campaign)}?tab=events` },
    { name: "sequences", path: "/sequences", filtered: "/sequences?status=PAUSED" },
    { name: "sequence", path: `/sequences/${at(sequence)}` },
    { name: "sequence's people", path: `/sequences/${at(sequence)}?tab=people`, filtered: `/sequences/${at(sequence)}?tab=people&state=COMPLETED` },
    { name: "sequence's editor", path: `/sequences/${at(sequence)}/edit` },
    { name: "templates", path: "/templates", filtered: "/templates?q=nothing%20of%20this%20name" },
    { name: "snippets", path: "/templates?tab=snippets" },
    { name: "inbox", path: "/inbox", filtered: "/inbox?q=nobody%20says%20this" },
    { name: "thread", path: `/inbox?id=${contact!.id}&about=1` },
    { name: "flagged", path: "/inbox?view=flagged" },
    { name: "handset", path: "/handset" },
    { name: "phone", path: `/handset?phone=${encodeURIComponent(contact!.phone)}` },
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
    { name: "conversions", path: "/conversions", filtered: "/conversions?order=nothing%20of%20this%20number" },
    { name: "imports", path: "/imports", filtered: "/imports?status=FAILED" },
    { name: "connections", path: "/connections" },
    { name: "new connection", path: "/connections/new" },
    { name: "exports", path: "/exports", filtered: "/exports?status=FAILED" },
    { name: "credits", path: "/credits" },
    { name: "purchases", path: "/credits?tab=purchases" },
    { name: "rates", path: "/credits?tab=rates" },
    { name: "keys", path: "/developers" },
    { name: "webhooks", path: "/developers?tab=webhooks" },
    { name: "events", path: "/developers?tab=events&still=1", filtered: "/developers?tab=events&still=1&type=CREDITS_LOW" },
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

const SHOWN_MS = 6000;

/** What did not hold: told at once, and held against the test at its end, so that one run shows all of it. */
class Failures {
  readonly found: string[] = [];

  async hold(name: string, check: () => Promise<unknown>) {
    try {
      await check();
    } catch (error) {
      const said = `${name}: ${String(error instanceof Error ? error.message : error).split("\n").slice(0, 4).join(" ")}`;
      console.log(said);
      this.found.push(said);
    }
  }

  /** Hold the page as it stands against axe. */
  async axe(page: Page, name: string, colorScheme: "light" | "dark") {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    const { violations } = await new AxeBuilder({ page }).withTags(AXE).analyze();
    for (const { id, nodes } of violations) await this.hold(`${name} in ${colorScheme}`, () => Promise.reject(new Error(`axe ${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`)));
  }

  none() {
    expect(this.found).toEqual([]);
  }
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
    holds: (page) => expect(page.getByRole("status", { name: "Loading" }).first()).toBeVisible({ timeout: SHOWN_MS }),
  },
  {
    name: "an error, with its request id and a retry",
    how: answering(refusal({ code: "internal_error", type: "api_error" })),
    holds: async (page) => {
      await expect(page.getByRole("alert").first()).toContainText(REQUEST, { timeout: SHOWN_MS });
      await expect(page.getByRole("alert").first().getByRole("button", { name: /Try again/ })).toBeVisible();
    },
  },
  {
    name: "not for the role, which is named",
    how: answering(refusal({ code: "permission_denied", type: "permission_error" })),
    holds: (page) => expect(page.getByRole("alert").first()).toContainText("Your role (Owner) does not allow this", { timeout: SHOWN_MS }),
  },
  {
    name: "rate limited, with a countdown",
    how: answering(refusal({ code: "rate_limit_exceeded", type: "rate_limit_error", retryAfter: 90 })),
    holds: (page) => expect(page.getByRole("alert").first()).toContainText(/Trying again in \d+ s/, { timeout: SHOWN_MS }),
  },
  {
    name: "offline",
    how: (route) => route.abort(),
    holds: (page) => expect(page.getByRole("alert").first()).toContainText("The service does not answer", { timeout: SHOWN_MS }),
  },
];

for (const [number, state] of STATES.entries()) {
  test(`every page: ${state.name}`, async ({ page }) => {
    test.setTimeout(420_000);
    await logIn(page);
    const failures = new Failures();
    for (const [at, { name, path }] of (await makeThings(page)).entries()) {
      await force(page, state.how);
      await page.goto(`/dashboard${path}`);
      await failures.hold(name, () => state.holds(page));
      await failures.axe(page, name, (number + at) % 2 === 0 ? "light" : "dark");
    }
    await page.unrouteAll({ behavior: "ignoreErrors" });
    failures.none();
  });
}

test("every page: a part that could not be read is told above what was, and read again", async ({ page }) => {
  test.setTimeout(420_000);
  await logIn(page);
  const failures = new Failures();
  for (const { name, path } of await makeThings(page)) {
    await force(page, async (route) => {
      const answer = await route.fetch();
      const whole = (await answer.json()) as Answer;
      await route.fulfill({ json: { ...whole, errors: [{ message: "A part is missing.", extensions: { code: "internal_error", type: "api_error", requestId: REQUEST } }] } });
    });
    await page.goto(`/dashboard${path}`);
    // What stands behind a drawer is inert: nobody reads or presses it there.
    const told = page.locator("[role=alert]:not([inert] *)").filter({ hasText: REQUEST });
    const again = page.locator("button:not([inert] *)").filter({ hasText: "Try again" }).first();
    const readAgain = () =>
      expect(async () => {
        // A press that finds nothing must not wait on into the next page.
        if (await again.isVisible()) await again.click({ timeout: 1500 });
        await expect(told).toHaveCount(0, { timeout: 1500 });
      }).toPass({ timeout: 2 * SHOWN_MS });
    await failures.hold(name, () => expect(told.first()).toBeVisible({ timeout: SHOWN_MS }));
    await page.unrouteAll({ behavior: "ignoreErrors" });
    await failures.hold(`${name}, read again`, readAgain);
    if (!(await page.getByRole("dialog").isVisible())) continue;
    await page.keyboard.press("Escape");
    await expect(page.getByRole("dialog")).toHaveCount(0);
    await failures.hold(`${name}, behind it`, readAgain);
  }
  failures.none();
});

test("every filter that leaves nothing says so, and is cleared by one press", async ({ page }) => {
  test.setTimeout(240_000);
  await logIn(page);
  const failures = new Failures();
  const said = page.getByText("Nothing matches these filters");
  for (const { name, filtered } of await makeThings(page)) {
    if (filtered === undefined) continue;
    await page.goto(`/dashboard${filtered}`);
    await failures.hold(name, () => expect(said).toBeVisible({ timeout: SHOWN_MS }));
    await failures.axe(page, name, "dark");
    await failures.hold(`${name}, cleared`, async () => {
      await page.getByRole("button", { name: "Clear filters" }).last().click({ timeout: SHOWN_MS });
      await expect(said).toHaveCount(0, { timeout: SHOWN_MS });
    });
  }
  failures.none();
});

// What makes the first one is offered in the middle of the page, and not at its head too.
const NEW_ONE = /^New /;

test("first use: every page of an empty workspace says what it is for, with one thing to do", async ({ page }) => {
  test.setTimeout(240_000);
  await signUp(page, "Empty");
  const main = page.locator("#page");
  const failures = new Failures();
  // Path → the one thing that is offered.
  const offers: readonly (readonly [string, RegExp])[] = [
    ["/", /contacts|list|campaign/i],
    ["/campaigns", /Write a campaign/],
    ["/sequences", /New sequence/],
    ["/templates", /New template/],
    ["/templates?tab=snippets", /New snippet/],
    ["/messages", /Send the first message/],
    ["/contacts", /Import|Add/],
    ["/lists", /New list/],
    ["/segments", /New segment/],
    ["/suppressions", /Suppress a phone/],
    ["/keywords", /keyword/i],
    ["/conversions", /Add a shop/],
    ["/imports", /Import|file/i],
    ["/exports", /New export/],
    ["/connections", /Connect a service/],
    ["/inbox", /sandbox|Handset|phone|reply/i],
    ["/handset", /Open phone/],
    ["/handset?phone=%2B14155550107", /Send a first message/],
    ["/developers?tab=webhooks", /webhook|endpoint/i],
    ["/developers?tab=events", /Send a message/],
    ["/developers?tab=requests", /Code samples/],
    ["/settings?tab=senders", /Choose the default sender/],
  ];
  for (const [path, offer] of offers) {
    await page.goto(`/dashboard${path}`);
    await failures.hold(path, async () => {
      await expect(main.getByRole("button", { name: offer }).or(main.getByRole("link", { name: offer })).first()).toBeVisible({ timeout: SHOWN_MS });
      for (const role of ["button", "link"] as const) expect(await main.getByRole(role, { name: NEW_ONE }).count(), "offered once").toBeLessThanOrEqual(1);
      await expect(page.getByRole("status", { name: "Loading" })).toHaveCount(0);
    });
    await failures.axe(page, path, "light");
  }
  failures.none();
});

test("a session that has ended is told over each page, which stays", async ({ page }) => {
  test.setTimeout(420_000);
  await logIn(page);
  const failures = new Failures();
  for (const [at, { name, path }] of (await makeThings(page)).entries()) {
    await force(page, answering(refusal({ code: "session_invalid", type: "authentication_error" }, "Log in.")));
    await page.goto(`/dashboard${path}`);
    await failures.hold(name, () => expect(page.getByRole("alertdialog")).toContainText("Your session has ended", { timeout: SHOWN_MS }));
    // It is the shell's, the same over each page.
    if (at % 8 === 0) await failures.axe(page, name, "light");
  }
  await page.unrouteAll({ behavior: "ignoreErrors" });
  failures.none();
});

test("a part that came too soon is read again by itself", async ({ page }) => {
  await logIn(page);
  let refused = 0;
  let isSoon = true;
  await force(page, async (route) => {
    const answer = await route.fetch();
    const whole = (await answer.json()) as Answer;
    if (!isSoon) return route.fulfill({ response: answer, json: whole });
    return route.fulfill({ json: { ...whole, errors: refusal({ code: "rate_limit_exceeded", type: "rate_limit_error", retryAfter: 3, requestId: `${REQUEST.slice(0, -2)}${10 + refused++}` }).errors } });
  });
  await page.goto("/dashboard/conversions");
  const told = page.getByRole("alert").filter({ hasText: /Trying again in \d+ s/ });
  // The page from before may have been asking still: what it was refused is not told here.
  await expect(told.first()).toBeVisible({ timeout: SHOWN_MS });
  isSoon = false;
  await expect(told).toHaveCount(0, { timeout: 2 * SHOWN_MS });
});
