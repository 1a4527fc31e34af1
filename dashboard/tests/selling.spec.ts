// What helps to sell: templates and snippets, approval by a second person, the sandbox's clock, and what orders brought.
import { mkdirSync } from "node:fs";
import { expect, test, type Page } from "@playwright/test";
import { checkPage, expectAnyHour, logIn, makeList, rest } from "./steps";

const FOLDER = process.env["MSVS_SHOTS"];

/** Keep a picture at a phone's width, dark, and at a desk's, light, where a folder is named. */
async function shoot(page: Page, name: string) {
  if (FOLDER === undefined) return;
  mkdirSync(FOLDER, { recursive: true });
  for (const [width, height, colorScheme] of [[390, 844, "dark"], [1440, 900, "light"]] as const) {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.waitForTimeout(200);
    await page.screenshot({ path: `${FOLDER}/selling-${name}-${width}-${colorScheme}.png`, fullPage: true });
  }
}

/** Hold a state against axe and the width of a phone, and keep a picture of it. */
async function look(page: Page, name: string) {
  await checkPage(page);
  await shoot(page, name);
}

test("templates and snippets: written once, used in a campaign, an answer and a single message", async ({ page }) => {
  const stamp = Date.now();
  await page.setViewportSize({ width: 1440, height: 900 });
  await logIn(page);
  await page.getByRole("link", { name: "Templates", exact: true }).first().click();
  await expect(page.getByRole("heading", { name: "Templates", level: 1 })).toBeVisible();
  await look(page, "templates-first");

  // A snippet: its name is made of what is typed, and what it says is seen as it arrives.
  await page.getByRole("button", { name: "Snippets" }).click();
  await page.getByRole("button", { name: "New snippet" }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill(`Sign ${stamp}`);
  await dialog.getByLabel("Text").fill("Ana from Cohort Labs. Reply STOP to opt out.");
  await expect(dialog.getByText(`{snippet.sign-${stamp}}`)).toBeVisible();
  await expect(dialog.getByText("1 segment")).toBeVisible();
  await look(page, "snippet");
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("grid", { name: "Snippets" })).toContainText(`{snippet.sign-${stamp}}`);
  await look(page, "snippets");

  // A template with the snippet at its cursor; what is wrong stands at its field.
  await page.getByRole("button", { name: "Templates", exact: true }).click();
  await page.getByRole("button", { name: "New template" }).first().click();
  await dialog.getByLabel("Name").fill(`Cart close ${stamp}`);
  await dialog.getByLabel("Text").fill("Hi , the cart closes tonight. ");
  await dialog.getByLabel("Text").evaluate((area: HTMLTextAreaElement) => area.setSelectionRange(3, 3));
  await dialog.getByRole("button", { name: "{firstName|there}" }).click();
  await expect(dialog.getByLabel("Text")).toHaveValue("Hi {firstName|there}, the cart closes tonight. ");
  // The cursor follows what was inserted a moment later.
  await expect.poll(() => dialog.getByLabel("Text").evaluate((area: HTMLTextAreaElement) => area.selectionStart)).toBe("Hi {firstName|there}".length);
  await dialog.getByLabel("Text").press("End");
  await dialog.getByRole("button", { name: /Insert a snippet/ }).click();
  await page.getByRole("option", { name: `sign-${stamp}` }).click();
  const body = `Hi {firstName|there}, the cart closes tonight. {snippet.sign-${stamp}}`;
  await expect(dialog.getByLabel("Text")).toHaveValue(body);
  await expect(dialog.getByRole("figure")).toContainText("Hi Ana, the cart closes tonight. Ana from Cohort Labs.");
  await dialog.getByLabel("Tags").fill("Launch, vip");
  await look(page, "template");
  await dialog.getByLabel("Text").fill("Hi {snippet.nothing-of-this-name}");
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(dialog.getByText("nothing-of-this-name", { exact: false }).last()).toBeVisible();
  await dialog.getByLabel("Text").fill(body);
  await dialog.getByRole("button", { name: "Save" }).click();
  const rows = page.getByRole("grid", { name: "Templates" });
  await expect(rows).toContainText(`Cart close ${stamp}`);
  await expect(rows).toContainText("#launch");
  await look(page, "templates");

  // Filters leave nothing, and are cleared; a tag is one.
  await page.getByLabel("Search", { exact: true }).fill(`Nothing ${stamp}`);
  await expect(page.getByText("Nothing matches these filters")).toBeVisible();
  await checkPage(page);
  await page.getByRole("button", { name: "Clear filters" }).click();
  await rows.getByRole("button", { name: "#vip" }).first().click();
  await expect(page).toHaveURL(/tag=vip/);
  await page.getByRole("button", { name: "Tag: vip" }).click();

  // The composer begins with it, and gives back what was written.
  await page.goto("/dashboard/campaigns/new");
  const text = page.getByLabel("What people read");
  await text.fill("What I wrote.");
  await page.getByRole("button", { name: "Use a template" }).click();
  await expect(dialog.getByText("It takes the place of what you have written.")).toBeVisible();
  await look(page, "template-pick");
  await dialog.getByRole("button", { name: `Use Cart close ${stamp}` }).click();
  await expect(text).toHaveValue(body);
  await page.getByRole("button", { name: "Undo" }).click();
  await expect(text).toHaveValue("What I wrote.");
  await page.getByRole("button", { name: "Save as template" }).click();
  await dialog.getByLabel("Name").fill(`Cart close ${stamp}`);
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(dialog.getByText(/already/)).toBeVisible();
  await dialog.getByLabel("Name").fill(`Kept ${stamp}`);
  await checkPage(page);
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Kept as a template.")).toBeVisible();
  await look(page, "composer");

  // A single message and an answer take the same.
  await page.goto("/dashboard/messages?send=1");
  await dialog.getByRole("button", { name: "Use a template" }).click();
  await page.getByRole("button", { name: `Use Cart close ${stamp}` }).click();
  await expect(dialog.getByLabel("Text")).toHaveValue(body);
  await expect(dialog.getByText("Ana from Cohort Labs.", { exact: false }).first()).toBeAttached();
  await look(page, "send");
  const contact = await rest(page, "POST", "/contacts", { phone: `+1415555${String(stamp).slice(-4)}`, first_name: "Bea", opt_in: { source: "web_form", ip: "203.0.113.7" } });
  await rest(page, "POST", "/test/inbound", { from: contact["phone"], body: "When does it close?" });
  await page.goto(`/dashboard/inbox?id=${String(contact["id"])}`);
  await page.getByRole("button", { name: "Use a template" }).click();
  await dialog.getByRole("button", { name: `Use Cart close ${stamp}` }).click();
  await expect(page.getByLabel("Answer", { exact: true })).toHaveValue(body);
  await look(page, "answer");
  await page.getByRole("button", { name: "Send answer" }).click();
  await expect(page.getByRole("log")).toContainText("Hi Bea, the cart closes tonight. Ana from Cohort Labs. Reply STOP to opt out.");

  // Changed by two at once; archived; found in the archive; deleted. ⌘K knows where to write one.
  await page.goto("/dashboard/templates");
  await rows.getByRole("button", { name: `Kept ${stamp}`, exact: true }).click();
  const kept = /tpl_[0-9A-Z]+/.exec(page.url())![0];
  await rest(page, "POST", `/templates/${kept}`, { body: "Theirs." });
  await dialog.getByLabel("Text").fill("Mine.");
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(dialog.getByText("Somebody else changed this meanwhile.", { exact: false })).toBeVisible();
  await checkPage(page);
  await dialog.getByRole("button", { name: "Keep mine" }).click();
  await expect(dialog).toHaveCount(0);
  expect((await rest(page, "GET", `/templates/${kept}`))["body"]).toBe("Mine.");
  await rows.getByRole("button", { name: `Kept ${stamp}`, exact: true }).click();
  await dialog.getByRole("button", { name: "Archive", exact: true }).click();
  await expect(rows.getByText(`Kept ${stamp}`)).toHaveCount(0);
  await page.getByText("Archived", { exact: true }).first().click();
  await rows.getByRole("button", { name: `Kept ${stamp}`, exact: true }).click();
  await dialog.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Delete" }).click();
  await expect(page.getByText("Deleted.")).toBeVisible();
  await page.keyboard.press("ControlOrMeta+k");
  await page.getByRole("combobox").fill("new template");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/templates\?open=new/);
});

