// Signing up, logging in and out, and what a page says when the session has ended.
import { expect, test } from "@playwright/test";
import { checkPage, demo, linkOf, logIn } from "./steps";

test("signing up makes a workspace in the sandbox, and its mail confirms the address", async ({ page }) => {
  await page.goto("/dashboard");
  await expect(page).toHaveURL(/\/dashboard\/login$/);
  await checkPage(page);
  await page.getByRole("link", { name: "Create a workspace" }).click();
  await page.getByRole("button", { name: "Create workspace" }).click();
  await expect(page.getByText("Write your name.")).toBeVisible();
  await checkPage(page);
  const email = `ana.${Date.now()}@cohortlabs.example`;
  await page.getByLabel("Your name").fill("Ana Silva");
  await page.getByLabel("Workspace").fill("Cohort Labs");
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill("violet harbor train nine");
  await page.getByRole("button", { name: "Create workspace" }).click();
  await expect(page.getByText("Your workspace is ready")).toBeVisible();
  await expect(page.getByText("Look into your mailbox")).toBeVisible();
  await expect(page.getByRole("link", { name: "Open the mailbox" })).toBeVisible();
  await checkPage(page);
  await page.getByRole("button", { name: "Go to the dashboard" }).click();
  await expect(page.getByRole("heading", { name: "Hello, Ana" })).toBeVisible();
  await expect(page.getByText("First steps")).toBeVisible();
  await expect(page.getByText("nothing reaches a real phone", { exact: false })).toBeVisible();
  const banner = page.getByRole("region", { name: "Confirm your address" });
  await expect(banner).toContainText(email);
  await checkPage(page);
  await banner.getByRole("button", { name: "Send the link again" }).click();
  await expect(page.getByText("The link is on its way again.")).toBeVisible();
  await page.goto(await linkOf(page, email, "confirm"));
  await page.getByRole("button", { name: "Confirm this address" }).click();
  await expect(page.getByRole("heading", { name: "Your address is confirmed" })).toBeVisible();
  await checkPage(page);
  await page.getByRole("link", { name: "Go to the dashboard" }).click();
  await expect(page.getByRole("heading", { name: "Hello, Ana" })).toBeVisible();
  await expect(banner).toHaveCount(0);
  await page.goto("/dashboard/confirm#nothing");
  await page.getByRole("button", { name: "Confirm this address" }).click();
  await expect(page.getByRole("alert")).toContainText("counts no more");
});

test("signing up with an address that has an account tells nothing of it", async ({ page }) => {
  await page.goto("/dashboard/signup");
  await page.getByLabel("Your name").fill("Somebody");
  await page.getByLabel("Workspace").fill("Elsewhere");
  await page.getByLabel("E-mail").fill(demo().owner_email);
  await page.getByLabel("Password").fill("violet harbor train nine");
  await page.getByRole("button", { name: "Create workspace" }).click();
  await expect(page.getByText("Look into your mailbox")).toBeVisible();
});

test("a forgotten password is reset by a link", async ({ page }) => {
  const email = `rui.${Date.now()}@cohortlabs.example`;
  await page.goto("/dashboard/signup");
  await page.getByLabel("Your name").fill("Rui");
  await page.getByLabel("Workspace").fill("Rui Labs");
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill("violet harbor train nine");
  await page.getByRole("button", { name: "Create workspace" }).click();
  await expect(page.getByText("Your workspace is ready")).toBeVisible();
  await page.context().clearCookies();
  await page.goto("/dashboard/login");
  await page.getByRole("link", { name: "Forgot your password?" }).click();
  await checkPage(page);
  await page.getByLabel("E-mail").fill(email);
  await page.getByRole("button", { name: "Send the link" }).click();
  await expect(page.getByText("Look into your mailbox")).toBeVisible();
  await checkPage(page);
  await page.goto(await linkOf(page, email, "reset"));
  await checkPage(page);
  await page.getByLabel("New password").fill("amber lantern river six");
  await page.getByRole("button", { name: "Set the password" }).click();
  await expect(page.getByRole("heading", { name: "Your password is set" })).toBeVisible();
  await page.getByRole("link", { name: "Log in" }).click();
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill("amber lantern river six");
  await page.getByRole("button", { name: "Log in", exact: true }).click();
  await expect(page.getByRole("heading", { name: "Hello, Rui" })).toBeVisible();
  await expect(page.getByRole("region", { name: "Confirm your address" })).toHaveCount(0);
});

test("a wrong password is told, and a page's address survives logging in", async ({ page }) => {
  await page.goto("/dashboard/campaigns?status=DRAFT");
  await expect(page).toHaveURL(/login\?next=/);
  await page.getByLabel("E-mail").fill(demo().owner_email);
  await page.getByLabel("Password").fill("not the password");
  await page.getByRole("button", { name: "Log in", exact: true }).click();
  await expect(page.getByRole("alert")).toContainText("wrong");
  await page.getByLabel("Password").fill(demo().owner_password);
  await page.getByRole("button", { name: "Log in", exact: true }).click();
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
