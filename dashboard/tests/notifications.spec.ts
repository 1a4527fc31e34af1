// The bell and its panel, the search of everything, and two people who edit one thing.
import { expect, test } from "@playwright/test";
import { checkPage, logIn, makeList, rest } from "./steps";

test("a new device rings the bell at once, and what is read stays read", async ({ page, browser }) => {
  await logIn(page);
  await page.goto("/dashboard/notifications");
  await expect(page.getByRole("heading", { name: "Notifications" })).toBeVisible();
  const elsewhere = await browser.newContext({ userAgent: `Telephone/${Date.now()}` });
  await logIn(await elsewhere.newPage());
  await elsewhere.close();
  const bell = page.getByRole("button", { name: /^Notifications, \d+ unread$/ });
  await expect(bell).toBeVisible({ timeout: 15_000 });
  await checkPage(page);
  await bell.click();
  const panel = page.getByRole("dialog", { name: "Notifications" });
  await expect(panel.getByText("Somebody logged in as you on a new device", { exact: false }).first()).toBeVisible();
  await checkPage(page);
  await panel.getByRole("button", { name: "Mark all as read" }).click();
  await expect(page.getByText("All are marked as read.")).toBeVisible();
  await panel.getByRole("button", { name: "Close" }).click();
  await expect(page.getByRole("button", { name: "Notifications", exact: true })).toBeVisible();
  await page.getByRole("button", { name: "Unread", exact: true }).click();
  await expect(page.getByRole("heading", { name: "All read" })).toBeVisible();
  await checkPage(page);
  await page.getByRole("button", { name: "By mail", exact: true }).click();
  await page.getByText("Somebody joined").click();
  await expect(page.getByText("Saved.")).toBeVisible();
  await checkPage(page);
});

test("anything is found by what people type", async ({ page }) => {
  await logIn(page);
  const name = `Zebra ${Date.now()}`;
  const list = await makeList(page, name, 1);
  const members = (await rest(page, "GET", `/lists/${list}/contacts`)) as { data: { id: string; phone: string }[] };
  const { phone } = members.data[0]!;
  await page.keyboard.press("ControlOrMeta+k");
  const box = page.getByRole("combobox", { name: "Search", exact: false });
  await box.fill(name);
  await expect(page.getByRole("option", { name })).toBeVisible();
  await checkPage(page);
  await box.fill(`(${phone.slice(2, 5)}) ${phone.slice(5, 8)}-${phone.slice(8)}`);
  await page.getByRole("option", { name: phone }).click();
  await expect(page.locator("#page")).toContainText(phone);
});

test("of two who edit one contact, the later one sees both values and chooses", async ({ page, context }) => {
  await logIn(page);
  const list = await makeList(page, `Conflict ${Date.now()}`, 1);
  const members = (await rest(page, "GET", `/lists/${list}/contacts`)) as { data: { id: string }[] };
  const { id } = members.data[0]!;
  await page.goto(`/dashboard/contacts/${id}`);
  await page.getByRole("button", { name: "Edit details" }).click();
  await page.getByLabel("Last name").fill("Mine");
  const other = await context.newPage();
  await rest(other, "POST", `/contacts/${id}`, { last_name: "Theirs", email: "theirs@cohortlabs.example" });
  await other.close();
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Somebody else changed this meanwhile", { exact: false })).toBeVisible();
  await expect(page.getByRole("dialog")).toContainText("Theirs");
  await checkPage(page);
  await page.getByRole("button", { name: "Keep mine" }).click();
  await expect(page.getByText("Saved.")).toBeVisible();
  const now = await rest(page, "GET", `/contacts/${id}`);
  expect([now["last_name"], now["email"]]).toEqual(["Mine", "theirs@cohortlabs.example"]);
});