// What is left of a test that failed would have every later campaign ask for approval.
test.afterEach(async ({ page }) => {
  await rest(page, "POST", "/workspace", { approval_threshold: null });
});

test("approval: asked for in the review, decided by a second person", async ({ page, browser }) => {
  const stamp = Date.now();
  const email = `second+${stamp}@cohortlabs.example`;
  await page.setViewportSize({ width: 1440, height: 900 });
  await logIn(page);
  await page.goto("/dashboard/settings?tab=members");
  await page.getByRole("button", { name: "Invite" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("E-mail").fill(email);
  await dialog.getByRole("button", { name: /Role/ }).click();
  await page.getByRole("option", { name: "Admin" }).click();
  await dialog.getByRole("button", { name: "Invite" }).click();
  const link = /\/dashboard\/invitation#[\w-]+/.exec(await page.getByText("/dashboard/invitation#", { exact: false }).first().innerText())![0];
  await page.getByRole("button", { name: "Done" }).click();
  const second = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage();
  await second.goto(link);
  await second.getByLabel("Your name").fill("Bea Second");
  await second.getByLabel("Password").fill("several words that are long enough");
  await second.getByRole("button", { name: "Join" }).click();
  await expect(second.locator("#page h1")).toBeVisible();

  // The setting, with what it means.
  const threshold = page.getByLabel("Recipients above which a second person approves");
  await page.goto("/dashboard/settings?tab=sending");
  await threshold.fill("3");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByText("Saved.")).toBeVisible();
  await threshold.scrollIntoViewIfNeeded();
  await look(page, "approval-setting");

  const list = `Approved ${stamp}`;
  const listed = await makeList(page, list, 5);
  const name = `To many ${stamp}`;
  await page.goto("/dashboard/campaigns/new");
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("What people read").fill("Doors open at 8pm. Reply STOP to opt out.");
  await page.getByText(list).click();
  await expectAnyHour(page);
  await expect(page.getByText("Saved", { exact: true })).toBeVisible();
  await page.getByRole("button", { name: "Review and launch" }).click();
  await expect(dialog.getByText("It needs the approval of a second person", { exact: false })).toBeVisible();
  await look(page, "approval-review");
  await dialog.getByRole("button", { name: "Ask for approval" }).click();

  // Who asked is told why they cannot decide.
  const card = page.locator("section").filter({ has: page.getByRole("heading", { name: "Approval" }) });
  await expect(card.getByText("You launched or changed it last.", { exact: false })).toBeVisible();
  await expect(card.getByRole("button", { name: "Approve" })).toHaveCount(0);
  await expect(page.getByRole("button", { name: "Resume" })).toHaveCount(0);
  await look(page, "approval-own");
  await page.goto("/dashboard");
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  await expect(page.getByText("waits for your approval", { exact: false })).toHaveCount(0);

  // The second person finds it at home, rejects it with a reason, and later approves it.
  await second.goto("/dashboard");
  await expect(second.getByText("1 campaign waits for your approval:")).toBeVisible();
  await look(second, "approval-home");
  await second.getByRole("link", { name }).first().click();
  const decide = second.locator("section").filter({ has: second.getByRole("heading", { name: "Approval" }) });
  await expect(decide.getByRole("button", { name: "Reject" })).toBeDisabled();
  await decide.getByLabel("Comment").fill("The link is missing.");
  await look(second, "approval-decide");
  await decide.getByRole("button", { name: "Reject" }).click();
  await expect(decide.getByText("The link is missing.")).toBeVisible();
  await expect(decide.getByText("You rejected it", { exact: false })).toBeVisible();
  await page.goto("/dashboard/campaigns?status=PAUSED");
  await page.getByRole("link", { name }).click();
  await expect(card.getByText("Bea Second rejected it", { exact: false })).toBeVisible();
  await look(page, "approval-rejected");
  await card.getByRole("button", { name: "Ask again" }).click();
  await expect(card.getByText("Waits for approval")).toBeVisible();

  // Whom it goes to has changed since it was asked for: who decides sees it.
  const later = await rest(page, "POST", "/contacts", { phone: `+1646555${String(stamp).slice(-4)}`, first_name: "Late", opt_in: { source: "web_form", ip: "203.0.113.7" } });
  await rest(page, "POST", `/lists/${listed}/contacts`, { contact_ids: [later["id"]] });
  await second.reload();
  await expect(decide.getByText("Its audience has grown since: 6 people now, 5 when it was asked for.", { exact: false })).toBeVisible();
  await look(second, "approval-drift");

  // Somebody pauses it by hand: it can still be changed, and waits for a hand once it is approved.
  const id = /cmp_\w+/.exec(page.url())![0];
  await rest(page, "POST", `/campaigns/${id}/pause`);
  await page.reload();
  await page.getByRole("link", { name: "Edit", exact: true }).click();
  await page.getByLabel("What people read").fill("Doors open at 9pm. Reply STOP to opt out.");
  await look(page, "approval-edit");
  await page.getByRole("button", { name: "Save and close" }).click();
  await expect(card.getByText("it goes to 6 recipients.")).toBeVisible();
  await second.reload();
  await expect(decide.getByText("Its audience has grown since", { exact: false })).toHaveCount(0);
  await decide.getByLabel("Comment").fill("Good now.");
  await decide.getByRole("button", { name: "Approve" }).click();
  await expect(decide.getByText("You approved it", { exact: false })).toBeVisible();
  await decide.getByText("History").click();
  await expect(decide.getByRole("list", { name: "History" }).getByRole("listitem")).toHaveCount(5);
  await second.getByRole("button", { name: "Resume" }).click();
  await expect(second.locator('[data-step="Delivered"]')).toContainText("6", { timeout: 60_000 });
  await look(second, "approval-approved");
  await second.context().close();

  await page.goto("/dashboard/settings?tab=sending");
  await threshold.fill("");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByText("Saved.")).toBeVisible();
  await page.goto("/dashboard/settings?tab=members");
  await page.getByRole("button", { name: "Remove Bea Second" }).click();
  await page.getByRole("dialog").or(page.getByRole("alertdialog")).getByRole("button", { name: "Remove" }).click();
  await expect(page.getByText("Removed.")).toBeVisible();
});

