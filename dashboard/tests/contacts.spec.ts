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
  const fabio = await rest(page, "POST", "/contacts", { phone: phoneOf(5), first_name: "Fabio", attributes: { city } });
  await rest(page, "POST", `/contacts/${String(fabio["id"])}/tags`, { add: [city] });
  await page.goto("/dashboard/segments");
  await page.getByRole("link", { name: "New segment" }).click();
  await page.getByLabel("Name", { exact: true }).fill(`From ${city}`);
  const first = page.getByRole("group", { name: "Condition 1", exact: true });
  await first.getByRole("button", { name: /Field/ }).click();
  await page.getByRole("option", { name: "city" }).click();
  await first.getByLabel("Value").fill(city);
  await expect(page.getByText("contacts meet it now")).toContainText("1");
  await page.getByRole("group", { name: "Conditions" }).getByRole("button", { name: "With a tag" }).click();
  await page.getByRole("group", { name: "Condition 2", exact: true }).getByRole("button", { name: /With the tag/ }).click();
  await page.getByRole("option", { name: new RegExp(city, "i") }).click();
  await expect(page.getByText("contacts meet it now")).toContainText("1");
  await page.getByRole("group", { name: "Condition 2", exact: true }).getByRole("button", { name: "Remove condition 2" }).click();
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

