// One message from its preview to what became of it and why; the log with its filters; canceling what is scheduled.
import { expect, test } from "@playwright/test";
import { checkPage, logIn, rest } from "./steps";

const PHONE = "+14155550123";

test("a message: preview, send, timeline, why", async ({ page }) => {
  await logIn(page);
  await rest(page, "POST", "/contacts", { phone: PHONE, opt_in: { source: "web_form" } }).catch(() => undefined);
  await page.getByRole("link", { name: "Messages", exact: true }).first().click();
  await expect(page.getByRole("heading", { level: 1, name: "Messages" })).toBeVisible();
  await page.getByRole("button", { name: /Send a message|Send the first message/ }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("To", { exact: true }).fill(PHONE);
  const text = `Your seat is kept ${Date.now()}`;
  await dialog.getByLabel("Text").fill(text);
  await expect(dialog.getByText("1 segment")).toBeVisible();
  await checkPage(page);
  await dialog.getByRole("button", { name: "Send", exact: true }).click();

  // The drawer of what was sent opens, and follows it.
  const drawer = page.getByRole("dialog", { name: `To ${PHONE}` });
  await expect(drawer.getByText(text)).toBeVisible();
  await expect(drawer.getByText("Delivered").first()).toBeVisible();
  await checkPage(page);
  await drawer.getByRole("button", { name: "Timeline" }).click();
  await expect(drawer.getByText(/Try 1 begins/)).toBeVisible();
  await checkPage(page);
  await drawer.getByRole("button", { name: "Why?" }).click();
  await expect(drawer.getByRole("heading", { name: "Consent" })).toBeVisible();
  await expect(page).toHaveURL(/tab=why/);
  await checkPage(page);
  await page.keyboard.press("Escape");
  await expect(drawer).toBeHidden();
  await expect(page.getByRole("grid", { name: "Messages" })).toContainText(text);
  await checkPage(page);
});

test("the message log: filters in the address, and a scheduled one canceled", async ({ page }) => {
  await logIn(page);
  await rest(page, "POST", "/contacts", { phone: PHONE, opt_in: { source: "web_form" } }).catch(() => undefined);
  const message = await rest(page, "POST", "/messages", { to: PHONE, body: "Tomorrow it begins.", scheduled_at: new Date(Date.now() + 86_400_000).toISOString() });
  await page.goto("/dashboard/messages?status=SCHEDULED&origin=API");
  const rows = page.getByRole("grid", { name: "Messages" }).locator("tbody tr");
  await expect(rows.first()).toBeVisible();
  await rows.first().focus();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(new RegExp(String(message["id"])));
  const drawer = page.getByRole("dialog", { name: `To ${PHONE}` });
  await drawer.getByRole("button", { name: "Cancel message" }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Cancel message" }).click();
  await expect(drawer.getByText("Canceled").first()).toBeVisible();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: /State/ }).click();
  await page.getByRole("option", { name: "Skipped" }).click();
  await expect(page).toHaveURL(/status=SKIPPED/);
  await page.getByRole("button", { name: "Clear filters" }).first().click();
  await expect(page).not.toHaveURL(/status=/);
});
