// A service connected from its address to the contacts on the list, and people who are posted; axe on each page.
import { createServer, type Server } from "node:http";
import { mkdirSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { expect, test, type Page } from "@playwright/test";
import { checkPage, logIn, rest } from "./steps";

const SHOTS = process.env["MSVS_SHOTS"];

async function shoot(page: Page, name: string) {
  if (SHOTS === undefined) return;
  mkdirSync(SHOTS, { recursive: true });
  const size = page.viewportSize()!;
  for (const [width, height] of [[1440, 900], [390, 844]] as const) {
    await page.setViewportSize({ width, height });
    await page.screenshot({ path: `${SHOTS}/${name}-${width}.png`, fullPage: true });
  }
  await page.setViewportSize(size);
}

let site: Server;
let address: string;
let table: string;

test.beforeAll(async () => {
  site = createServer((request, response) => {
    response.writeHead(request.url === "/members.csv" ? 200 : 404, { "Content-Type": "text/csv" });
    response.end(request.url === "/members.csv" ? table : "");
  });
  await new Promise<void>((heard) => site.listen(0, "127.0.0.1", heard));
  address = `http://127.0.0.1:${(site.address() as AddressInfo).port}/members.csv`;
});
test.afterAll(() => site.close());

const count = (page: Page, name: string) => page.locator(`[data-count="${name}"] td`);
const phones = (size: number) => Array.from({ length: size }, (_, each) => `212558${String((Date.now() + each) % 10_000).padStart(4, "0")}`);

test("an address of a file, from the service to the contacts and back", async ({ page }) => {
  test.setTimeout(180_000);
  const [maria, joao] = phones(2);
  table = `Phone,First Name,Plan\n${maria},Maria,gold\n${joao},João,silver\n12,Kofi,gold\n`;
  const name = `Members ${Date.now()}`;
  await logIn(page);
  await page.goto("/dashboard/connections");
  await expect(page.getByRole("heading", { level: 1 })).toContainText("Connections");
  await checkPage(page);
  await page.getByRole("link", { name: "Connect a service" }).click();
  await expect(page.getByRole("list", { name: "Services" }).getByRole("listitem")).toHaveCount(7);
  await checkPage(page);
  await shoot(page, "connections-services");
  await page.getByRole("link", { name: /CSV or Google Sheets/ }).click();

  // What is wrong is told at the setting that it is about.
  await page.getByLabel("Name of the list").fill(name);
  await page.getByLabel("Address", { exact: true }).fill("members.csv");
  await page.getByRole("button", { name: "Connect and look" }).click();
  await expect(page.getByText("Address is not valid.", { exact: false })).toBeVisible();
  await checkPage(page);
  await shoot(page, "connections-access");
  await page.getByLabel("Address", { exact: true }).fill(address);
  await page.getByRole("button", { name: "Connect and look" }).click();

  // The dry run proposes what the fields are; nothing has changed.
  await expect(page).toHaveURL(/\/dashboard\/connections\/lst_/);
  await expect(page.getByRole("button", { name: "See what would come of it" })).toBeVisible({ timeout: 60_000 });
  await expect(page.locator('[data-field="Phone"]')).toContainText("Phone");
  await expect(page.getByText("Nobody is opted in by a sync alone", { exact: false })).toBeVisible();
  await page.getByLabel("Where all of them agreed").fill("club sign-up");
  await page.getByLabel("Country of phones without +").fill("us");
  await checkPage(page);
  await shoot(page, "connections-fields");
  await page.getByRole("button", { name: "See what would come of it" }).click();
  await expect(page.getByRole("button", { name: "Confirm and sync" })).toBeVisible({ timeout: 60_000 });
  for (const [part, value] of Object.entries({ created: "2", invalid: "1", people: "3" })) await expect(count(page, part)).toHaveText(value);
  await expect(page.getByRole("grid", { name: "The first people" }).first()).toContainText("Maria");
  await expect(page.getByRole("grid", { name: "People who could not be read" })).toContainText("not a valid phone");
  await checkPage(page);
  await shoot(page, "connections-check");
  const id = /lst_\w+/.exec(page.url())![0];
  expect((await rest(page, "GET", `/lists/${id}`))["contact_count"]).toBe(0);
  await page.getByRole("button", { name: "Confirm and sync" }).click();

  await expect(page.locator("#page").getByText("Up to date")).toBeVisible({ timeout: 60_000 });
  const runs = page.getByRole("grid", { name: "Syncs" });
  await expect(runs.locator("tbody tr")).toHaveCount(3, { timeout: 20_000 });
  await expect(runs.locator("tbody tr").first()).toContainText("Completed");
  await checkPage(page);
  await shoot(page, "connections-active");
  const members = (await rest(page, "GET", `/lists/${id}/contacts`))["data"] as { first_name: string; opt_in: { status: string } }[];
  expect(members.map((each) => each.first_name).toSorted()).toEqual(["João", "Maria"]);
  expect(members.map((each) => each.opt_in.status)).toEqual(["opted_in", "opted_in"]);

  // The secret is never shown again; a pause holds, and what is disconnected keeps its contacts.
  await page.getByRole("button", { name: "Access" }).click();
  await expect(page.getByRole("dialog").getByLabel("Address", { exact: true })).toHaveValue("");
  await checkPage(page);
  await page.getByRole("button", { name: "Not now" }).click();
  await page.getByRole("button", { name: "Pause" }).click();
  await expect(page.getByRole("status").filter({ hasText: "Paused" })).toBeVisible();
  await page.getByRole("button", { name: "Resume" }).click();
  await expect(page.getByRole("status").filter({ hasText: "Up to date" })).toBeVisible();
  table = `Phone,First Name,Plan\n${maria},Maria,gold\n`;
  await page.getByRole("button", { name: "Sync now" }).click();
  await expect(runs.locator("tbody tr")).toHaveCount(4, { timeout: 60_000 });
  await expect(page.getByRole("link", { name: "1 on the list" })).toBeVisible({ timeout: 60_000 });
  await page.goto("/dashboard/connections");
  await expect(page.getByRole("grid", { name: "Connections" })).toContainText(name);
  await checkPage(page);
  await shoot(page, "connections-list");
  await page.getByRole("link", { name }).click();
  await page.getByRole("button", { name: "Disconnect" }).click();
  await checkPage(page);
  await page.getByRole("alertdialog").getByRole("button", { name: "Disconnect" }).click();
  await expect(page).toHaveURL(/\/dashboard\/lists\/lst_/);
  await expect(page.getByRole("grid", { name: "Members" }).locator("tbody tr")).toHaveCount(1);
});

test("people who are posted, by the keyboard alone, and what stops a list", async ({ page }) => {
  test.setTimeout(120_000);
  const [phone] = phones(1);
  await logIn(page);
  await page.goto("/dashboard/connections/new?type=hook");
  /** Go on by Tab until something has the focus. */
  const press = async (name: string) => {
    const target = page.getByRole("button", { name, exact: true });
    await expect(target).toBeVisible();
    for (let turn = 0; turn < 60; turn++) {
      if (await target.evaluate((each) => each === document.activeElement)) return page.keyboard.press("Enter");
      await page.keyboard.press("Tab");
    }
    throw new Error(`${name} is not reached by the keyboard`);
  };
  await press("Make the address");
  await expect(page.getByText("Waits for a first post")).toBeVisible();
  await checkPage(page);
  await press("Show the address");
  const hook = (await page.locator("[data-hook]").textContent())!;
  await shoot(page, "connections-hook");
  const post = async () => expect((await page.request.post(new URL(hook).pathname, { data: { phone: `+1${phone}`, name: "Maria Silva" } })).ok()).toBeTruthy();
  await post();
  await expect(page.getByRole("button", { name: "See what would come of it" })).toBeVisible({ timeout: 20_000 });
  await press("See what would come of it");
  await press("Confirm and sync");
  await expect(page.locator("#page").getByText("Up to date")).toBeVisible();
  // Another delivery than the one that was sampled.
  const again = await page.request.post(new URL(hook).pathname, { data: { phone: `+1${phone}`, name: "Maria Silva", plan: "gold" } });
  expect(((await again.json()) as { counts: { created: number } }).counts.created).toBe(1);
  await expect(page.getByRole("link", { name: "1 on the list" })).toBeVisible({ timeout: 20_000 });

  const gone = await rest(page, "POST", "/lists", { name: `Gone ${Date.now()}`, source: { type: "csv", settings: { url: address.replace("members", "gone") } } });
  await page.goto(`/dashboard/connections/${String(gone["id"])}`);
  await expect(page.getByRole("status").filter({ hasText: "Stopped" })).toBeVisible({ timeout: 60_000 });
  await expect(page.getByRole("alert").filter({ hasText: "Address:" })).toBeVisible();
  await checkPage(page);
  await shoot(page, "connections-stopped");
});
