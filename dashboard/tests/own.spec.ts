// The user's own account: password, authenticator app, recovery codes, passkeys, sessions; and logging in with them.
import { createHmac } from "node:crypto";
import { expect, test } from "@playwright/test";
import { checkPage, linkOf, PASSWORD, signUp } from "./steps";

/** Return what an authenticator app shows for a secret, so many steps of 30 seconds from now. */
function codeOf(secret: string, ahead = 0): string {
  const bits = [...secret.replace(/=+$/, "")].map((each) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(each).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + ahead));
  const digest = createHmac("sha1", key).update(step).digest();
  const at = digest.at(-1)! & 15;
  return String((digest.readUInt32BE(at) & 0x7fff_ffff) % 1_000_000).padStart(6, "0");
}

test("an authenticator app, recovery codes, and logging in with them", async ({ page }) => {
  test.setTimeout(300_000);
  const email = await signUp(page, "Ines");
  await page.locator("header").getByRole("button").last().click();
  await page.getByRole("menuitem", { name: "Your account" }).click();
  await expect(page.getByRole("heading", { name: "Your account" })).toBeVisible();
  await expect(page.getByText("Not confirmed")).toBeVisible();
  await checkPage(page);
  await page.getByRole("button", { name: "Second factor" }).click();
  await expect(page).toHaveURL(/part=security/);
  await expect(page.getByRole("button", { name: "Set up an app" })).toBeVisible();
  await checkPage(page);
  await page.getByRole("button", { name: "Set up an app" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Your password").fill("wrong password of mine");
  await page.keyboard.press("Enter");
  await expect(dialog.getByText("The password is wrong.")).toBeVisible();
  await dialog.getByLabel("Your password").fill(PASSWORD);
  await page.keyboard.press("Enter");
  await expect(dialog.getByRole("img", { name: "QR code for the app" })).toBeVisible();
  await checkPage(page);
  const uri = await dialog.getByRole("link", { name: "Open in an app" }).getAttribute("href");
  const secret = new URL(uri!).searchParams.get("secret")!;
  await dialog.getByRole("textbox", { name: "Code" }).fill("000000");
  await page.keyboard.press("Enter");
  await expect(dialog.getByText("not the code of this moment", { exact: false })).toBeVisible();
  await dialog.getByRole("textbox", { name: "Code" }).fill(codeOf(secret));
  await page.keyboard.press("Enter");
  const codes = page.getByRole("alertdialog");
  await expect(codes.getByRole("listitem")).toHaveCount(10);
  const [recovery, other, third, fourth] = await codes.getByRole("listitem").allInnerTexts();
  await checkPage(page);
  await codes.getByRole("button", { name: "I have put them away" }).click();
  await expect(page.getByText("10 left")).toBeVisible();

  // The next step of the clock is a code that was not used yet.
  await page.context().clearCookies();
  await page.goto("/dashboard/login");
  const enter = async () => {
    await page.getByLabel("E-mail").fill(email);
    await page.getByLabel("Password").fill(PASSWORD);
    await page.getByRole("button", { name: "Log in", exact: true }).click();
    await expect(page.getByText("One more step", { exact: false })).toBeVisible();
  };
  await enter();
  await checkPage(page);
  await page.getByRole("textbox", { name: "Code", exact: true }).fill("000000");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("alert")).toContainText("That is not right");
  await page.getByRole("textbox", { name: "Code", exact: true }).fill(codeOf(secret, 1));
  await page.keyboard.press("Enter");
  await expect(page.locator("#page h1")).toBeVisible();

  await page.context().clearCookies();
  await page.goto("/dashboard/login");
  await enter();
  await page.getByRole("button", { name: "Use a recovery code" }).click();
  await page.getByLabel("Recovery code").fill(recovery!);
  await page.keyboard.press("Enter");
  await expect(page.locator("#page h1")).toBeVisible();

  await page.goto("/dashboard/account?part=sessions");
  await expect(page.getByText("A recovery code was used")).toBeVisible();
  await expect(page.getByText("This one")).toBeVisible();
  await checkPage(page);
  await page.getByRole("button", { name: /End the session of/ }).first().click();
  await page.getByRole("alertdialog").getByRole("button", { name: "End the session" }).click();
  await expect(page.getByText("The session has ended.")).toBeVisible();

  // Another address and another password take the second factor too.
  await page.goto("/dashboard/account");
  const address = page.locator("form").filter({ has: page.getByLabel("New e-mail address") });
  await address.getByLabel("New e-mail address").fill(`ines.reis.${Date.now()}@cohortlabs.example`);
  await address.getByLabel("Password to confirm it").fill(PASSWORD);
  await expect(address.getByRole("button", { name: "Send the link" })).toBeDisabled();
  await address.getByLabel("Code of your app, or a recovery code").fill("000000");
  await page.keyboard.press("Enter");
  await expect(address.getByText("The code is wrong, or was used already.")).toBeVisible();
  await checkPage(page);
  await address.getByLabel("Code of your app, or a recovery code").fill(third!);
  await page.keyboard.press("Enter");
  await expect(page.getByText("The link is on its way. The address", { exact: false })).toBeVisible();
  const form = page.locator("form").filter({ has: page.getByLabel("New password") });
  await form.getByLabel("Current password").fill(PASSWORD);
  await form.getByLabel("New password").fill(PASSWORD + " two");
  await expect(form.getByRole("button", { name: "Change the password" })).toBeDisabled();
  await form.getByLabel("Code of your app, or a recovery code").fill(fourth!);
  await page.keyboard.press("Enter");
  await expect(page.getByText("Your password is changed", { exact: false })).toBeVisible();

  await page.goto("/dashboard/account?part=security");
  await page.getByRole("button", { name: "Make new codes" }).click();
  await dialog.getByLabel("Your password").fill(PASSWORD + " two");
  await expect(dialog.getByRole("button", { name: "Make new codes" })).toBeDisabled();
  await dialog.getByLabel("Code of your app, or a recovery code").fill("000000");
  await page.keyboard.press("Enter");
  await expect(dialog.getByText("The code is wrong, or was used already.")).toBeVisible();
  await checkPage(page);
  await dialog.getByRole("button", { name: "Not now" }).click();
  await page.getByRole("button", { name: "Remove the app" }).click();
  await dialog.getByLabel("Your password").fill(PASSWORD + " two");
  await dialog.getByLabel("Code of your app, or a recovery code").fill(other!);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("button", { name: "Set up an app" })).toBeVisible();
  await page.getByRole("button", { name: "Set up an app" }).click();
  await dialog.getByLabel("Your password").fill(PASSWORD + " two");
  await expect(dialog.getByLabel("Code of your app, or a recovery code")).toHaveCount(0);
});

