// What people do who know nothing of it: leave at once, press twice, go back, reload in the middle, open it twice.
import { expect, test, type Page } from "@playwright/test";
import { checkPage, logIn, makeList, rest, violationsOf } from "./steps";

const text = (page: Page) => page.getByLabel("What people read");
const saved = (page: Page) => page.getByText("Saved", { exact: true });

test("what is written is kept, by who leaves the composer at once", async ({ page }) => {
  await logIn(page);
  const stamp = Date.now();
  await page.goto("/dashboard/campaigns/new");
  await page.getByLabel("Name").fill(`Left ${stamp}`);
  await text(page).fill("Written, and left.");
  await page.getByRole("link", { name: "Messages", exact: true }).first().click();
  await expect(page.getByRole("heading", { level: 1, name: "Messages" })).toBeVisible();
  await page.getByRole("link", { name: "Campaigns", exact: true }).first().click();
  await page.getByRole("link", { name: `Left ${stamp}` }).click();
  await expect(text(page)).toHaveValue("Written, and left.");
  await expect(saved(page)).toBeVisible();
  await text(page).fill("Changed, and left.");
  await page.getByRole("link", { name: "Inbox" }).first().click();
  await expect(page.getByRole("heading", { level: 1, name: "Inbox" })).toBeVisible();
  await page.goBack();
  await expect(text(page)).toHaveValue("Changed, and left.");
  const drafts = (await rest(page, "GET", "/campaigns?status=draft&limit=100"))["data"] as { name: string; body: string }[];
  expect(drafts.filter(({ name }) => name === `Left ${stamp}`).map(({ body }) => body)).toEqual(["Changed, and left."]);
});

test("a launch that is pressed twice while the service is slow goes once, and going back tells that it went", async ({ page, context }) => {
  await logIn(page);
  const stamp = Date.now();
  const list = await makeList(page, `Twice ${stamp}`, 2);
  await page.goto(`/dashboard/campaigns/new?list=${list}`);
  await expect(page.getByRole("button", { name: "Review and launch" })).toBeDisabled();
  await page.getByLabel("Name").fill(`Twice ${stamp}`);
  await text(page).fill("Doors open. Reply STOP to opt out.");
  await expect(saved(page)).toBeVisible();
  // The same draft in another tab, which is a moment behind.
  const other = await context.newPage();
  await other.goto(page.url());
  await expect(text(other)).toHaveValue("Doors open. Reply STOP to opt out.");
  let launches = 0;
  await page.route("**/graphql", async (route) => {
    if (/Launch/.test(String((route.request().postDataJSON() as { id?: string } | null)?.id))) {
      launches++;
      await new Promise((done) => setTimeout(done, 2000));
    }
    await route.continue();
  });
  await page.getByRole("button", { name: "Review and launch" }).click();
  const launch = page.getByRole("dialog").getByRole("button", { name: "Launch in the sandbox" });
  await launch.dblclick();
  await expect(page).toHaveURL(/\/campaigns\/cmp_/);
  expect(launches).toBe(1);
  await expect(page.locator('[data-step="Delivered"]')).toContainText("2", { timeout: 60_000 });
  const found = (await rest(page, "GET", "/campaigns?limit=100"))["data"] as { name: string; stats: { delivered: number } }[];
  expect(found.filter(({ name }) => name === `Twice ${stamp}`).map(({ stats }) => stats.delivered)).toEqual([2]);

  await page.goBack();
  await expect(page.getByRole("heading", { name: "This campaign has begun" })).toBeVisible();
  await checkPage(page);
  await page.getByRole("link", { name: "Watch it" }).click();
  await expect(page.locator('[data-step="Delivered"]')).toContainText("2");
  // The other tab is told at its next change, which is refused.
  await text(other).fill("Too late.");
  await expect(other.getByRole("heading", { name: "This campaign has begun" })).toBeVisible();
  await checkPage(other);
  await other.close();
});

test("mistakes in the forms are told beside them, and nothing is lost by going back and reloading", async ({ page }) => {
  await page.goto("/dashboard/signup");
  await page.getByRole("button", { name: "Create workspace" }).click();
  await expect(page.getByText("At least 10 characters", { exact: false })).toBeVisible();
  await page.getByLabel("Your name").fill("Ana Silva");
  await page.getByLabel("Workspace").fill("Cohort Labs");
  await page.getByLabel("E-mail").fill("ana at cohortlabs");
  await page.getByLabel("Password").fill("short");
  await page.getByRole("button", { name: "Create workspace" }).click();
  await expect(page.getByLabel("E-mail")).toHaveAttribute("aria-invalid", "true");
  await expect(page.getByLabel("Password")).toHaveAttribute("aria-invalid", "true");
  await expect(page.getByLabel("Your name")).toHaveValue("Ana Silva");
  await checkPage(page);

  await logIn(page);
  await page.goto("/dashboard/imports/new");
  // A row without titles, and rows without phones.
  await page.getByLabel("Or paste rows").fill("+12125550142,Ana");
  await expect(page.getByText("Let the first row name the columns", { exact: false })).toBeVisible();
  await expect(page.getByRole("button", { name: "Go on with these rows" })).toBeDisabled();
  const phone = `+1212557${String(Date.now() % 10_000).padStart(4, "0")}`;
  await page.getByLabel("Or paste rows").fill(`phone,first name\n${phone},Ana\nnothing,Kofi`);
  await page.getByRole("button", { name: "Go on with these rows" }).click();
  await page.getByLabel("Where all of them agreed").fill("web_form");
  await page.getByRole("button", { name: "See what would come of it" }).click();
  const run = page.getByRole("button", { name: "Run the import" });
  await expect(run).toBeVisible();
  await page.reload();
  await expect(run).toBeVisible();
  await page.goBack();
  await expect(page.getByLabel("Where all of them agreed")).toHaveValue("web_form");
  await checkPage(page);
  await page.getByRole("button", { name: "See what would come of it" }).click();
  await run.dblclick();
  await expect(page.getByRole("heading", { name: /pasted/ })).toBeVisible();
  await expect(page.locator('[data-count="created"] td')).toHaveText("1");
  await checkPage(page);
});

test("an address of what is gone, or never was, says so within the frame", async ({ page }) => {
  await logIn(page);
  const gone = "01HYZ8K5VQAE2N0PWQ6DC9V8MP";
  for (const path of ["/nothing-here", "/nothing/at/all", `/campaigns/cmp_${gone}`, `/campaigns/new?id=cmp_${gone}`, `/contacts/con_${gone}`, `/lists/lst_${gone}`, `/segments/seg_${gone}`, `/imports/imp_${gone}`, `/connections/lst_${gone}`, `/developers/webhooks/whk_${gone}`]) {
    await page.goto(`/dashboard${path}`);
    await expect(page.getByRole("heading", { level: 1, name: /^There is no such/ }), path).toBeVisible();
    await expect(page.getByRole("navigation", { name: "Main" }), path).toBeVisible();
    expect(await violationsOf(page), path).toEqual([]);
  }
  await page.goto("/dashboard/nothing-here");
  await page.getByRole("link", { name: "To the start" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toContainText("Hello");
});
