// The operators' area: its own log-in, what it shows, and each act with its entry in the log; axe on each page.
import { expect, test, type Page } from "@playwright/test";
import { checkPage, demo, operatorPassword, signUp } from "./steps";

async function signIn(page: Page) {
  await page.goto("/dashboard/operators");
  await page.getByLabel("Password").fill(operatorPassword());
  await page.getByLabel("Password").press("Enter");
  await expect(page.locator("#page h1")).toHaveText("Overview");
}

test("operators: a log-in of their own, every page, an act in the log, by the keyboard", async ({ page, browser }) => {
  // Others may sign up with the address of the demo: an address of its own has one workspace.
  const owner = await (await browser.newContext()).newPage();
  const email = await signUp(owner, "Granted");
  await owner.context().close();
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
  await page.getByLabel("Name, id or a member's address").fill(email);
  const rows = page.getByRole("grid", { name: "Workspaces" }).locator("tbody tr");
  await expect(rows).toHaveCount(1);
  await expect(rows).toContainText("Granted Labs");
  await rows.first().focus();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/dashboard\/operators\/workspaces\/wsp_\w+$/);
  const id = page.url().split("/").at(-1)!;
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
  await expect(log.locator("tbody tr").first()).toContainText(`${id} +1500: Late delivery`);
  await checkPage(page);
  await page.getByLabel("Operator").fill("nobody.of.this.name");
  await expect(page.getByText("Nothing matches these filters")).toBeVisible();
  await checkPage(page);
});

test("operators: a workspace is held and released, a route added and removed", async ({ page, browser }) => {
  await signIn(page);
  const owner = await (await browser.newContext()).newPage();
  const email = await signUp(owner, "Held");

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
  const asked = /\/ops\/api\/(?!session)/;
  for (const place of ["", "/jobs", "/carriers", "/routes", "/workspaces", `/workspaces/${demo().workspace_id}`, "/log"]) {
    await page.route(asked, (route) => route.fulfill(failing));
    await page.goto(`/dashboard/operators${place}`);
    await expect(page.getByRole("alert")).toContainText("req_0123");
    await checkPage(page);
    // The press asks again, and the problem stays while the answer is the same.
    const again = page.getByRole("button", { name: "Try again" });
    const reading = page.waitForRequest(asked);
    await again.click();
    await reading;
    await expect(again).toBeVisible();
    // Some pages also read by themselves: the pointer is there before the service answers again, and is not waited with.
    await again.hover();
    await page.unroute(asked);
    await page.mouse.down();
    await page.mouse.up();
    await expect(page.getByRole("alert")).toHaveCount(0);
  }
  await page.route(asked, (route) => route.abort());
  await page.goto("/dashboard/operators/carriers");
  await expect(page.getByRole("alert")).toContainText("You are offline");
  await checkPage(page);
  await page.unroute(asked);
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
