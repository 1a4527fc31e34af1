// Keys, webhooks, events, the log of requests and code samples.
import { expect, test } from "@playwright/test";
import { checkPage, demo, logIn, rest } from "./steps";

test("a key: made with scopes and shown once, used, found in the log, rolled, revoked", async ({ page }) => {
  await logIn(page);
  const name = `Checkout ${Date.now()}`;
  await page.getByRole("link", { name: "Developers", exact: true }).first().click();
  await expect(page.getByRole("grid", { name: "API keys" })).toBeVisible();
  await checkPage(page);
  await page.getByRole("button", { name: "Create key" }).click();
  const drawer = page.getByRole("dialog");
  await drawer.getByLabel("Name").fill(name);
  await drawer.getByText("Only some").click();
  await drawer.getByText("messages:read").click();
  await checkPage(page);
  await drawer.getByRole("button", { name: "Create key" }).click();
  const shown = page.getByRole("alertdialog", { name: "Your new key" });
  const key = await shown.locator("code").first().innerText();
  await checkPage(page);
  await shown.getByRole("button", { name: "I have kept it" }).click();

  const answer = await page.request.get("/v1/contacts", { headers: { Authorization: `Bearer ${key}` } });
  expect(answer.status()).toBe(403);
  await page.getByRole("link", { name }).click();
  await expect(page).toHaveURL(/tab=requests&key=/);
  await expect(async () => {
    await page.getByRole("button", { name: "Read again" }).click();
    await expect(page.getByRole("grid", { name: "Requests" })).toContainText("/v1/contacts", { timeout: 1000 });
  }).toPass({ timeout: 20_000 });
  await checkPage(page);
  await page.goBack();

  await page.getByRole("button", { name: `Roll ${name}` }).first().click();
  await page.getByRole("button", { name: "Make the new key" }).click();
  await page.getByRole("button", { name: "I have kept it" }).click();
  await expect(page.getByText(/Ends in 23 h/)).toBeVisible();
  await page.getByRole("button", { name: `Revoke ${name}` }).first().click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Revoke" }).click();
  await expect(page.getByText("The key is revoked.")).toBeVisible();
});

test("a webhook, its filter, its secret once, a test, off and on", async ({ page }) => {
  await logIn(page);
  const campaign = `Doors ${Date.now()}`;
  await rest(page, "POST", "/campaigns", { name: campaign, body: "Doors open.", audience: { contact_ids: [] }, draft: true });
  await page.goto("/dashboard/developers?tab=webhooks");
  await page.getByRole("button", { name: "Add webhook" }).first().click();
  const drawer = page.getByRole("dialog");
  await drawer.getByLabel("Address").fill(`https://hooks.example.com/${Date.now()}`);
  await expect(drawer.getByRole("checkbox", { name: /Send what it missed/ })).toBeChecked();
  await drawer.getByLabel("Events in one request").fill("50");
  await drawer.getByLabel("Metadata").fill("cohort");
  await expect(drawer.getByText("Write each line as name=value.")).toBeVisible();
  await expect(drawer.getByRole("button", { name: "Add webhook" })).toBeDisabled();
  await drawer.getByLabel("Metadata").fill("cohort=spring\ntier=2");
  await checkPage(page);
  await drawer.getByRole("button", { name: "Add webhook" }).click();
  await page.getByRole("button", { name: "I have kept it" }).click();
  await page.getByRole("grid", { name: "Webhooks" }).getByRole("link").first().click();
  await page.getByRole("button", { name: "Send a test" }).click();
  await expect(page.getByText("A test event is on its way.")).toBeVisible();
  await expect(page.getByText("Last number")).toBeVisible();
  await expect(page.getByText("Up to 50")).toBeVisible();
  await expect(page.getByText('cohort="spring", tier=2')).toBeVisible();
  await checkPage(page);

  await page.getByRole("button", { name: "Edit", exact: true }).click();
  await expect(drawer.getByLabel("Metadata")).toHaveValue("cohort=spring\ntier=2");
  await drawer.getByLabel("Metadata").fill("");
  await drawer.getByText(campaign).click();
  await drawer.getByRole("button", { name: "Save" }).click();
  await expect(drawer).toBeHidden();
  await expect(page.getByText("cohort=")).toHaveCount(0);
  await expect(page.getByText(/^cmp_/)).toBeVisible();
  await page.getByRole("button", { name: "Rotate secret" }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Rotate secret" }).click();
  await page.getByRole("button", { name: "I have kept it" }).click();
  await page.getByRole("button", { name: "Turn off" }).click();
  await expect(page.getByRole("button", { name: "Turn on" })).toBeVisible();
});

test("events arrive by themselves, and open", async ({ page }) => {
  await logIn(page);
  await page.goto("/dashboard/developers?tab=events&type=MESSAGE_QUEUED");
  await expect(page.getByRole("switch")).toBeChecked();
  await page.waitForTimeout(1500);
  const { id } = await rest(page, "POST", "/messages", { to: "+14155550123", body: "An event comes of this." });
  await expect(page.getByText(String(id))).toBeVisible({ timeout: 15_000 });
  await checkPage(page);
  await page.getByRole("grid", { name: "Events" }).locator("tbody tr").first().click();
  await expect(page.getByRole("dialog").getByText("message.queued")).toBeVisible();
  await checkPage(page);
});

test("code samples name this host", async ({ page, baseURL }) => {
  await logIn(page);
  await page.goto("/dashboard/developers?tab=samples");
  for (const language of ["curl", "Python", "Node.js"]) {
    await page.getByText(language, { exact: true }).click();
    await expect(page.getByRole("region", { name: "Send a message" })).toContainText(`${new URL(baseURL ?? page.url()).origin}/v1/messages`);
  }
  await checkPage(page);
  expect(demo().test_key).not.toBe("");
});
