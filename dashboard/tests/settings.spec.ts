// Settings: the workspace, its texts, members and invitations, and the log of changes.
import { expect, test } from "@playwright/test";
import { checkPage, logIn } from "./steps";

test("settings: a name is saved and stands in the log; texts are measured", async ({ page }) => {
  await logIn(page);
  await page.getByRole("link", { name: "Settings", exact: true }).first().click();
  await expect(page.getByLabel("Default sender")).toBeVisible();
  await checkPage(page);
  await page.getByRole("button", { name: "Sending", exact: true }).click();
  await page.getByText(/^Keep quiet hours/).click();
  await checkPage(page);
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Saved.")).toBeVisible();
  await page.getByText(/^Keep quiet hours/).click();
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("button", { name: "Save" })).toBeDisabled();
  await page.getByRole("button", { name: "Texts" }).click();
  await page.getByLabel("Answers HELP").fill("Cohort Labs – help@cohortlabs.example");
  await expect(page.getByText("Unicode", { exact: false }).first()).toBeVisible();
  await checkPage(page);
  await page.getByRole("button", { name: "Senders" }).click();
  await checkPage(page);
  await page.goto("/dashboard/settings?tab=audit&action=SANDBOX_UPDATED");
  await expect(page.getByRole("grid", { name: "Audit log" })).toContainText("quiet hours");
  await checkPage(page);
  await page.getByRole("grid", { name: "Audit log" }).locator("tbody tr").first().focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("dialog")).toBeVisible();
  await checkPage(page);
});

test("countries are found, told with their hours, and switched off and on", async ({ page }) => {
  test.setTimeout(300_000);
  await logIn(page);
  await page.goto("/dashboard/settings?tab=sending");
  const countries = page.getByRole("region", { name: "Countries", exact: true });
  const find = page.getByLabel("Find a country");
  // Off from the start: named, with the one that the law forbids switched by nobody.
  await expect(countries.getByRole("switch", { name: /^Azerbaijan/ })).not.toBeChecked();
  await expect(countries.getByRole("switch", { name: /^Cuba/ })).toBeDisabled();
  await expect(countries.getByRole("switch", { name: /^France/ })).toHaveCount(0);
  await checkPage(page);
  await find.fill("fran");
  await expect(countries.getByText("FR · +33 · 08:00–22:00 · not on Sun, public holidays")).toBeVisible();
  await find.fill("44");
  await countries.getByRole("switch", { name: /^United Kingdom/ }).focus();
  await page.keyboard.press("Space");
  await expect(countries.getByText("GG · +44 · Off with United Kingdom")).toBeVisible();
  await find.fill("Azer");
  await countries.getByRole("switch", { name: /^Azerbaijan/ }).focus();
  await page.keyboard.press("Space");
  await find.fill("nowhere at all");
  await expect(page.getByText("No country matches.")).toBeVisible();
  await find.fill("");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Saved.")).toBeVisible();
  await page.reload();
  await expect(countries.getByRole("switch", { name: /^United Kingdom/ })).not.toBeChecked();
  await expect(countries.getByRole("switch", { name: /^Azerbaijan/ })).toHaveCount(0);
  await checkPage(page);
  await countries.getByRole("switch", { name: /^United Kingdom/ }).focus();
  await page.keyboard.press("Space");
  await find.fill("AZ");
  await countries.getByRole("switch", { name: /^Azerbaijan/ }).focus();
  await page.keyboard.press("Space");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("button", { name: "Save" })).toBeDisabled();
});

test("a member is invited, and the invitation ended", async ({ page }) => {
  await logIn(page);
  const email = `bea+${Date.now()}@cohortlabs.example`;
  await page.goto("/dashboard/settings?tab=members");
  await page.getByRole("button", { name: "Invite" }).click();
  await page.getByRole("dialog").getByLabel("E-mail").fill(email);
  await checkPage(page);
  await page.getByRole("dialog").getByRole("button", { name: "Invite" }).click();
  await expect(page.getByText("/dashboard/invitation#", { exact: false })).toBeVisible();
  await checkPage(page);
  await page.getByRole("button", { name: "Done" }).click();
  await expect(page.getByRole("grid", { name: "Invitations" })).toContainText(email);
  await checkPage(page);
  await page.getByRole("button", { name: `End the invitation of ${email}` }).click();
  await expect(page.getByText("The invitation is ended.")).toBeVisible();
  await expect(page.getByText(email)).toHaveCount(0);
});

test("a workspace is given away and deleted only with the password", async ({ page }) => {
  await logIn(page);
  await page.goto("/dashboard/settings?tab=ownership");
  await expect(page.getByRole("heading", { name: "Delete the workspace" })).toBeVisible();
  await checkPage(page);
  const card = page.locator("section").filter({ has: page.getByRole("heading", { name: "Delete the workspace" }) });
  const name = /^Type (.+) to go on$/.exec((await card.locator("label").first().innerText()).trim())![1]!;
  await expect(card.getByRole("button", { name: "Delete the workspace" })).toBeDisabled();
  await card.getByLabel(`Type ${name} to go on`).fill(name);
  await card.getByLabel("Your password").fill("not the password");
  await card.getByRole("button", { name: "Delete the workspace" }).click();
  await expect(card.getByText("The password is wrong.")).toBeVisible();
  await checkPage(page);
  await page.getByRole("button", { name: "Leave the workspace" }).click();
  await expect(page.getByRole("alertdialog")).toBeVisible();
  await checkPage(page);
});