test("another password", async ({ page }) => {
  await signUp(page, "Nuno");
  await page.goto("/dashboard/account");
  await page.getByLabel("Current password").fill("not my password");
  await page.getByLabel("New password").fill("amber lantern river six");
  await page.keyboard.press("Enter");
  await expect(page.getByText("The password is wrong.")).toBeVisible();
  await page.getByLabel("Current password").fill(PASSWORD);
  await page.keyboard.press("Enter");
  await expect(page.getByText("Your password is changed", { exact: false })).toBeVisible();
  await page.reload();
  await expect(page.getByRole("heading", { name: "Your account" })).toBeVisible();
});

test("another name, and another address that counts once its link is opened", async ({ page }) => {
  await signUp(page, "Olga");
  await page.goto("/dashboard/account");
  await page.getByLabel("Name", { exact: true }).fill("Olga Reis");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Saved.")).toBeVisible();
  const email = `olga.reis.${Date.now()}@cohortlabs.example`;
  await page.getByLabel("New e-mail address").fill(email);
  await page.getByLabel("Password to confirm it").fill("not my password");
  await page.keyboard.press("Enter");
  await expect(page.getByText("The password is wrong.")).toBeVisible();
  await page.getByLabel("Password to confirm it").fill(PASSWORD);
  await page.keyboard.press("Enter");
  await expect(page.getByText("The link is on its way. The address", { exact: false })).toBeVisible();
  await checkPage(page);
  await page.goto(await linkOf(page, email, "confirm"));
  await page.getByRole("button", { name: "Confirm this address" }).click();
  await expect(page.getByRole("heading", { name: "Your address is confirmed" })).toBeVisible();
  await page.goto("/dashboard/account");
  await expect(page.getByText(email, { exact: true })).toBeVisible();
  await expect(page.getByLabel("Name", { exact: true })).toHaveValue("Olga Reis");
  await page.getByLabel("Another workspace").fill("Olga Two");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await expect(page.getByText("The workspace is made, and open.")).toBeVisible();
  await expect(page.getByRole("button", { name: "Workspace: Olga Two" }).first()).toBeVisible();
});

