// The balance, what it buys, how credits come, and each movement.
import { expect, test } from "@playwright/test";
import { checkPage, logIn } from "./steps";

test("credits: balance, how they come, ledger and purchases in the address", async ({ page }) => {
  await logIn(page);
  await page.getByRole("link", { name: "Credits", exact: true }).first().click();
  await expect(page.getByText("What it buys")).toBeVisible();
  await expect(page.getByText("The operator of this service adds credits.", { exact: false })).toBeVisible();
  await expect(page.getByRole("region", { name: "Command" })).toContainText("wsp_");
  await checkPage(page);
  await page.getByRole("button", { name: "Purchases and gifts" }).click();
  await expect(page).toHaveURL(/tab=purchases/);
  await expect(page.getByRole("grid", { name: "Purchases and gifts" })).toContainText("Given");
  await page.getByText("90 days").click();
  await expect(page).toHaveURL(/days=90/);
  await checkPage(page);
});
