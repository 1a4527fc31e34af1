// An import from its file to its report: columns, consent, the check, the run, the faulty rows, and its undoing; axe on each.
import { mkdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { expect, test, type Page } from "@playwright/test";
import { checkPage, logIn, rest } from "./steps";

const SHOTS = process.env["MSVS_SHOTS"];
const EXPORT = fileURLToPath(new URL("files/club-export.csv", import.meta.url));

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

const count = (page: Page, name: string) => page.locator(`[data-count="${name}"] td`);
const pick = async (page: Page, column: string, what: string) => {
  await page.locator(`[data-column="${column}"]`).getByRole("button").first().click();
  await page.getByRole("option", { name: what, exact: true }).click();
};

test("a file of another tool, from the file to the report and back", async ({ page }) => {
  await logIn(page);
  const list = await rest(page, "POST", "/lists", { name: `Club ${Date.now()}` });
  await page.goto("/dashboard/imports");
  await expect(page.getByRole("heading", { level: 1 })).toContainText("Imports");
  await checkPage(page);
  await shoot(page, "imports-first");
  await page.getByRole("link", { name: "Import a file" }).click();
  await checkPage(page);
  await shoot(page, "imports-new");
  await page.getByLabel("Drop a file here, or choose one").setInputFiles(EXPORT);

  // It maps itself; its consent is set aside, so that the warning is seen, and evidence for all is told.
  await expect(page.getByRole("button", { name: "See what would come of it" })).toBeVisible();
  await expect(page).toHaveURL(/\/dashboard\/imports\/imp_/);
  await expect(page.locator('[data-column="Mobile Phone Number"]')).toContainText("Phone");
  await expect(page.locator('[data-column="First Name"]')).toContainText("Maria · João");
  await expect(page.getByRole("list", { name: "The file" })).toContainText("UTF-8");
  await expect(page.getByText("Consent is read row by row from “SMS Consent”.")).toBeVisible();
  await pick(page, "SMS Consent", "Leave out");
  await expect(page.getByText("Without evidence nobody is opted in", { exact: false })).toBeVisible();
  await pick(page, "Plan", "Leave out");
  await pick(page, "Plan", "An attribute");
  await page.locator('[data-column="Plan"]').getByLabel("Its key").fill("course_plan");
  await page.getByLabel("Where all of them agreed").fill("course sign-up");
  await page.getByLabel("When they agreed", { exact: false }).fill("2026-04-22T10:00");
  await page.getByLabel("What they agreed to, word for word").fill("Text me about my course.");
  await page.getByRole("button", { name: /Put them on a list/ }).click();
  await page.getByRole("option", { name: String(list["name"]) }).click();
  await page.getByLabel("Country of phones without +").fill("us");
  await checkPage(page);
  await shoot(page, "imports-columns");
  await page.getByRole("button", { name: "See what would come of it" }).click();

  await expect(page.getByRole("table", { name: "What would come of it" })).toBeVisible();
  const expected = { created: "3", updated: "0", unchanged: "0", duplicate: "1", suppressed: "0", invalid: "2", rows: "6" };
  for (const [name, value] of Object.entries(expected)) await expect(count(page, name)).toHaveText(value);
  await expect(page.getByText("Those with evidence are opted in", { exact: false })).toBeVisible();
  await expect(page.getByRole("grid", { name: "Invalid rows" }).locator("tbody tr")).toHaveCount(2);
  // A reload goes on where it was.
  await expect(page).toHaveURL(/step=check/);
  await page.reload();
  await expect(count(page, "created")).toHaveText("3");
  await checkPage(page);
  await shoot(page, "imports-check");
  await page.getByRole("link", { name: "Change columns and consent" }).click();
  await expect(page.getByLabel("Where all of them agreed")).toHaveValue("course sign-up");
  await expect(page.getByLabel("When they agreed", { exact: false })).toHaveValue("2026-04-22T10:00");
  await page.getByRole("button", { name: "See what would come of it" }).click();
  await page.getByRole("button", { name: "Run the import" }).click();

  await expect(page.getByRole("table", { name: "What came of it" })).toBeVisible();
  for (const [name, value] of Object.entries(expected)) await expect(count(page, name)).toHaveText(value);
  await expect(page.getByText("Every row is accounted for.")).toBeVisible();
  await expect(page.getByText("2 rows were not taken. 3 contacts are in.")).toBeVisible();
  await checkPage(page);
  await shoot(page, "imports-report");

  const saving = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download the faulty rows" }).click();
  const saved = await saving;
  expect(saved.suggestedFilename()).toBe("club-export-invalid.csv");
  const lines = readFileSync(await saved.path(), "utf8").replace("\ufeff", "").trim().split("\n");
  expect(lines).toHaveLength(3);
  expect(lines[0]).toMatch(/^Record ID - Contact,.*,reason$/);
  expect(lines[1]).toContain("Kofi");

  await page.getByRole("link", { name: "See the list" }).click();
  await expect(page.getByRole("grid", { name: "Members" }).locator("tbody tr")).toHaveCount(3);
  await expect(page.getByRole("grid", { name: "Members" })).toContainText("Opted in");
  await page.goBack();
  await page.getByRole("button", { name: "Undo import" }).click();
  await checkPage(page);
  await page.getByRole("alertdialog").getByRole("button", { name: "Undo import" }).click();
  await expect(page.getByText("What was undone")).toBeVisible();
  await expect(page.getByText("Contacts deleted").locator("..")).toContainText("3");
  await checkPage(page);
  await shoot(page, "imports-undone");
  await page.goto("/dashboard/imports");
  await expect(page.getByRole("grid", { name: "Imports" })).toContainText("Undone");
  await checkPage(page);
  await shoot(page, "imports-list");
});

test("by the keyboard alone, from a compressed file", async ({ page }) => {
  await logIn(page);
  const phones = [1, 2].map((each) => `+1212558${String((Date.now() + each) % 10_000).padStart(4, "0")}`);
  const file = gzipSync(`Nome;Celular;Aceita SMS\nAna;${phones[0]};sim\nBia;${phones[1]};não\n`);
  await page.goto("/dashboard/imports/new");
  const choose = page.getByLabel("Drop a file here, or choose one");
  await expect(choose).toBeVisible();
  /** Go on by Tab until something has the focus. */
  const reach = async (name: string, role: "button" | "link" | "textbox" = "button") => {
    const target = page.getByRole(role, { name });
    await expect(target).toBeVisible();
    for (let turn = 0; turn < 60; turn++) {
      if (await target.evaluate((each) => each === document.activeElement)) return;
      await page.keyboard.press("Tab");
    }
    throw new Error(`${name} is not reached by the keyboard`);
  };
  await choose.focus();
  const asked = page.waitForEvent("filechooser");
  await page.keyboard.press("Enter");
  await (await asked).setFiles({ name: "alunas.csv.gz", mimeType: "application/gzip", buffer: file });
  await reach("See what would come of it");
  await page.keyboard.press("Enter");
  await expect(count(page, "created")).toHaveText("2");
  await reach("Run the import");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("table", { name: "What came of it" })).toBeVisible();
  await expect(page.getByText("All rows were taken. 2 contacts are in.")).toBeVisible();
  await expect(page.getByText("Opted in", { exact: true }).locator("..")).toContainText("1");
  await reach("See the contacts", "link");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1 })).toContainText("Contacts");
});