test("conversions: filters, the sums of days, and a line over them", async ({ page }) => {
  const stamp = Date.now();
  await page.setViewportSize({ width: 1440, height: 900 });
  await logIn(page);
  const list = await makeList(page, `Bought ${stamp}`, 2);
  const members = (await rest(page, "GET", `/lists/${list}/contacts`))["data"] as { id: string }[];
  const name = `Sold ${stamp}`;
  const campaign = await rest(page, "POST", "/campaigns", { name, body: "Doors open at 8pm. Reply STOP to opt out.", audience: { list_ids: [list] }, quiet_hours: false });
  await expect(async () => {
    expect(((await rest(page, "GET", `/campaigns/${String(campaign["id"])}`))["stats"] as { delivered: number }).delivered).toBe(2);
  }).toPass({ timeout: 60_000 });
  const day = (days: number) => new Date(stamp - days * 86_400_000).toISOString();
  const buy = (contact: number, order: string, value: number, currency: string, occurred_at?: string) =>
    rest(page, "POST", "/conversions", { contact_id: members[contact]!.id, order_id: `${order}-${stamp}`, value, currency, ...(occurred_at === undefined ? {} : { occurred_at }) });
  await buy(0, "new", 14_900, "USD");
  for (const days of [2, 3, 5, 8, 9, 13, 21]) await buy(1, `old-${days}`, 2500 * (days % 4) + 900, "USD", day(days));
  await buy(1, "euro", 9900, "EUR", day(4));

  await page.goto("/dashboard/conversions");
  await expect(page.getByRole("heading", { name: "Revenue by day, in USD" })).toBeVisible();
  await expect(page.getByRole("heading", { name: "The last 30 days, in EUR" })).toBeVisible();
  await expect(page.locator(".u-over").first()).toBeVisible();
  await look(page, "conversions");
  await page.getByText("EUR", { exact: true }).click();
  await expect(page.getByRole("heading", { name: "Revenue by day, in EUR" })).toBeVisible();

  await page.getByRole("button", { name: /Campaign/ }).first().click();
  await page.getByRole("option", { name }).click();
  await expect(page).toHaveURL(/campaign=cmp_/);
  const rows = page.getByRole("grid", { name: "Conversions" }).locator("tbody tr");
  await expect(rows).toHaveCount(1);
  await expect(rows).toContainText([`new-${stamp}`]);
  await look(page, "conversions-campaign");
  await page.getByRole("button", { name: "Clear filters" }).click();
  await page.getByLabel(/^To day/).fill(day(4).slice(0, 10));
  await page.getByLabel(/^From day/).fill(day(14).slice(0, 10));
  await expect(page).toHaveURL(/since=/);
  await expect(page.getByRole("grid", { name: "Conversions" })).toContainText(`old-13-${stamp}`);
  await expect(page.getByRole("grid", { name: "Conversions" })).not.toContainText(`new-${stamp}`);
  await expect(page.getByRole("heading", { name: "Revenue in USD" })).toBeVisible();
  await look(page, "conversions-days");
  await page.getByLabel("Order number").fill(`nothing-${stamp}`);
  await expect(page.getByText("Nothing matches these filters")).toBeVisible();
  await checkPage(page);
});

