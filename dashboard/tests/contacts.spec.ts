// Contacts and what finds them: a contact's page, lists, segments, suppressions and keywords; axe on each page.
import { expect, test } from "@playwright/test";
import { mkdirSync } from "node:fs";
import { checkPage, logIn, rest } from "./steps";

const SHOTS = process.env["MSVS_SHOTS"];

/** Take pictures at a desk's and a phone's width, where a folder for them is named. */
async function shoot(page: import("@playwright/test").Page, name: string) {
  if (SHOTS === undefined) return;
  mkdirSync(SHOTS, { recursive: true });
  const size = page.viewportSize()!;
  for (const [width, height] of [[1440, 900], [390, 844]] as const) {
    await page.setViewportSize({ width, height });
    await page.screenshot({ path: `${SHOTS}/${name}-${width}.png` });
  }
  await page.setViewportSize(size);
}

const phoneOf = (last: number) => `+1212556${String((Date.now() + last) % 10_000).padStart(4, "0")}`;

/** Go on from rows that were pasted to the report of their import. */
async function importPasted(page: import("@playwright/test").Page, source?: string) {
  await page.getByRole("button", { name: "Go on with these rows" }).click();
  await expect(page.getByLabel("Where all of them agreed")).toBeVisible();
  if (source !== undefined) await page.getByLabel("Where all of them agreed").fill(source);
  await page.getByRole("button", { name: "See what would come of it" }).click();
  await page.getByRole("button", { name: "Run the import" }).click();
  await expect(page.getByRole("table", { name: "What came of it" })).toBeVisible();
}

test("find, open and change contacts that were imported", async ({ page }) => {
  await logIn(page);
  const surname = `Imported${Date.now()}`;
  await page.goto("/dashboard/contacts");
  await page.locator("#page").getByRole("link", { name: /^Import/ }).first().click();
  await page.getByLabel("Or paste rows").fill(`phone,first name,last name,plan\n${phoneOf(1)},Ana,${surname},gold\n${phoneOf(2)},Bia,${surname},\nnothing,Carl,${surname},`);
  await importPasted(page, "web_form");
  await expect(page.getByText("1 row was not taken.", { exact: false })).toBeVisible();
  await expect(page.getByRole("grid", { name: "Invalid rows" })).toContainText("nothing");
  await page.getByRole("link", { name: "See the contacts" }).click();

  await page.getByLabel("Search", { exact: true }).fill(surname);
  await expect(page).toHaveURL(new RegExp(`q=${surname}`));
  const rows = page.getByRole("grid", { name: "Contacts" }).locator("tbody tr");
  await expect(rows).toHaveCount(2);
  await checkPage(page);
  await shoot(page, "contacts");
  await page.reload();
  await expect(rows).toHaveCount(2);
  await rows.filter({ hasText: "Ana" }).focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1 })).toContainText(`Ana ${surname}`);
  await expect(page.getByText("Evidence, newest first")).toBeVisible();
  await expect(page.getByText("Entry", { exact: false }).first()).toBeVisible();
  await checkPage(page);
  await shoot(page, "contact");
});

test("a contact: attributes, notes, opt-out, deletion", async ({ page }) => {
  await logIn(page);
  const made = await rest(page, "POST", "/contacts", { phone: phoneOf(7), first_name: "Gil", attributes: { plan: "gold" } });
  await page.goto(`/dashboard/contacts/${String(made["id"])}`);
  await page.getByRole("button", { name: "Edit attributes" }).click();
  await page.getByRole("group", { name: "Attribute 1" }).getByLabel("Value").fill("silver");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("silver")).toBeVisible();
  await page.getByRole("button", { name: "Notes" }).click();
  await page.getByLabel("New note").fill("Prefers evenings.");
  await page.getByRole("button", { name: "Add note" }).click();
  await expect(page.getByRole("listitem").filter({ hasText: "Prefers evenings." })).toBeVisible();
  await checkPage(page);
  await page.getByRole("button", { name: "Opt out" }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Opt out" }).click();
  await expect(page.getByText("Opted out", { exact: true }).first()).toBeVisible();
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Delete" }).click();
  await expect(page).toHaveURL(/\/dashboard\/contacts$/);
  await page.goto(`/dashboard/contacts?q=nobody${Date.now()}`);
  await page.getByRole("button", { name: "Clear filters" }).click();
  await expect(page).toHaveURL(/\/dashboard\/contacts$/);
});