test("a file without phones asks for its column, and an upload that broke off goes on", async ({ page }) => {
  await logIn(page);
  await page.goto("/dashboard/imports/new");
  await page.getByLabel("Drop a file here, or choose one").setInputFiles({ name: "empty.csv", mimeType: "text/csv", buffer: Buffer.from("") });
  await expect(page.getByText("The file is empty.")).toBeVisible();
  await page.getByLabel("Or paste rows").fill("name,city\nAna,Recife");
  await page.getByRole("button", { name: "Go on with these rows" }).click();
  await expect(page.getByText("No column is known to hold phones.", { exact: false })).toBeVisible();
  await expect(page.getByRole("button", { name: "See what would come of it" })).toBeDisabled();
  await checkPage(page);
  await page.getByRole("button", { name: "Cancel import" }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Cancel import" }).click();
  await expect(page.getByText("It was canceled before any contact was changed.")).toBeVisible();
  await checkPage(page);

  // The second part never arrives, and the tab is loaded again.
  const about = "Asked about the evening course. ".repeat(30);
  const rows = Array.from({ length: 5000 }, (_, row) => `Student ${row},student.${row}@example.com,5550${row},${about}`);
  const file = { name: "long.csv", mimeType: "text/csv", buffer: Buffer.from(`name,email,phone,about\n${rows.join("\n")}\n`) };
  let parts = 0;
  const isPart = (url: URL) => url.searchParams.has("offset");
  await page.route(isPart, (route) => (++parts === 2 ? route.abort() : parts > 2 ? undefined : route.fallback()));
  await page.goto("/dashboard/imports/new");
  await page.getByLabel("Drop a file here, or choose one").setInputFiles(file);
  await expect(page.getByRole("progressbar")).toBeVisible();
  await expect(page.getByText("A part did not come through. It is sent again.")).toBeVisible();
  await checkPage(page);
  await page.reload();
  // Only now: what is held back would go on its way otherwise.
  await page.unroute(isPart);
  await expect(page.getByText("The upload broke off.", { exact: false })).toBeVisible();
  await checkPage(page);
  await page.getByLabel("Choose long.csv again").setInputFiles({ ...file, name: "other.csv" });
  await expect(page.getByText("This is other.csv.", { exact: false })).toBeVisible();
  await page.getByLabel("Choose long.csv again").setInputFiles(file);
  await expect(page.getByRole("button", { name: "See what would come of it" })).toBeVisible();
  await page.getByRole("button", { name: "See what would come of it" }).click();
  await expect(count(page, "rows")).toHaveText("5,000");
  await page.goto("/dashboard/imports/imp_00000000000000000000000000");
  await expect(page.getByText("There is no such import")).toBeVisible();
});
