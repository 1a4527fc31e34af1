// Shops that post their orders, what the orders brought, and on which pages it stands.
import { createHmac } from "node:crypto";
import { expect, test, type Page } from "@playwright/test";
import { checkPage, logIn, makeList, rest } from "./steps";

const SECRET = "whsec_of_this_spec_alone";

/** Post an event as Stripe does; return the status of the answer. */
async function post(page: Page, address: string, type: string, object: Record<string, unknown>): Promise<number> {
  const body = JSON.stringify({ type, livemode: false, data: { object } });
  const at = Math.floor(Date.now() / 1000);
  const signature = createHmac("sha256", SECRET).update(`${at}.${body}`).digest("hex");
  const headers = { "Content-Type": "application/json", "Stripe-Signature": `t=${at},v1=${signature}` };
  return (await page.request.post(address, { data: Buffer.from(body), headers })).status();
}

test("a shop posts an order: its address once, its secret, the revenue of the campaign, a refund", async ({ page }) => {
  await logIn(page);
  const stamp = Date.now();
  const name = `Seats ${stamp}`;
  const list = await makeList(page, `Buyers ${stamp}`, 2);
  const [buyer] = (await rest(page, "GET", `/lists/${list}/contacts`))["data"] as { phone: string }[];
  const campaign = String((await rest(page, "POST", "/campaigns", { name, body: "Three seats are left.", audience: { list_ids: [list] }, quiet_hours: false }))["id"]);
  await page.goto(`/dashboard/campaigns/${campaign}`);
  await expect(page.locator('[data-step="Delivered"]')).toContainText("2");
  await expect(page.getByRole("region", { name: "Revenue" })).toHaveCount(0);

  await page.getByRole("link", { name: "Conversions", exact: true }).first().click();
  await expect(page.getByRole("heading", { level: 1, name: "Conversions" })).toBeVisible();
  await checkPage(page);
  const shop = page.getByRole("listitem").filter({ hasText: "Stripe" });
  await expect(page.getByRole("button", { name: "Add a shop" })).toBeVisible();
  const before = await shop.count();
  await page.getByRole("button", { name: "Add a shop" }).click();
  const shown = page.getByRole("alertdialog", { name: "The address for your shop" });
  const address = new URL(await shown.locator("code").innerText()).pathname;
  await checkPage(page);
  await shown.getByRole("button", { name: "I have entered it" }).click();
  await expect(shop).toHaveCount(before + 1);
  const own = shop.filter({ hasText: "Needs its secret" });
  await expect(own).toHaveCount(1);
  const order = { id: `cs_${stamp}`, payment_intent: `pi_${stamp}`, amount_total: 4900, currency: "usd", payment_status: "paid", created: Math.floor(Date.now() / 1000), customer_details: { phone: buyer!.phone } };
  expect(await post(page, address, "checkout.session.completed", order)).toBe(403);
  await own.getByRole("button", { name: "Set secret" }).click();
  const dialog = page.getByRole("dialog", { name: "Stripe" });
  await dialog.getByLabel("Signing secret").fill("short");
  await page.keyboard.press("Enter");
  await expect(dialog.getByText("From 8 to 256 letters", { exact: false })).toBeVisible();
  await checkPage(page);
  await dialog.getByLabel("Signing secret").fill(SECRET);
  await page.keyboard.press("Enter");
  await expect(page.getByText("Saved.")).toBeVisible();
  await expect(own).toHaveCount(0);
  expect(await post(page, address, "checkout.session.completed", order)).toBe(200);
  expect(await post(page, address, "checkout.session.completed", order)).toBe(200);

  await page.reload();
  const grid = page.getByRole("grid", { name: "Conversions" });
  const row = grid.locator("tbody tr").filter({ hasText: `pi_${stamp}` });
  await expect(row).toHaveCount(1);
  await expect(row).toContainText("$49.00");
  await expect(row).toContainText("A message");
  await checkPage(page);
  await row.getByRole("link", { name }).click();
  const revenue = page.getByRole("region", { name: "Revenue" });
  await expect(revenue.getByRole("rowheader")).toHaveText("$49.00");
  await expect(revenue.getByRole("cell")).toHaveText(["1", "$0.00", "$24.50"]);
  await checkPage(page);
  expect(await post(page, address, "charge.refunded", { id: `ch_${stamp}`, payment_intent: `pi_${stamp}`, amount: 4900, amount_refunded: 1000, currency: "usd" })).toBe(200);
  await page.reload();
  await expect(revenue.getByRole("rowheader")).toHaveText("$39.00");
  await expect(revenue.getByRole("cell")).toHaveText(["1", "$10.00", "$19.50"]);

  // The campaign's orders, one order by its number, and home's figure.
  await page.locator("#page").getByRole("link", { name: "Conversions", exact: true }).click();
  await expect(page).toHaveURL(new RegExp(`campaign=${campaign}`));
  await expect(grid.locator("tbody tr")).toHaveCount(1);
  await expect(row).toContainText("$10.00 refunded");
  await page.getByLabel("Order number").fill("nothing of this number");
  await expect(page.getByText("Nothing matches these filters")).toBeVisible();
  await checkPage(page);
  await page.getByRole("button", { name: "Clear filters" }).click();
  await page.getByLabel("Order number").fill(`pi_${stamp}`);
  await expect(page).toHaveURL(new RegExp(`order=pi_${stamp}`));
  await expect(row).toHaveCount(1);
  await page.goto("/dashboard/campaigns");
  await expect(page.getByRole("grid", { name: "Campaigns" }).getByRole("row").filter({ hasText: name })).toContainText("$39.00");
  await page.goto("/dashboard");
  await expect(page.getByRole("region", { name: "Figures" })).toContainText("Revenue");
  await checkPage(page);

  await page.goto("/dashboard/conversions");
  await shop.last().getByRole("button", { name: "Delete" }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Delete" }).click();
  await expect(page.getByText("Deleted.")).toBeVisible();
  await expect(shop).toHaveCount(before);
});
