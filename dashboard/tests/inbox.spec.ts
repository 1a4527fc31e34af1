// Threads from the first reply to its answer, live, by the keyboard alone; notes, canned answers, flags and opting out.
import { expect, test, type Page } from "@playwright/test";
import { checkPage, logIn, rest } from "./steps";

let made = Math.floor(Math.random() * 9000);

/** Make a contact who agreed, and have it write. */
async function replyOf(page: Page, name: string, body: string): Promise<{ id: string; phone: string }> {
  const phone = `+1213555${String(made++ % 10_000).padStart(4, "0")}`;
  const contact = await rest(page, "POST", "/contacts", { phone, first_name: name, opt_in: { source: "web_form", ip: "203.0.113.7" } });
  await rest(page, "POST", "/test/inbound", { from: phone, body });
  return { id: String(contact["id"]), phone };
}

test("the inbox: a reply arrives live and is answered by the keyboard", async ({ page }) => {
  await logIn(page);
  const stamp = Date.now();
  await replyOf(page, `Bruno ${stamp}`, "Is there a payment plan?");
  await page.getByRole("link", { name: /^Inbox/ }).first().click();
  await expect(page.getByRole("heading", { level: 1, name: "Inbox" })).toBeVisible();
  const threads = page.getByRole("region", { name: "Threads" });
  await expect(threads.getByText(`Bruno ${stamp}`)).toBeVisible();
  await checkPage(page);

  // One that arrives now comes to the top by itself.
  const ana = await replyOf(page, `Ana ${stamp}`, "When do the classes begin?");
  await expect(threads.getByText(`Ana ${stamp}`)).toBeVisible();

  await page.locator("h1").click();
  await page.keyboard.press("j");
  await expect(page).toHaveURL(new RegExp(ana.id));
  const thread = page.getByRole("region", { name: "Thread", exact: true });
  await expect(thread.getByRole("log")).toContainText("When do the classes begin?");
  await page.keyboard.press("e");
  await expect(thread.getByRole("button", { name: "Mark unread" })).toBeVisible();
  await page.keyboard.press("u");
  await expect(thread.getByRole("button", { name: "Mark read" })).toBeVisible();
  await checkPage(page);

  await page.keyboard.press("r");
  await page.keyboard.type("Hi {firstName|there}, on Monday at 9.");
  await expect(thread.getByText("1 segment")).toBeVisible();
  await page.keyboard.press("Control+Enter");
  await expect(thread.getByRole("log")).toContainText(`Hi Ana ${stamp}, on Monday at 9.`);
  await expect(thread.getByText("Delivered").first()).toBeVisible();
  await expect(thread.getByRole("button", { name: "Mark unread" })).toBeVisible();

  // Who answers it, and what the team knows.
  await thread.getByRole("button", { name: /Answered by/ }).click();
  await page.getByRole("option").nth(1).click();
  await expect(page.getByText("The thread is assigned.")).toBeVisible();
  const about = page.getByRole("region", { name: "About the contact" });
  if (!(await about.isVisible())) await thread.getByRole("button", { name: "About the contact" }).click();
  await about.getByLabel("A note for the team").fill("Asked for an invoice.");
  await about.getByRole("button", { name: "Add note" }).click();
  await expect(about.getByText("Asked for an invoice.", { exact: true }).last()).toBeVisible();
  await checkPage(page);
  await about.getByRole("button", { name: "Delete" }).click();
  await expect(about.getByText("None yet.", { exact: false })).toBeVisible();
  await about.getByRole("button", { name: "Opt out" }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Opt out" }).click();
  await expect(about.getByText("Opted out", { exact: true })).toBeVisible();
});

test("the inbox: filters, search, canned answers and flags", async ({ page }) => {
  await logIn(page);
  const stamp = Date.now();
  const carla = await replyOf(page, `Carla ${stamp}`, "Which card can I pay with?");
  await page.goto(`/dashboard/inbox?q=Carla+${stamp}`);
  const threads = page.getByRole("region", { name: "Threads" });
  await expect(threads.getByRole("listitem")).toHaveCount(1);
  await threads.getByLabel("Search threads").fill(`Nobody ${stamp}`);
  await expect(page.getByText("Nothing matches these filters")).toBeVisible();
  await checkPage(page);
  await page.getByRole("button", { name: "Clear filters" }).click();
  for (const [name, view] of [["Unread", "unread"], ["Waiting", "waiting"], ["Mine", "mine"], ["Unassigned", "unassigned"], ["Flagged", "flagged"]] as const) {
    await threads.getByRole("radiogroup").getByText(name, { exact: true }).click();
    await expect(page).toHaveURL(new RegExp(`view=${view}`));
  }
  await checkPage(page);

  await page.goto(`/dashboard/inbox?id=${carla.id}`);
  await page.getByRole("button", { name: /canned answer/ }).last().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "New canned answer" }).click();
  await dialog.getByLabel("Name").fill(`Prices ${stamp}`);
  await dialog.getByLabel("Text").fill("Hi {firstName|there}, a month is 90.");
  await checkPage(page);
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.getByRole("button", { name: `Edit Prices ${stamp}` }).click();
  await dialog.getByLabel("Text").fill("Hi {firstName|there}, a month is 95.");
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(dialog.getByText("a month is 95.", { exact: false })).toBeVisible();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
  const insert = page.getByRole("button", { name: /Insert a canned answer/ });
  if (await insert.isVisible()) {
    await insert.click();
    await page.getByRole("option", { name: new RegExp(`Prices ${stamp}`) }).click();
    await expect(page.getByRole("textbox", { name: "Answer" })).toHaveValue(/a month is 95/);
  }
  await page.getByRole("button", { name: "Edit canned answers" }).click();
  await dialog.getByRole("button", { name: `Delete Prices ${stamp}` }).click();
  await dialog.getByRole("button", { name: "Delete for good" }).click();
  await expect(dialog.getByText(`Prices ${stamp}`)).toHaveCount(0);
});

test("the inbox on a phone: one pane at a time", async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await logIn(page);
  const { id } = await replyOf(page, `Davi ${Date.now()}`, "Can I pay in two parts?");
  await page.goto(`/dashboard/inbox?id=${id}`);
  const [threads, thread, about] = ["Threads", "Thread", "About the contact"].map((name) => page.getByRole("region", { name, exact: true }));
  await expect(thread!.getByRole("log")).toContainText("two parts");
  await expect(threads!).toBeHidden();
  await checkPage(page);
  await thread!.getByRole("button", { name: "About the contact" }).click();
  await expect(about!).toBeVisible();
  await expect(thread!).toBeHidden();
  await checkPage(page);
  await about!.getByRole("button", { name: "Back to the thread" }).click();
  await thread!.getByRole("button", { name: "All threads" }).click();
  await expect(threads!).toBeVisible();
  await checkPage(page);
});