test("lists: make, rename, fill, empty, delete", async ({ page }) => {
  await logIn(page);
  await page.goto("/dashboard/lists");
  const name = `Regulars ${Date.now()}`;
  await page.getByRole("button", { name: "New list" }).click();
  await page.getByRole("dialog").getByLabel("Name").fill(name);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1 })).toContainText(name);
  await page.getByRole("link", { name: "Import contacts" }).click();
  await page.getByLabel("Or paste rows").fill(`${phoneOf(3)}, Dora\n${phoneOf(4)}, Emil`);
  await expect(page.getByText("Let the first row name the columns", { exact: false })).toBeVisible();
  await page.getByLabel("Or paste rows").fill(`phone,first name\n${phoneOf(3)},Dora\n${phoneOf(4)},Emil`);
  await importPasted(page);
  await page.getByRole("link", { name: "See the list" }).click();
  const rows = page.getByRole("grid", { name: "Members" }).locator("tbody tr");
  await expect(rows).toHaveCount(2);
  await checkPage(page);
  await shoot(page, "list");
  await rows.filter({ hasText: "Dora" }).getByRole("button", { name: /off the list/ }).click();
  await expect(rows).toHaveCount(1);
  await page.getByRole("button", { name: "Rename" }).click();
  await page.getByRole("dialog").getByLabel("Name").fill(`${name} renamed`);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1 })).toContainText("renamed");
  await page.goto("/dashboard/lists");
  await expect(page.getByRole("grid", { name: "Lists" })).toContainText("renamed");
  await checkPage(page);
  await shoot(page, "lists");
  await page.getByRole("link", { name: `${name} renamed` }).click();
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Delete" }).click();
  await expect(page).toHaveURL(/\/dashboard\/lists$/);
});

test("segments: nested conditions, counted as they are written", async ({ page }) => {
  await logIn(page);
  const city = `Recife${Date.now()}`;
  await rest(page, "POST", "/contacts", { phone: phoneOf(5), first_name: "Fabio", attributes: { city } });
  await page.goto("/dashboard/segments");
  await page.getByRole("link", { name: "New segment" }).click();
  await page.getByLabel("Name", { exact: true }).fill(`From ${city}`);
  const first = page.getByRole("group", { name: "Condition 1", exact: true });
  await first.getByRole("button", { name: /Field/ }).click();
  await page.getByRole("option", { name: "city" }).click();
  await first.getByLabel("Value").fill(city);
  await expect(page.getByText("contacts meet it now")).toContainText("1");
  await page.getByRole("button", { name: "Group" }).click();
  await page.getByRole("group", { name: "Group 2" }).getByRole("button", { name: "Messages" }).click();
  await page.getByRole("group", { name: "Group 2" }).getByText("Not", { exact: true }).first().click();
  await expect(page.getByText("contacts meet it now")).toContainText("1");
  await checkPage(page);
  await shoot(page, "segment-new");
  await page.getByRole("button", { name: "Save segment" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toContainText(`From ${city}`);
  await expect(page.getByRole("grid", { name: "Members" })).toContainText("Fabio");
  await checkPage(page);
  await shoot(page, "segment");
  await page.goto("/dashboard/segments");
  await expect(page.getByRole("grid", { name: "Segments" })).toContainText(city);
  await checkPage(page);
  await shoot(page, "segments");
});

test("suppressions and keywords", async ({ page }) => {
  await logIn(page);
  const phone = phoneOf(6);
  await page.goto("/dashboard/suppressions");
  await page.getByRole("button", { name: "Suppress a phone" }).click();
  await page.getByRole("dialog").getByLabel("Phone").fill(phone);
  await page.getByRole("dialog").getByRole("button", { name: "Suppress", exact: true }).click();
  await expect(page.getByRole("grid", { name: "Suppressions" })).toContainText(phone);
  await checkPage(page);
  await shoot(page, "suppressions");
  await page.getByRole("button", { name: `Lift ${phone}` }).click();
  await page.getByLabel("Where they agreed").fill("phone_call");
  await checkPage(page);
  await page.getByRole("dialog").getByRole("button", { name: "Lift", exact: true }).click();
  await expect(page.getByText("Lifted.", { exact: false })).toBeVisible();

  const word = `SHOW${Date.now() % 100_000}`;
  await rest(page, "POST", "/lists", { name: `Poster ${word}` });
  await page.goto("/dashboard/keywords");
  await page.getByRole("button", { name: "New keyword" }).click();
  await page.getByRole("dialog").getByLabel("Word").fill(word);
  await page.getByRole("dialog").getByRole("button", { name: /List/ }).click();
  await page.getByRole("option", { name: `Poster ${word}` }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("grid", { name: "Keywords" })).toContainText(word);
  await checkPage(page);
  await shoot(page, "keywords");
  await page.getByRole("button", { name: `Delete ${word}` }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Delete" }).click();
  await expect(page.getByText("The keyword is deleted.")).toBeVisible();
});

test("filters are kept as a view, and opened again", async ({ page }) => {
  await logIn(page);
  await page.goto("/dashboard/contacts?consent=OPTED_IN");
  await page.getByRole("button", { name: "Save this view" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name of the view").fill("Agreed");
  await checkPage(page);
  await dialog.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByRole("button", { name: "Agreed", exact: true })).toHaveAttribute("aria-pressed", "true");
  await page.goto("/dashboard/contacts");
  await page.getByRole("button", { name: "Agreed", exact: true }).click();
  await expect(page).toHaveURL(/consent=OPTED_IN/);
  await checkPage(page);
  await page.getByRole("button", { name: "Delete the view Agreed" }).click();
  await expect(page.getByRole("button", { name: "Agreed", exact: true })).toHaveCount(0);
});