test("filters are kept as a view, and opened again by any member, from any browser", async ({ page, browser }) => {
  await logIn(page);
  const name = `Agreed ${Date.now()}`;
  const view = (of: typeof page) => of.getByRole("button", { name, exact: true });
  const save = async (address: string, called: string, action: string) => {
    await page.goto(address);
    await page.getByRole("button", { name: "Save this view" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name of the view").fill(called);
    await checkPage(page);
    await dialog.getByRole("button", { name: action, exact: true }).click();
    await expect(view(page)).toHaveAttribute("aria-pressed", "true");
  };
  await save("/dashboard/contacts?consent=OPTED_IN", name, "Save");
  await page.goto("/dashboard/contacts");
  await view(page).click();
  await expect(page).toHaveURL(/consent=OPTED_IN/);
  await checkPage(page);
  // A name that is taken gives the view other filters, and says so first.
  await save("/dashboard/contacts?consent=OPTED_OUT", name, "Replace it");

  const elsewhere = await browser.newContext();
  const other = await elsewhere.newPage();
  await logIn(other);
  await other.goto("/dashboard/messages");
  await expect(other.locator("#page h1")).toBeVisible();
  await expect(view(other)).toHaveCount(0);
  await other.goto("/dashboard/contacts");
  await view(other).click();
  await expect(other).toHaveURL(/consent=OPTED_OUT/);
  await other.getByRole("button", { name: `Delete the view ${name}` }).click();
  await checkPage(other);
  await other.getByRole("alertdialog").getByRole("button", { name: "Delete" }).click();
  await expect(view(other)).toHaveCount(0);
  await elsewhere.close();
  // What is gone meanwhile is gone here, too, and said to be.
  await page.getByRole("button", { name: `Delete the view ${name}` }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Delete" }).click();
  await expect(view(page)).toHaveCount(0);
});

/** Make contacts of one surname; their ids. */
async function makePeople(page: import("@playwright/test").Page, surname: string, names: readonly string[]): Promise<string[]> {
  const made: string[] = [];
  for (const [index, name] of names.entries()) {
    const contact = await rest(page, "POST", "/contacts", { phone: phoneOf(100 + index), first_name: name, last_name: surname, email: `${name.toLowerCase()}.${surname.toLowerCase()}@cohortlabs.co` });
    made.push(String(contact["id"]));
  }
  return made;
}

test("search as people write, and tags: added, filtered by, removed", async ({ page }) => {
  await logIn(page);
  const surname = `Tagged${Date.now()}`;
  const [ana] = await makePeople(page, surname, ["Ána", "Bia"]);
  const { phone } = (await rest(page, "GET", `/contacts/${ana}`)) as { phone: string };
  const rows = page.getByRole("grid", { name: "Contacts" }).locator("tbody tr");
  for (const text of [`ana ${surname.toLowerCase()}`, `(${phone.slice(2, 5)}) ${phone.slice(5, 8)}-${phone.slice(8)}`, `bia.${surname}@cohortlabs.co`]) {
    await page.goto("/dashboard/contacts");
    await page.getByLabel("Search", { exact: true }).fill(text);
    await expect(rows).toHaveCount(1);
    await expect(rows).toContainText(text.startsWith("bia") ? "Bia" : "Ána");
  }
  const tag = `webinar ${surname.toLowerCase()}`;
  await page.goto(`/dashboard/contacts/${ana}`);
  await expect(page.getByText("No tags yet.")).toBeVisible();
  await page.getByLabel("New tag").fill("one, two");
  await expect(page.getByText("A tag has at most 40 letters, and no comma.")).toBeVisible();
  await page.getByLabel("New tag").fill(` Webinar  ${surname}`);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("list", { name: "Tags" })).toContainText(tag);
  await checkPage(page);
  await shoot(page, "contact-tags");
  await page.goto("/dashboard/contacts");
  await page.getByRole("search").getByRole("button", { name: /Tag/ }).click();
  await page.getByRole("option", { name: `${tag} (1)` }).click();
  await expect(page).toHaveURL(/tag=webinar/);
  await expect(rows).toHaveCount(1);
  await expect(rows.getByRole("link", { name: tag })).toBeVisible();
  await page.reload();
  await expect(rows).toHaveCount(1);
  await checkPage(page);
  await shoot(page, "contacts-tag");
  await page.goto(`/dashboard/contacts/${ana}`);
  await page.getByRole("button", { name: `Remove the tag “${tag}”` }).click();
  await expect(page.getByText("No tags yet.")).toBeVisible();
  await page.goto(`/dashboard/contacts?tag=${encodeURIComponent(tag)}`);
  await page.getByRole("button", { name: "Clear filters" }).click();
  await expect(page).toHaveURL(/\/dashboard\/contacts$/);
});

test("bulk actions: counted first, then done to those chosen and to all found", async ({ page }) => {
  await logIn(page);
  const surname = `Bulk${Date.now()}`;
  await makePeople(page, surname, ["Ana", "Bia", "Carl"]);
  await page.goto(`/dashboard/contacts?q=${surname}`);
  const rows = page.getByRole("grid", { name: "Contacts" }).locator("tbody tr");
  await expect(rows).toHaveCount(3);
  await rows.first().focus();
  await page.keyboard.press("Space");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Space");
  await page.getByRole("button", { name: "Change 2 chosen" }).click();
  const dialog = page.getByRole("dialog", { name: "Change contacts" });
  await expect(dialog.getByRole("button", { name: "Count them first" })).toBeDisabled();
  await dialog.getByRole("textbox", { name: "Tag" }).fill(surname);
  await page.keyboard.press("Enter");
  await checkPage(page);
  await shoot(page, "bulk-choose");
  await dialog.getByRole("button", { name: "Count them first" }).click();
  await expect(dialog.getByRole("status")).toContainText(`2 contacts will have: ${surname.toLowerCase()}`);
  await checkPage(page);
  await shoot(page, "bulk-counted");
  await dialog.getByRole("button", { name: "Add tags" }).click();
  await expect(page.getByText("2 contacts were changed.")).toBeVisible();
  await expect(rows.getByRole("link", { name: surname.toLowerCase(), exact: true })).toHaveCount(2);
  await checkPage(page);
  await shoot(page, "bulk-done");
  await page.getByRole("button", { name: "Close: Add tags" }).click();

  await page.getByRole("button", { name: "Change all of them" }).click();
  await dialog.getByRole("button", { name: /What to do/ }).click();
  await page.getByRole("option", { name: "Opt out" }).click();
  await dialog.getByRole("button", { name: "Count them first" }).click();
  await expect(dialog.getByRole("status")).toContainText("3 contacts will be opted out.");
  await dialog.getByRole("button", { name: "Opt out" }).click();
  await expect(page.getByText("3 contacts were changed.")).toBeVisible();
  await expect(rows.filter({ hasText: "Opted out" })).toHaveCount(3);
});

test("bulk actions: the count is typed where many would be deleted, and one under way is canceled", async ({ page }) => {
  await logIn(page);
  const id = "blk_01K0BULKF1RST0000000000000";
  let status = "RUNNING";
  const row = (more: object) => ({ __typename: "BulkAction", id, action: "DELETE", status: "COMPLETED", dryRun: true, matched: 4812, changed: 0, error: null, ...more });
  // A million contacts are not made for it: the service is answered for.
  let began = false;
  await page.route("**/graphql", async (route) => {
    const asked = String((route.request().postDataJSON() as { id?: string } | null)?.id);
    const variables = (route.request().postDataJSON() as { variables?: { input?: { dryRun?: boolean } } } | null)?.variables;
    const running = row({ status, dryRun: false, matched: 1200, changed: 1200 });
    if (asked.includes("PageCancelBulkAction")) status = "CANCELED";
    if (asked.includes("PageBulkAction")) began ||= variables?.input?.dryRun === false;
    const answer = asked.includes("PageBulkAction")
      ? { createBulkAction: variables?.input?.dryRun === false ? running : row({ id: "blk_01K0BULKC0VNT0000000000000", status: "QUEUED", matched: 0 }) }
      : asked.includes("BulkCount")
        ? { bulkAction: row({ id: "blk_01K0BULKC0VNT0000000000000" }) }
        : asked.includes("PageCancelBulkAction")
          ? { cancelBulkAction: { ...running, status } }
          : asked.includes("BulkRecent") && began
            ? { bulkActions: { __typename: "BulkActionConnection", nodes: [running] } }
            : null;
    await (answer === null ? route.continue() : route.fulfill({ json: { data: { __typename: asked.includes("Page") ? "Mutation" : "Query", ...answer } } }));
  });
  await page.goto("/dashboard/contacts");
  await page.getByRole("button", { name: "Change all of them" }).click();
  const dialog = page.getByRole("dialog", { name: "Change contacts" });
  await dialog.getByRole("button", { name: /What to do/ }).click();
  await page.getByRole("option", { name: "Delete" }).click();
  await dialog.getByRole("button", { name: "Count them first" }).click();
  await expect(dialog.getByRole("status")).toContainText("4,812 contacts will be deleted.");
  await expect(dialog.getByRole("button", { name: "Delete" })).toBeDisabled();
  await dialog.getByLabel("Type 4,812 to confirm").fill("4,811");
  await expect(dialog.getByRole("button", { name: "Delete" })).toBeDisabled();
  await dialog.getByLabel("Type 4,812 to confirm").fill("4,812");
  await checkPage(page);
  await dialog.getByRole("button", { name: "Delete" }).click();
  await expect(page.getByRole("progressbar", { name: "Delete" })).toHaveAttribute("aria-valuenow", "25");
  await expect(page.getByText("1,200 of 4,812")).toBeVisible();
  await checkPage(page);
  await shoot(page, "bulk-progress");
  await page.getByRole("button", { name: "Cancel: Delete" }).click();
  await expect(page.getByText("Canceled after 1,200 contacts were changed.", { exact: false })).toBeVisible();
});

test("two contacts of one person are merged, after a preview", async ({ page }) => {
  await logIn(page);
  const surname = `Merged${Date.now()}`;
  const [kept, other] = await makePeople(page, surname, ["Ana", "Anita"]);
  await rest(page, "POST", `/contacts/${other}/tags`, { add: [surname] });
  await page.goto(`/dashboard/contacts/${kept}`);
  await page.getByRole("button", { name: "Merge", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "Merge with another contact" });
  await dialog.getByLabel("Find the other contact").fill(`nobody${surname}`);
  await expect(dialog.getByText("No other contact is found.")).toBeVisible();
  await dialog.getByLabel("Find the other contact").fill(surname);
  await expect(dialog.getByRole("list", { name: "Contacts found" }).getByRole("listitem")).toHaveCount(1);
  await checkPage(page);
  await shoot(page, "merge-choose");
  await dialog.getByRole("button", { name: /^Choose/ }).click();
  const results = dialog.getByRole("region", { name: "What results" });
  await expect(results).toContainText(`Ana ${surname}`);
  await expect(results).toContainText(surname.toLowerCase());
  await dialog.getByText("Take that of the other").click();
  await expect(results).toContainText(`Anita ${surname}`);
  await checkPage(page);
  await shoot(page, "merge-preview");
  await dialog.getByRole("button", { name: "Merge for good" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toContainText(`Anita ${surname}`);
  await expect(page.getByRole("list", { name: "Tags" })).toContainText(surname.toLowerCase());
  await page.goto(`/dashboard/contacts/${other}`);
  await expect(page.getByText("There is no such contact")).toBeVisible();
});
