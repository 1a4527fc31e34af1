// The handset inside the dashboard: phones of the sandbox, a first message by one press, answers and what comes of them.
import { expect, test } from "@playwright/test";
import { checkPage, logIn, rest } from "./steps";

const phoneOf = (index: number) => `+1212556${String((Date.now() + index) % 10_000).padStart(4, "0")}`;

test("the handset: a phone is opened, texted, and answers STOP and START", async ({ page }) => {
  await logIn(page);
  const phone = phoneOf(0);
  await page.getByRole("link", { name: "Handset", exact: true }).first().click();
  await expect(page.getByRole("heading", { level: 1, name: "Handset" })).toBeVisible();
  await checkPage(page);
  const phones = page.getByRole("region", { name: "Phones" });
  await phones.getByLabel("Any number").fill("12125550123");
  await phones.getByRole("button", { name: "Open phone" }).click();
  await expect(phones.getByText("Write it with its country code", { exact: false })).toBeVisible();
  await phones.getByLabel("Any number").fill(`${phone.slice(0, 2)} (${phone.slice(2, 5)}) ${phone.slice(5, 8)}-${phone.slice(8)}`);
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(new RegExp(`phone=%2B${phone.slice(1)}`));

  const open = page.getByRole("region", { name: "Phone", exact: true });
  const log = open.getByRole("log");
  await expect(open.getByText("Nothing received yet")).toBeVisible();
  await checkPage(page);
  await open.getByRole("button", { name: "Send a first message" }).click();
  await expect(log).toContainText("Are you coming?");
  await expect(log.getByText("Delivered")).toBeVisible();
  await expect(phones.getByRole("link", { name: new RegExp(phone.slice(1)) })).toContainText("Are you coming?");
  await checkPage(page);

  // What happens elsewhere shows here without a press.
  await rest(page, "POST", "/messages", { to: phone, body: "Your seat is kept until midnight." });
  await expect(log).toContainText("Your seat is kept until midnight.");
  await open.getByLabel(/Answer as/).fill("Can I bring a friend?");
  await page.keyboard.press("Enter");
  await expect(log).toContainText("Can I bring a friend?");
  await expect(open.getByLabel(/Answer as/)).toHaveValue("");
  await open.getByRole("button", { name: "STOP", exact: true }).click();
  await expect(open.getByText("This number has opted out", { exact: false })).toBeVisible();
  await expect(phones.getByRole("link", { name: new RegExp(phone.slice(1)) })).toContainText("Opted out");
  await checkPage(page);
  await open.getByRole("button", { name: "START", exact: true }).click();
  await expect(open.getByText("This number has opted out", { exact: false })).toHaveCount(0);

  // The address keeps the phone; the way back leads to no phone.
  await page.reload();
  await expect(log).toContainText("Can I bring a friend?");
  await page.getByText("Test numbers", { exact: true }).click();
  await phones.getByRole("link", { name: /14155550105/ }).click();
  await expect(open.getByText("Replies STOP after 2 seconds.")).toBeVisible();
  await page.goBack();
  await expect(log).toContainText("Can I bring a friend?");
});

test("the handset on a telephone: one pane at a time, and none of it in live mode", async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await logIn(page);
  const phone = phoneOf(1);
  await rest(page, "POST", "/messages", { to: phone, body: "Doors open at 8pm." });
  await page.goto("/dashboard/handset");
  const [phones, open] = ["Phones", "Phone"].map((name) => page.getByRole("region", { name, exact: true }));
  await phones!.getByRole("link", { name: new RegExp(phone.slice(1)) }).click();
  await expect(open!.getByRole("log")).toContainText("Doors open at 8pm.");
  await expect(phones!).toBeHidden();
  await checkPage(page);
  await open!.getByRole("button", { name: "All phones" }).click();
  await expect(phones!).toBeVisible();
  await page.getByRole("button", { name: "Menu" }).click();
  await page.getByRole("dialog").getByText("Live", { exact: true }).click();
  await page.goto(`/dashboard/handset?phone=${encodeURIComponent(phone)}`);
  await expect(page.getByRole("heading", { name: "The handset is of the sandbox" })).toBeVisible();
  await checkPage(page);
  await page.getByRole("button", { name: "Switch to the sandbox" }).click();
  await expect(open!.getByRole("log")).toContainText("Doors open at 8pm.");
});
