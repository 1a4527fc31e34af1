// The balance, what it buys, how credits come, what became of a purchase, and each movement.
import { expect, test, type Page } from "@playwright/test";
import { checkPage, logIn } from "./steps";

/** Change what the service answers, before the page reads it. */
async function answerWith(page: Page, change: (answer: string) => string) {
  await page.route("**/graphql", async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, body: change(await answer.text()) });
  });
}

// What is still on its way when a test ends is nobody's.
test.afterEach(({ page }) => page.unrouteAll({ behavior: "ignoreErrors" }));

test("credits: balance, packs, ledger and purchases in the address", async ({ page }) => {
  await logIn(page);
  await page.getByRole("link", { name: "Credits", exact: true }).first().click();
  await expect(page.getByText("What it buys")).toBeVisible();
  const packs = page.getByRole("region", { name: "Buy credits" });
  await expect(packs).toContainText("$0.0149 a credit");
  await expect(packs).toContainText("The sandbox needs no credits");
  await expect(packs.getByRole("button", { name: "Buy Launch" })).toHaveCount(0);
  await checkPage(page);
  await page.getByRole("button", { name: "Purchases and gifts" }).click();
  await expect(page).toHaveURL(/tab=added/);
  await expect(page.getByRole("grid", { name: "Purchases and gifts" })).toContainText("Given");
  await page.getByText("90 days").click();
  await expect(page).toHaveURL(/days=90/);
  await checkPage(page);
  await packs.getByRole("button", { name: "Go to live mode" }).click();
  await expect(packs.getByRole("button", { name: "Buy Launch" })).toBeVisible();
  await checkPage(page);
});

test("credits: where nothing is sold, the operator adds them", async ({ page }) => {
  await answerWith(page, (answer) => answer.replace(/"creditPacks":\s*\[[^\]]*\]/, '"creditPacks":[]'));
  await logIn(page);
  await page.goto("/dashboard/credits");
  await expect(page.getByText("The operator of this service adds credits.", { exact: false })).toBeVisible();
  await expect(page.getByRole("region", { name: "Command" })).toContainText("wsp_");
  await expect(page.getByRole("region", { name: "Buy credits" })).toHaveCount(0);
  await checkPage(page);
});

test("credits: a role that does not buy is told who does", async ({ page }) => {
  await answerWith(page, (answer) => answer.replace(/"role":\s*"OWNER"/g, '"role":"MEMBER"'));
  await logIn(page);
  await page.goto("/dashboard/credits");
  await expect(page.getByText("Your role (Member) does not buy credits.", { exact: false })).toBeVisible();
  await expect(page.getByRole("button", { name: "Buy Launch" })).toHaveCount(0);
  await checkPage(page);
});

test("low credits are told on each page in live mode", async ({ page }) => {
  await answerWith(page, (answer) => answer.replace(/"balance":\s*\d+/g, '"balance":12'));
  await logIn(page);
  await page.getByRole("radio", { name: "Live" }).check({ force: true });
  await page.goto("/dashboard/contacts");
  await expect(page.getByText("Credits run low: 12 left.")).toBeVisible();
  await checkPage(page);
  await page.getByRole("link", { name: "Add credits" }).click();
  await expect(page).toHaveURL(/\/credits$/);
  await expect(page.getByText("Credits run low", { exact: false })).toHaveCount(0);
});
