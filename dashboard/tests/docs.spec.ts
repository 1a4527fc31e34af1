// The samples of the documentation, with a sandbox key of the reader who is logged in.
import { AxeBuilder } from "@axe-core/playwright";
import { expect, test, type Page } from "@playwright/test";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { demo, logIn, rest } from "./steps";

const KEY = /msvs_test_[0-9A-Za-z]{36}/;
const TABS = ["curl", "Python", "Node.js", "Ruby", "PHP", "Go"];
const NAME = "Samples of the documentation";
const PLACES = "The samples show where your key goes.";

/** Everything that the browser keeps beyond the tab, and the address. */
const keptBeyond = (page: Page) => page.evaluate(() => JSON.stringify({ ...localStorage }) + location.href + document.cookie);

/** Hold the bar with the key against axe; `make pages` does so with the pages. */
async function checkBar(page: Page) {
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    const { violations } = await new AxeBuilder({ page }).include(".msvs-key").analyze();
    expect(violations.map(({ id, nodes }) => `${colorScheme} ${id}: ${nodes.map(({ html }) => html).join(" | ")}`)).toEqual([]);
  }
}

const textOfSamples = (page: Page) => page.locator(".md-content pre code").allTextContents();

/** Ask the API with a key, and return the status. */
const statusOf = async (page: Page, key: string) => (await page.request.get("/v1/workspace", { headers: { Authorization: `Bearer ${key}` } })).status();

/** Have the samples filled, and return the key. */
async function fillIn(page: Page): Promise<string> {
  const bar = page.locator(".msvs-key");
  await bar.getByRole("button", { name: "Fill in a sandbox key of mine" }).click();
  await expect(bar.getByRole("status")).toContainText("The samples have a sandbox key of");
  return KEY.exec((await textOfSamples(page)).join("\n"))![0];
}

interface Listed {
  name: string;
  livemode: boolean;
  scopes: string[];
  last4: string;
  created_at: string;
  expires_at: string | null;
}

/** The keys that were made for samples, newest first. */
async function keysOfSamples(page: Page): Promise<Listed[]> {
  const { data } = (await rest(page, "GET", "/api_keys?limit=100")) as unknown as { data: Listed[] };
  return data.filter(({ name }) => name === NAME);
}

test("samples of a reader who is not logged in keep their places", async ({ page }) => {
  await page.goto("/docs/messages");
  const bar = page.locator(".msvs-key");
  await expect(bar).toContainText(PLACES);
  await bar.getByRole("button", { name: "Fill in a sandbox key of mine" }).click();
  await expect(bar.getByRole("status")).toContainText("Log in to the dashboard in this browser first");
  expect((await textOfSamples(page)).join("\n")).not.toMatch(KEY);
  await checkBar(page);
});

