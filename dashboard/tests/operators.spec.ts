// The operators' area: its own log-in, what it shows, and each act with its entry in the log; axe on each page.
import { expect, test, type Page } from "@playwright/test";
import { checkPage, demo, operatorPassword } from "./steps";

async function signIn(page: Page) {
  await page.goto("/dashboard/operators");
  await page.getByLabel("Password").fill(operatorPassword());
  await page.getByLabel("Password").press("Enter");
  await expect(page.locator("#page h1")).toHaveText("Overview");
}

test("operators: a log-in of their own, every page, an act in the log, by the keyboard", async ({ page }) => {
  await page.goto("/dashboard/operators/workspaces");
  await expect(page.getByRole("heading", { name: "Operators" })).toBeVisible();
  await checkPage(page);
  await page.getByLabel("Password").fill("not the password");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("alert")).toContainText("is wrong");
  await page.getByLabel("Password").fill(operatorPassword());
  await page.keyboard.press("Enter");
  // The address that was asked for is still there.
  await expect(page.locator("#page h1")).toHaveText("Workspaces");
  await checkPage(page);

  await page.getByRole("link", { name: "Overview" }).click();
  await expect(page.getByText("All checks pass")).toBeVisible();
  await expect(page.getByRole("row", { name: /^messages/ })).toBeVisible();
  await checkPage(page);
  await page.getByRole("link", { name: "Failed jobs", exact: true }).click();
  await expect(page.getByText("No job has failed")).toBeVisible();
  await checkPage(page);
  await page.getByRole("link", { name: "Carriers" }).click();
  await expect(page.getByRole("heading", { name: "virtual" })).toBeVisible();
  await checkPage(page);

  await page.getByRole("link", { name: "Workspaces" }).click();
  await page.getByLabel("Name, id or a member's address").fill(demo().owner_email);
  const rows = page.getByRole("grid", { name: "Workspaces" }).locator("tbody tr");
  await expect(rows).toHaveCount(1);
  await rows.first().focus();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(new RegExp(`/dashboard/operators/workspaces/${demo().workspace_id}`));
  await checkPage(page);
  await page.getByRole("button", { name: "Grant credits" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Credits").fill("1.5");
  await dialog.getByLabel("Why").fill("Late delivery");
  await expect(dialog.getByRole("button", { name: "Grant", exact: true })).toBeDisabled();
  await dialog.getByLabel("Credits").fill("1,500");
  await checkPage(page);
  await page.keyboard.press("Enter");
  await expect(page.getByText("1,500 credits are granted.")).toBeVisible();
  await expect(page.getByText("Late delivery").first()).toBeVisible();

  await page.getByRole("link", { name: "Log", exact: true }).click();
  const log = page.getByRole("grid", { name: "Log" });
  await expect(log.locator("tbody tr").first()).toContainText("Granted credits");
  await expect(log.locator("tbody tr").first()).toContainText(`${demo().workspace_id} +1500: Late delivery`);
  await checkPage(page);
  await page.getByLabel("Operator").fill("nobody.of.this.name");
  await expect(page.getByText("Nothing matches these filters")).toBeVisible();
  await checkPage(page);
});

test("operators: a workspace is held and released, a route added and removed", async ({ page, browser }) => {
  await signIn(page);
  const email = `held.${Date.now()}@cohortlabs.example`;
  const owner = await (await browser.newContext()).newPage();
  await owner.goto("/dashboard/signup");
  await owner.getByLabel("Your name").fill("Ana Silva");
  await owner.getByLabel("Workspace").fill("Held Labs");
  await owner.getByLabel("E-mail").fill(email);
  await owner.getByLabel("Password").fill("violet harbor train nine");
  await owner.getByRole("button", { name: "Create workspace" }).click();
  await owner.getByRole("button", { name: "Go to the dashboard" }).click();
  await expect(owner.locator("#page h1")).toBeVisible();

  await page.goto(`/dashboard/operators/workspaces?q=${encodeURIComponent(email)}`);
  await page.getByRole("link", { name: "Held Labs" }).click();
  await page.getByRole("button", { name: "Hold" }).click();
  await page.getByRole("dialog").getByLabel("Why").fill("Asked by law");
  await checkPage(page);
  await page.keyboard.press("Enter");
  await expect(page.getByText("Held since", { exact: false })).toBeVisible();
  await checkPage(page);
  await owner.goto("/dashboard/campaigns");
  await expect(owner.getByRole("alert").first()).toContainText("suspended");
  await owner.context().close();
  await page.getByRole("button", { name: "Release" }).click();
  await page.getByRole("dialog").getByLabel("Why").fill("Sorted out");
  await page.keyboard.press("Enter");
  await expect(page.getByText("The workspace goes on.")).toBeVisible();

  await page.getByRole("link", { name: "Routes", exact: true }).click();
  await expect(page.getByText("No shared route")).toBeVisible();
  await checkPage(page);
  await page.getByRole("button", { name: "Add a route" }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Regions").fill("zz");
  await checkPage(page);
  await page.keyboard.press("Enter");
  await expect(dialog.getByText("ZZ", { exact: false }).first()).toBeVisible();
  await dialog.getByLabel("Regions").fill("br, us");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("grid", { name: "Routes" })).toContainText("BR, US");
  await checkPage(page);
  await page.getByRole("button", { name: "Remove the route to virtual" }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Remove" }).click();
  await expect(page.getByText("No shared route")).toBeVisible();
});

test("operators: a problem has its request id, a session that ended goes on where it was, offline is told", async ({ page }) => {
  await signIn(page);
  await page.goto("/dashboard/operators/log");
  await expect(page.getByRole("grid", { name: "Log" })).toBeVisible();
  const failing = { status: 500, contentType: "application/json", body: JSON.stringify({ error: { type: "api_error", code: "internal_error", message: "Something went wrong on our side.", request_id: "req_0123" } }) };
  for (const place of ["", "/jobs", "/carriers", "/routes", "/workspaces", `/workspaces/${demo().workspace_id}`, "/log"]) {
    await page.route(/\/ops\/api\/(?!session)/, (route) => route.fulfill(failing));
    await page.goto(`/dashboard/operators${place}`);
    await expect(page.getByRole("alert")).toContainText("req_0123");
    await checkPage(page);
    await page.unroute(/\/ops\/api\/(?!session)/);
    await page.getByRole("button", { name: "Try again" }).click();
    await expect(page.getByRole("alert")).toHaveCount(0);
  }
  await page.route(/\/ops\/api\/(?!session)/, (route) => route.abort());
  await page.goto("/dashboard/operators/carriers");
  await expect(page.getByRole("alert")).toContainText("You are offline");
  await checkPage(page);
  await page.unroute(/\/ops\/api\/(?!session)/);
  // It is tried again by itself.
  await expect(page.getByRole("heading", { name: "virtual" })).toBeVisible();

  await page.context().clearCookies({ name: "msvs_ops" });
  await page.getByRole("link", { name: "Log", exact: true }).click();
  const dialog = page.getByRole("alertdialog");
  await expect(dialog).toContainText("Your session has ended");
  await checkPage(page);
  await dialog.getByLabel("Password").fill(operatorPassword());
  await page.keyboard.press("Enter");
  await expect(page.getByRole("grid", { name: "Log" })).toBeVisible();
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByRole("heading", { name: "Operators" })).toBeVisible();
});