test("the sandbox's clock: begun, moved on with what ran, and ended", async ({ page }) => {
  await page.setViewportSize({ width: 1440, height: 900 });
  await logIn(page);
  await page.getByRole("button", { name: "Clock", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "Sandbox clock" });
  await expect(dialog.getByRole("button", { name: "Begin" })).toBeVisible();
  await look(page, "clock-begin");
  await dialog.getByLabel(/^It begins at/).fill("2031-03-03T09:00");
  await dialog.getByRole("button", { name: "Begin" }).click();
  await expect(dialog.getByText("Mar 3, 2031, 9:00 AM").first()).toBeVisible();
  await expect(dialog.getByText("It stands.", { exact: false })).toBeVisible();

  // What is scheduled for its tomorrow goes out within the day that it moves on by.
  await rest(page, "POST", "/messages", { to: "+14155550123", body: "Doors open tonight.", scheduled_at: "2031-03-04T08:00:00Z" });
  await dialog.getByRole("button", { name: "1 day" }).click();
  await expect(dialog.getByText("Mar 4, 2031, 9:00 AM").first()).toBeVisible();
  const ran = dialog.getByRole("region", { name: "What ran" });
  await expect(ran).toContainText("message.delivered");
  await look(page, "clock-ran");
  await dialog.getByRole("button", { name: "1 hour" }).click();
  await expect(dialog.getByText("Mar 4, 2031, 10:00 AM").first()).toBeVisible();
  await expect(ran).toContainText("Nothing was due.");
  await dialog.getByLabel(/^or to a time/).fill("2031-03-01T09:00");
  await dialog.getByRole("button", { name: "Move on", exact: true }).click();
  await expect(dialog.getByText("time only moves forward", { exact: false })).toBeVisible();
  await dialog.getByLabel(/^or to a time/).fill("2031-03-05T12:30");
  await dialog.getByRole("button", { name: "Move on", exact: true }).click();
  await expect(dialog.getByText("Mar 5, 2031, 12:30 PM").first()).toBeVisible();
  await dialog.getByRole("button", { name: "Close" }).click();
  await expect(page.getByRole("button", { name: /Mar 5, 2031/ })).toBeVisible();
  await look(page, "clock-shell");

  await page.getByRole("button", { name: /Mar 5, 2031/ }).click();
  await dialog.getByRole("button", { name: "Return to real time" }).click();
  await checkPage(page);
  await dialog.getByRole("button", { name: "Return to real time" }).click();
  await expect(dialog.getByRole("button", { name: "Begin" })).toBeVisible();
  await dialog.getByRole("button", { name: "Close" }).click();
  await expect(page.getByRole("button", { name: "Clock", exact: true })).toBeVisible();
});