test("samples take a key of the reader, on each page, until the session ends", async ({ page }) => {
  await logIn(page);
  const addresses: string[] = [];
  page.context().on("request", (request) => addresses.push(request.url()));
  const heard: string[] = [];
  page.on("console", (message) => heard.push(message.text()));
  await page.goto("/docs/messages");
  const bar = page.locator(".msvs-key");
  const key = await fillIn(page);
  expect(await statusOf(page, key)).toBe(200);
  // Of the sandbox, for 12 hours, and not for everything.
  const made = (await keysOfSamples(page)).find(({ last4 }) => key.endsWith(last4))!;
  expect(made.livemode).toBe(false);
  const hours = (Date.parse(made.expires_at!) - Date.parse(made.created_at)) / 3_600_000;
  expect(hours).toBeGreaterThan(11.9);
  expect(hours).toBeLessThanOrEqual(12.1);
  expect(made.scopes).toContain("messages:send");
  for (const scope of ["contacts:erase", "settings:write", "credits:buy", "keys:read"]) expect(made.scopes).not.toContain(scope);
  const asked = { headers: { Authorization: `Bearer ${key}` } };
  expect((await page.request.get("/v1/api_keys", asked)).status()).toBe(403);
  expect((await page.request.post("/v1/workspace", { ...asked, data: { name: "Another" } })).status()).toBe(403);
  const origin = new URL(page.url()).origin;
  const set = page.locator(".tabbed-set").first();
  for (const tab of TABS) {
    await set.locator(".tabbed-labels").getByText(tab, { exact: true }).click();
    const sample = set.locator(".tabbed-block").nth(TABS.indexOf(tab)).locator("pre code").first();
    await expect(sample).toBeVisible();
    await expect(sample).toContainText(key);
    await expect(sample).toContainText(origin);
  }
  await checkBar(page);
  // Another guide shows the same key; nothing else has it.
  await page.goto("/docs/quickstart");
  await expect(bar.getByRole("status")).toContainText("The samples have a sandbox key of");
  expect((await textOfSamples(page)).join("\n")).toContain(key);
  await page.goto("/docs/messages");
  expect(await keptBeyond(page)).not.toContain(key);
  expect([...addresses, ...heard].join("\n")).not.toContain(key);
  expect(readFileSync(process.env["MSVS_LOG"]!, "utf8")).not.toContain(key);
  // A tab of its own has none. The reference that this page opened has a copy, which goes as well.
  const own = await page.context().newPage();
  await own.goto("/docs/messages");
  await expect(own.locator(".msvs-key")).toContainText(PLACES);
  expect((await textOfSamples(own)).join("\n")).not.toContain(key);
  await own.close();
  const opened = page.context().waitForEvent("page");
  await page.evaluate(() => void open("/docs/reference/#/Messages/createMessage"));
  const reference = await opened;
  // Swagger UI reads the whole document before it opens an operation: that takes seconds, and a minute on a busy machine.
  await expect(reference.locator(".samples pre").first()).toContainText(key, { timeout: 240_000 });
  // A tab that stays open drops it as soon as its reader logs out elsewhere; and so does one that is loaded again.
  const other = await page.context().newPage();
  await other.goto("/dashboard");
  await expect(other.locator("#page h1")).toBeVisible();
  await other.getByRole("button", { name: /^Account of / }).click();
  await other.getByRole("menuitem", { name: "Log out" }).click();
  await expect(other.getByLabel("Password")).toBeVisible();
  await expect(bar).toContainText(PLACES);
  expect((await textOfSamples(page)).join("\n")).not.toContain(key);
  await expect(reference.locator(".samples pre").first()).not.toContainText(key);
  expect([...addresses, ...heard].join("\n")).not.toContain(key);
  for (const tab of [page, reference]) expect(await tab.evaluate(() => sessionStorage.getItem("msvs.docs.key"))).toBeNull();
});

test("a reader takes the key out, and it is revoked", async ({ page }) => {
  await logIn(page);
  await page.goto("/docs/campaigns");
  const bar = page.locator(".msvs-key");
  const before = await textOfSamples(page);
  const key = await fillIn(page);
  expect(await statusOf(page, key)).toBe(200);
  await bar.getByRole("button", { name: "Take my key out and revoke it" }).click();
  await expect(bar).toContainText(PLACES);
  expect(await textOfSamples(page)).toEqual(before);
  await expect.poll(() => statusOf(page, key)).toBe(401);
});

test("samples lose the key once the service has ended the session", async ({ page }) => {
  await logIn(page);
  await page.goto("/docs/messages");
  const key = await fillIn(page);
  await page.context().clearCookies();
  await page.reload();
  await expect(page.locator(".msvs-key")).toContainText(PLACES);
  await expect.poll(() => page.evaluate(() => sessionStorage.getItem("msvs.docs.key"))).toBeNull();
  expect((await textOfSamples(page)).join("\n")).not.toContain(key);
});

test("a key that is not revoked, as the network fails, stays to be revoked", async ({ page }) => {
  await logIn(page);
  await page.goto("/docs/messages");
  const key = await fillIn(page);
  const bar = page.locator(".msvs-key");
  const button = bar.getByRole("button", { name: "Take my key out and revoke it" });
  await page.route("**/graphql", (route) => (route.request().postData()?.includes("DocsKeyRevoke") ? route.abort() : route.continue()));
  await button.click();
  await expect(bar.getByRole("status")).not.toContainText("The samples have");
  expect(await statusOf(page, key)).toBe(200);
  await page.unroute("**/graphql");
  await button.click();
  await expect(bar).toContainText(PLACES);
  await expect.poll(() => statusOf(page, key)).toBe(401);
});