test("a passkey, added and logged in with, alone", async ({ page, baseURL }) => {
  const local = baseURL!.replace("127.0.0.1", "localhost");
  const tools = await page.context().newCDPSession(page);
  await tools.send("WebAuthn.enable");
  await tools.send("WebAuthn.addVirtualAuthenticator", {
    options: { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
  });
  const email = `vera.${Date.now()}@cohortlabs.example`;
  await page.goto(`${local}/dashboard/signup`);
  await page.getByLabel("Your name").fill("Vera");
  await page.getByLabel("Workspace").fill("Vera Labs");
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Create workspace" }).click();
  await expect(page.getByText("Your workspace is ready")).toBeVisible();
  await page.goto(`${local}/dashboard/account?part=security`);
  await page.getByRole("button", { name: "Add a passkey" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("What to call it").fill("Old laptop");
  await dialog.getByLabel("Your password").fill(PASSWORD);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("alertdialog").getByRole("listitem")).toHaveCount(10);
  await page.getByRole("button", { name: "I have put them away" }).click();
  await expect(page.getByText("Old laptop")).toBeVisible();
  await checkPage(page);
  await page.getByRole("button", { name: "Rename Old laptop" }).click();
  await dialog.getByLabel("What to call it").fill("Laptop at home");
  await page.keyboard.press("Enter");
  await expect(page.getByText("Laptop at home")).toBeVisible();
  await page.context().clearCookies();
  await page.goto(`${local}/dashboard/login`);
  await page.getByRole("button", { name: "Log in with a passkey" }).click();
  await expect(page.locator("#page h1")).toBeVisible();
  await page.context().clearCookies();
  await page.goto(`${local}/dashboard/login`);
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Log in", exact: true }).click();
  await page.getByRole("button", { name: "Use a passkey" }).click();
  await expect(page.locator("#page h1")).toBeVisible();
  await page.goto(`${local}/dashboard/account?part=security`);
  await page.getByRole("button", { name: "Remove Laptop at home" }).click();
  await page.getByLabel("Your password").fill(PASSWORD);
  await dialog.getByRole("button", { name: "Use a passkey instead" }).click();
  await checkPage(page);
  await dialog.getByRole("button", { name: "Remove", exact: true }).click();
  await expect(page.getByText("Laptop at home")).toHaveCount(0);
});

test("a workspace is deleted, and its deletion canceled, with the second factor", async ({ page }) => {
  await signUp(page, "Pia");
  await page.goto("/dashboard/account?part=security");
  await page.getByRole("button", { name: "Set up an app" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Your password").fill(PASSWORD);
  await page.keyboard.press("Enter");
  const uri = await dialog.getByRole("link", { name: "Open in an app" }).getAttribute("href");
  await dialog.getByRole("textbox", { name: "Code" }).fill(codeOf(new URL(uri!).searchParams.get("secret")!));
  await page.keyboard.press("Enter");
  const codes = page.getByRole("alertdialog");
  await expect(codes.getByRole("listitem")).toHaveCount(10);
  const [first, second] = await codes.getByRole("listitem").allInnerTexts();
  await codes.getByRole("button", { name: "I have put them away" }).click();

  await page.goto("/dashboard/settings?tab=ownership");
  const card = page.locator("section").filter({ has: page.getByRole("heading", { name: "Delete the workspace" }) });
  await card.getByLabel("Type Pia Labs to go on").fill("Pia Labs");
  await card.getByLabel("Your password").fill(PASSWORD);
  await expect(card.getByRole("button", { name: "Delete the workspace" })).toBeDisabled();
  await card.getByLabel("Code of your app, or a recovery code").fill(first!);
  await card.getByRole("button", { name: "Delete the workspace" }).click();
  await expect(page).toHaveURL(/\/dashboard\/account/);

  await page.getByRole("button", { name: /Cancel the deletion/ }).first().click();
  const form = page.locator("form").filter({ has: page.getByRole("button", { name: "Cancel the deletion" }) });
  await form.getByLabel("Your password").fill(PASSWORD);
  const code = form.getByLabel("Code of your app, or a recovery code");
  await code.fill(first!);
  await page.keyboard.press("Enter");
  await expect(form.getByText("The code is wrong, or was used already.")).toBeVisible();
  await checkPage(page);
  await code.fill(second!);
  await page.keyboard.press("Enter");
  await expect(page.getByText("The workspace goes on where it stopped.")).toBeVisible();
  await expect(page.getByRole("button", { name: /Cancel the deletion/ })).toHaveCount(0);
});
