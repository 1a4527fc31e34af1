// An export from the page that it is begun from to its file; axe on each page, by keyboard alone.
import { mkdirSync, readFileSync } from "node:fs";
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

test("contacts of a list, from the list to the file", async ({ page }) => {
  await logIn(page);
  const list = await rest(page, "POST", "/lists", { name: `Alumni ${Date.now()}` });
  const contact = await rest(page, "POST", "/contacts", { phone: "+12125550187", first_name: "=1+1" });
  await rest(page, "POST", `/lists/${String(list["id"])}/contacts`, { contact_ids: [contact["id"]] });

  await page.goto(`/dashboard/lists/${String(list["id"])}`);
  await page.getByRole("link", { name: "Export", exact: true }).press("Enter");
  await expect(page.getByRole("heading", { level: 1 })).toContainText("New export");
  await expect(page).toHaveURL(/kind=contacts&list=lst_/);
  await expect(page.getByText(String(list["name"]))).toBeVisible();
  await checkPage(page);
  await shoot(page, "exports-new");
  await page.getByRole("button", { name: "Export", exact: true }).press("Enter");

  await expect(page.getByRole("heading", { level: 1 })).toContainText("Exports");
  const row = page.getByRole("grid", { name: "Exports" }).locator("tbody tr").first();
  const link = row.getByRole("link", { name: /Download contacts-/ });
  await expect(link).toBeVisible({ timeout: 20_000 });
  await checkPage(page);
  await shoot(page, "exports");
  const [download] = await Promise.all([page.waitForEvent("download"), link.press("Enter")]);
  expect(download.suggestedFilename()).toMatch(/^contacts-\d{4}-\d{2}-\d{2}\.csv$/);
  const text = readFileSync((await download.path())!, "utf-8");
  expect(text.split("\n")[0]).toContain("id,phone,first_name");
  expect(text).toContain(",+12125550187,'=1+1,");
  expect(text.trim().split("\n")).toHaveLength(2);
});

test("contacts of the page's filters, from the page to the file", async ({ page }) => {
  await logIn(page);
  const tag = `alumni ${Date.now()}`;
  const contact = await rest(page, "POST", "/contacts", { phone: "+12125550188", first_name: "Bia", attributes: { plan: "gold" } });
  await rest(page, "POST", "/contacts", { phone: "+12125550189", first_name: "Bia", attributes: { plan: "gold" } });
  await rest(page, "POST", `/contacts/${String(contact["id"])}/tags`, { add: [tag] });

  await page.goto(`/dashboard/contacts?${new URLSearchParams({ q: "bia", tag, attribute: "plan", value: "gold", since: "2026-01-01" }).toString()}`);
  await page.getByRole("link", { name: "Export", exact: true }).press("Enter");
  await expect(page.getByText(tag)).toBeVisible();
  await checkPage(page);
  await page.getByRole("button", { name: "Export", exact: true }).press("Enter");
  const link = page.getByRole("grid", { name: "Exports" }).locator("tbody tr").first().getByRole("link", { name: /Download contacts-/ });
  await expect(link).toBeVisible({ timeout: 20_000 });
  const [download] = await Promise.all([page.waitForEvent("download"), link.press("Enter")]);
  const lines = readFileSync((await download.path())!, "utf-8").trim().split("\n");
  expect(lines).toHaveLength(2);
  expect(lines[1]).toContain("+12125550188");
});