test("a page of another origin neither reads the key nor makes one", async ({ page }) => {
  const heard: string[] = [];
  const server = createServer((request, answer) => {
    heard.push(request.url ?? "");
    answer.setHeader("Content-Type", "text/html").setHeader("Access-Control-Allow-Origin", "*");
    answer.end("<!doctype html><title>Another site</title>");
  });
  await once(server.listen(0, "0.0.0.0"), "listening");
  const { port } = server.address() as AddressInfo;
  await logIn(page);
  await page.goto("/docs/messages");
  const key = await fillIn(page);
  const docs = new URL(page.url()).origin;
  const before = (await keysOfSamples(page)).length;
  const viewer = JSON.stringify({ query: "{ viewer { session { csrfToken } } }" });
  const create = JSON.stringify({ query: `mutation { createApiKey(name: "${NAME}") { __typename } }` });
  // One of the same site on another port, whose requests bring the cookie, and one of another site.
  for (const host of ["127.0.0.1", "localhost"]) {
    const foreign = `http://${host}:${port}`;
    const other = await page.context().newPage();
    await other.goto(foreign);
    const read = await other.evaluate(
      async ({ docs, viewer, create }) => {
        const tried = async (work: () => Promise<unknown>) => work().then(String, () => "refused");
        const send = (body: string, type: string, mode: RequestMode) => () =>
          fetch(`${docs}/graphql`, { method: "POST", credentials: "include", mode, headers: { "Content-Type": type }, body }).then((answer) => answer.text());
        const kept = sessionStorage.getItem("msvs.docs.key") ?? localStorage.getItem("msvs.docs.key") ?? "nothing";
        const frame = document.createElement("iframe");
        frame.src = `${docs}/docs/messages`;
        document.body.append(frame);
        await new Promise((resolve) => frame.addEventListener("load", resolve));
        return {
          kept,
          viewer: await tried(send(viewer, "application/json", "cors")),
          plain: await tried(send(viewer, "text/plain", "cors")),
          create: await tried(send(create, "application/json", "cors")),
          blind: await tried(send(create, "text/plain", "no-cors")),
          script: await tried(() => import(`${docs}/docs/assets/key.js`)),
        };
      },
      { docs, viewer, create },
    );
    expect(read).toEqual({ kept: "nothing", viewer: "refused", plain: "refused", create: "refused", blind: "", script: "refused" });
    expect(other.frames().map((frame) => frame.url())).not.toContain(`${docs}/docs/messages`);
    const opened = page.context().waitForEvent("page");
    const isHeld = await other.evaluate(async (address) => {
      const view = open(address);
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      return view !== null && !view.closed;
    }, `${docs}/docs/messages`);
    expect(isHeld, "the window that another site opened is out of its reach").toBe(false);
    await (await opened).close();
    await other.close();
    // Without a browser in between: the cookie alone, with that Origin.
    for (const body of [viewer, create]) {
      const answer = await page.request.post("/graphql", { headers: { "Content-Type": "application/json", Origin: foreign }, data: body });
      expect(await answer.text()).toContain("origin_refused");
    }
  }
  // A request of the own origin needs the session's token too.
  const tokens: Record<string, string>[] = [{}, { "X-CSRF-Token": "0" }];
  for (const headers of tokens) {
    const answer = await page.request.post("/graphql", {
      headers: { "Content-Type": "application/json", Origin: docs, "X-Workspace": demo().workspace_id, ...headers },
      data: create,
    });
    expect(await answer.text()).not.toContain("ApiKeyWithText");
  }
  expect((await keysOfSamples(page)).length).toBe(before);
  // What was put into the page itself runs no script and sends nothing out.
  const sent = await page.evaluate(
    async ({ foreign, key }) => {
      const script = document.createElement("script");
      script.textContent = "document.documentElement.dataset.ran = 'yes'";
      const image = new Image();
      image.src = `${foreign}/image?${key}`;
      document.body.append(script, image);
      await new Promise((resolve) => image.addEventListener("error", resolve));
      const fetched = await fetch(`${foreign}/fetch?${key}`).then(() => "sent", () => "refused");
      return { fetched, ran: document.documentElement.dataset["ran"] ?? "no" };
    },
    { foreign: `http://127.0.0.1:${port}`, key },
  );
  expect(sent).toEqual({ fetched: "refused", ran: "no" });
  expect(heard.join("\n")).not.toContain(key);
  server.close();
});
