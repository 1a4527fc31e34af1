// Signing up, logging in and out, and what a page says when the session has ended.
import { expect, test } from "@playwright/test";
import { checkPage, demo, logIn } from "./steps";

test("signing up makes a workspace in the sandbox", async ({ page }) => {
  await page.goto("/dashboard");
  await expect(page).toHaveURL(/\/dashboard\/login$/);
  await checkPage(page);
  await page.getByRole("link", { name: "Create a workspace" }).click();
  await page.getByRole("button", { name: "Create workspace" }).click();
  await expect(page.getByText("Write your name.")).toBeVisible();
  await checkPage(page);
  await page.getByLabel("Your name").fill("Ana Silva");
  await page.getByLabel("Workspace").fill("Cohort Labs");
  await page.getByLabel("E-mail").fill(`ana+${Date.now()}@cohortlabs.example`);
  await page.getByLabel("Password").fill("violet harbor train nine");
  await page.getByRole("button", { name: "Create workspace" }).click();
  await expect(page.getByText("Your workspace is ready")).toBeVisible();
  await page.getByRole("button", { name: "Go to the dashboard" }).click();
  await expect(page.getByRole("heading", { name: "Hello, Ana" })).toBeVisible();
  await expect(page.getByText("First steps")).toBeVisible();
  await expect(page.getByText("nothing reaches a real phone", { exact: false })).toBeVisible();
  await checkPage(page);
});

test("a wrong password is told, and a page's address survives logging in", async ({ page }) => {
  await page.goto("/dashboard/campaigns?status=DRAFT");
  await expect(page).toHaveURL(/login\?next=/);
  await page.getByLabel("E-mail").fill(demo().owner_email);
  await page.getByLabel("Password").fill("not the password");
  await page.getByRole("button", { name: "Log in" }).click();
  await expect(page.getByRole("alert")).toContainText("wrong");
  await page.getByLabel("Password").fill(demo().owner_password);
  await page.getByRole("button", { name: "Log in" }).click();
  await expect(page).toHaveURL(/\/dashboard\/campaigns\?status=DRAFT$/);
});

test("an ended session asks to log in again, over the page", async ({ page, context }) => {
  await logIn(page);
  await context.clearCookies();
  await page.getByRole("radio", { name: "7 days" }).check({ force: true });
  await expect(page.getByRole("alertdialog")).toContainText("Your session has ended");
  await checkPage(page);
  await page.getByRole("alertdialog").getByLabel("Password").fill(demo().owner_password);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("alertdialog")).toHaveCount(0);
  await expect(page.getByRole("heading", { name: /Hello/ })).toBeVisible();
});

test("three languages, kept", async ({ page }) => {
  await logIn(page);
  for (const [language, word] of [["Português", "Campanhas"], ["Español", "Campañas"], ["English", "Campaigns"]] as const) {
    await page.locator("header").getByRole("button").last().click();
    await page.getByRole("menuitemradio", { name: language }).click();
    await page.keyboard.press("Escape");
    await expect(page.getByRole("link", { name: word, exact: true }).first()).toBeVisible();
    await page.reload();
    await expect(page.getByRole("link", { name: word, exact: true }).first()).toBeVisible();
    await checkPage(page);
  }
});

test("the mode is loud, and kept", async ({ page }) => {
  await logIn(page);
  await page.getByRole("radio", { name: "Live" }).check({ force: true });
  await expect(page.getByText("nothing reaches a real phone", { exact: false })).toHaveCount(0);
  await page.reload();
  await expect(page.getByRole("radio", { name: "Live" })).toBeChecked();
  await checkPage(page);
});
