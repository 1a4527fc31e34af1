// A large file through the wizard: a million rows with MSVS_ROWS=1000000, of which some are faulty and some are there twice.
import { createWriteStream, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, type Page } from "@playwright/test";
import { checkPage, logIn, rest } from "./steps";

const ROWS = Number(process.env["MSVS_ROWS"] ?? 20_000);
const SHOTS = process.env["MSVS_SHOTS"];
const FAULTY_EVERY = 50;
const REPEATED_EVERY = 20;
// The demo service's limits of a minute hold here too: a row may take this long in the worst case.
const MS_PER_ROW = 2;
const PREFIXES = [212, 213, 310, 415, 617] as const;

/** Return a phone as people write it, another for each index. */
function phoneOf(index: number): string {
  const within = Math.floor(index / PREFIXES.length) + 2_100_000;
  const digits = String(within).padStart(7, "0");
  return `(${PREFIXES[index % PREFIXES.length]!}) ${digits.slice(0, 3)}-${digits.slice(3)}`;
}

/** Write the file; return how many of its rows are faulty, and how many repeat another. */
async function write(path: string): Promise<{ faulty: number; repeated: number }> {
  const out = createWriteStream(path);
  let [faulty, repeated] = [0, 0];
  let text = "Phone Number,First Name,Last Name,Email,Tier\n";
  for (let row = 1; row <= ROWS; row++) {
    let phone = phoneOf(row);
    if (row % FAULTY_EVERY === 0) {
      phone = "no phone";
      faulty++;
    } else if (row % REPEATED_EVERY === 1 && row > 1) {
      // The row before the one before is neither faulty nor a repeat.
      phone = phoneOf(row - 2);
      repeated++;
    }
    text += `${phone},Student ${row},Silva,student.${row}@example.com,${row % 3 === 0 ? "vip" : "free"}\n`;
    if (text.length > 1 << 20) {
      if (!out.write(text)) await once(out, "drain");
      text = "";
    }
  }
  out.end(text);
  await once(out, "finish");
  return { faulty, repeated };
}

async function shoot(page: Page, name: string) {
  if (SHOTS === undefined) return;
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: `${SHOTS}/large-${name}.png`, fullPage: true });
}

const seconds = (since: number) => ((performance.now() - since) / 1000).toFixed(1);

test("a large file is read, checked and taken, and each of its rows accounted for", async ({ page }) => {
  test.setTimeout(300_000 + 3 * ROWS * MS_PER_ROW);
  const waits = { timeout: 120_000 + ROWS * MS_PER_ROW };
  const folder = mkdtempSync(join(tmpdir(), "msvs-large-"));
  const file = join(folder, "students.csv");
  const { faulty, repeated } = await write(file);
  const shown = (value: number) => value.toLocaleString("en-US");
  const count = (name: string) => page.locator(`[data-count="${name}"] td`);
  await logIn(page);
  const list = await rest(page, "POST", "/lists", { name: `Large ${Date.now()}` });
  await page.goto("/dashboard/imports/new");
  const began = performance.now();
  await page.getByLabel("Drop a file here, or choose one").setInputFiles(file);
  if (ROWS > 200_000) {
    await expect(page.getByRole("progressbar")).toBeVisible();
    await shoot(page, "upload");
  }
  await expect(page.getByRole("button", { name: "See what would come of it" })).toBeVisible(waits);
  const uploaded = seconds(began);
  await expect(page.locator('[data-column="Phone Number"]')).toContainText("Phone");
  await shoot(page, "columns");
  await page.getByLabel("Where all of them agreed").fill("course sign-up");
  await page.getByLabel("When they agreed", { exact: false }).fill("2026-04-22T10:00");
  await page.getByRole("button", { name: /Put them on a list/ }).click();
  await page.getByRole("option", { name: String(list["name"]) }).click();
  await page.getByLabel("Country of phones without +").fill("us");

  const expected = { created: ROWS - faulty - repeated, updated: 0, duplicate: repeated, invalid: faulty, rows: ROWS };
  const checking = performance.now();
  await page.getByRole("button", { name: "See what would come of it" }).click();
  if (ROWS > 200_000) {
    await expect(page.getByRole("progressbar")).toBeVisible();
    await shoot(page, "checking");
  }
  await expect(page.getByRole("table", { name: "What would come of it" })).toBeVisible(waits);
  const checked = seconds(checking);
  for (const [name, value] of Object.entries(expected)) await expect(count(name)).toHaveText(shown(value));
  await checkPage(page);
  await shoot(page, "check");

  const running = performance.now();
  await page.getByRole("button", { name: "Run the import" }).click();
  if (ROWS > 200_000) {
    await expect(page.getByRole("progressbar")).toBeVisible();
    await shoot(page, "running");
  }
  await expect(page.getByRole("table", { name: "What came of it" })).toBeVisible(waits);
  console.log(`${shown(ROWS)} rows: upload and columns ${uploaded} s, check ${checked} s, run ${seconds(running)} s`);
  for (const [name, value] of Object.entries(expected)) await expect(count(name)).toHaveText(shown(value));
  await expect(page.getByText("Every row is accounted for.")).toBeVisible();
  await checkPage(page);
  await shoot(page, "report");

  // The list's own page opens on them, and each of the pages of people stays usable.
  await page.getByRole("link", { name: "See the list" }).click();
  await expect(page.getByRole("grid", { name: "Members" }).locator("tbody tr").first()).toBeVisible();
  await shoot(page, "list");
  await page.goto(`/dashboard/contacts?q=${encodeURIComponent(`student.${ROWS - 3}@`)}`);
  await expect(page.getByRole("grid", { name: "Contacts" }).locator("tbody tr[data-row]")).toHaveCount(1);
  await shoot(page, "search");
  rmSync(folder, { recursive: true });
});
