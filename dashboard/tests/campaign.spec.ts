// From logging in to a finished campaign in the sandbox, watched live; by the keyboard; axe on each page on the way.
import { expect, test } from "@playwright/test";
import { checkPage, expectAnyHour, logIn, makeList, rest } from "./steps";

const RECIPIENTS = 12;

test("a campaign: compose, preview, launch, watch live, books", async ({ page }) => {
  await logIn(page);
  const name = `Doors open ${Date.now()}`;
  const list = `Cohort ${Date.now()}`;
  await makeList(page, list, RECIPIENTS);
  await page.getByRole("link", { name: "Campaigns", exact: true }).first().click();
  await page.getByRole("link", { name: /New campaign|Write a campaign/ }).first().click();
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("What people read").fill("Hi {firstName|there} – doors open at “8pm”. Reply STOP to opt out.");
  await page.getByText(list).click();

  // The phone shows the first recipient's text; the dash and the quotes make it Unicode, and one press mends that.
  const phone = page.getByRole("figure", { name: "Preview on a phone" });
  await expect(phone).toContainText("Hi Student");
  await expect(page.getByText("Unicode", { exact: false }).first()).toBeVisible();
  await checkPage(page);
  await page.getByRole("button", { name: "Use plain characters" }).click();
  await expect(page.getByLabel("What people read")).toHaveValue('Hi {firstName|there} - doors open at "8pm". Reply STOP to opt out.');
  await expect(page.getByText("plain text", { exact: false }).first()).toBeVisible();
  await expect(page.getByText(`${RECIPIENTS} credits`)).toBeVisible();

  // The draft saves itself, and a reload finds it.
  await expect(page.getByText("Saved", { exact: true })).toBeVisible();
  await page.reload();
  await expect(page.getByLabel("Name")).toHaveValue(name);
  await expect(page.getByText("Saved", { exact: true })).toBeVisible();
  await page.getByText("Keep quiet hours").click();
  await expect(page.getByText("Not saved yet")).toBeVisible();
  await page.getByText("Keep quiet hours").click();
  await expect(page.getByText("Saved", { exact: true })).toBeVisible();

  await page.getByRole("button", { name: "Review and launch" }).click();
  const review = page.getByRole("dialog");
  await expect(review.getByText("Recipients", { exact: true })).toBeVisible();
  await checkPage(page);
  await review.getByRole("button", { name: "Launch in the sandbox" }).click();

  // Numbers arrive by themselves, over the socket.
  await expect(page.getByRole("heading", { name })).toBeVisible();
  await expect(page.locator('[data-step="Delivered"]')).toContainText(String(RECIPIENTS), { timeout: 60_000 });
  await expect(page.getByText("Completed").first()).toBeVisible();
  await checkPage(page);

  await page.getByRole("button", { name: /^Recipients/ }).click();
  await expect(page.getByRole("grid", { name: "Recipients" }).getByRole("row")).toHaveCount(RECIPIENTS + 1);
  await checkPage(page);

  // A recipient's row opens what became of the message; that of a reply, the thread in which it is read.
  const rows = page.getByRole("grid", { name: "Recipients" }).locator("tbody tr");
  const recipient = /\+\d+/.exec(await rows.first().innerText())![0];
  await rows.first().focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("dialog", { name: `To ${recipient}` })).toBeVisible();
  await page.goBack();
  await rest(page, "POST", "/test/inbound", { from: recipient, body: "Is it tonight?" });
  await page.getByRole("button", { name: /^Replies/ }).click();
  await expect(rows).toHaveCount(1);
  await expect(rows.first()).toContainText("Is it tonight?");
  await checkPage(page);
  await rows.first().focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("log")).toContainText("Is it tonight?");
  await page.goBack();
  await page.getByRole("button", { name: "Books" }).click();
  await expect(page.getByText("Every recipient and every credit is accounted for.")).toBeVisible();
  await checkPage(page);

  // What happened to it, the newest first, and each as webhooks were told.
  await page.getByRole("button", { name: "Events" }).click();
  const events = page.getByRole("list", { name: "Events" }).getByRole("listitem");
  await expect(events).toContainText(["It is completed", "All its messages are queued", "It began"]);
  await checkPage(page);
  await events.first().getByRole("link").click();
  await expect(page.getByRole("dialog").getByText("campaign.completed")).toBeVisible();
});

test("an A/B test: two texts, the winner by hand, the books of each", async ({ page }) => {
  await logIn(page);
  const name = `Two texts ${Date.now()}`;
  const list = `Cohort ${Date.now()}`;
  await makeList(page, list, RECIPIENTS);
  await page.getByRole("link", { name: "Campaigns", exact: true }).first().click();
  await page.getByRole("link", { name: /New campaign|Write a campaign/ }).first().click();
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("What people read").fill("Doors open at 8pm. Reply STOP to opt out.");
  await page.getByText(list).click();
  await page.getByRole("button", { name: "Try out another text" }).click();
  await page.getByLabel("Text of variant B").fill("Last seats: doors open at 8pm. Reply STOP to opt out.");
  await page.getByLabel("Test on percent of the audience").fill("50");
  await page.getByLabel("Choose the winner after hours").fill("");
  await expectAnyHour(page);
  await expect(page.getByText("The smallest variant gets about", { exact: false })).toBeVisible();
  await expect(page.getByText("Saved", { exact: true })).toBeVisible();
  await page.reload();
  await expect(page.getByLabel("Text of variant B")).toHaveValue("Last seats: doors open at 8pm. Reply STOP to opt out.");
  await expect(page.getByLabel("Test on percent of the audience")).toHaveValue("50");
  await checkPage(page);
  await page.getByRole("button", { name: "Review and launch" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Launch in the sandbox" }).click();

  await expect(page.getByText("The rest waits until you choose the winner.")).toBeVisible({ timeout: 60_000 });
  await checkPage(page);
  await page.getByRole("button", { name: "Send B to the rest" }).click();
  await expect(page.getByText("Variant B was chosen by hand, and goes to the rest.")).toBeVisible();
  await expect(page.locator('[data-step="Delivered"]')).toContainText(String(RECIPIENTS), { timeout: 60_000 });
  await page.getByRole("button", { name: "Books" }).click();
  await expect(page.getByText("Every recipient and every credit is accounted for.")).toBeVisible();
});

test("the list of campaigns by the keyboard alone", async ({ page }) => {
  await logIn(page);
  const list = await makeList(page, `Keyboard ${Date.now()}`, 1);
  await rest(page, "POST", "/campaigns", { name: "Last seats", body: "Three seats are left.", audience: { list_ids: [list] }, quiet_hours: false });
  await page.goto("/dashboard/campaigns");
  const rows = page.getByRole("grid", { name: "Campaigns" }).locator("tbody tr");
  await expect(rows.first()).toBeVisible();
  await checkPage(page);
  await rows.first().focus();
  await page.keyboard.press("End");
  await page.keyboard.press("Home");
  await expect(rows.first()).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/dashboard\/campaigns\/cmp_/);
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: /Search/ }).fill("home");
  await checkPage(page);
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/dashboard\/?$/);
  await expect(page.getByRole("heading", { level: 1 })).toContainText("Hello");
});

test("two who edit one draft: the later one chooses whose text stays", async ({ page, browser }) => {
  await logIn(page);
  const made = await rest(page, "POST", "/campaigns", { name: `Shared ${Date.now()}`, body: "First.", audience: {}, draft: true });
  const other = await (await browser.newContext()).newPage();
  await logIn(other);
  const text = (of: typeof page) => of.getByLabel("What people read");
  for (const each of [page, other]) {
    await each.goto(`/dashboard/campaigns/new?id=${String(made["id"])}`);
    await expect(text(each)).toHaveValue("First.");
  }
  await text(page).fill("Of the one.");
  await expect(page.getByText("Saved", { exact: true })).toBeVisible();
  await text(other).fill("Of the other.");
  await expect(other.getByText("Somebody else changed this campaign", { exact: false })).toBeVisible();
  expect((await rest(page, "GET", `/campaigns/${String(made["id"])}`))["body"]).toBe("Of the one.");
  await checkPage(other);
  await other.getByRole("button", { name: "Take theirs" }).click();
  await expect(text(other)).toHaveValue("Of the one.");
  await text(page).fill("Of the one, again.");
  await expect(page.getByText("Saved", { exact: true })).toBeVisible();
  await text(other).fill("Of the other, at last.");
  await other.getByRole("button", { name: "Keep mine" }).click();
  await expect(other.getByText("Saved", { exact: true })).toBeVisible();
  expect((await rest(page, "GET", `/campaigns/${String(made["id"])}`))["body"]).toBe("Of the other, at last.");
  await other.context().close();
});

test("the sandbox's phone beside the composer: a test arrives, and its owner answers", async ({ page }) => {
  await logIn(page);
  await page.goto("/dashboard/campaigns/new");
  await page.getByLabel("What people read").fill("Doors open at 8pm.");
  const phone = page.getByRole("figure", { name: "Preview on a phone" });
  await expect(phone).toContainText("Doors open at 8pm.");
  const answer = `Is it online? ${Date.now()}`;
  await phone.getByLabel(/Answer as/).fill(answer);
  await phone.getByRole("button", { name: "Send the answer" }).click();
  await expect(phone.getByText(answer)).toBeVisible();
  await checkPage(page);
});

test("the calendar shows every campaign of its month, those of a state and those of a name", async ({ page }) => {
  test.setTimeout(300_000);
  await logIn(page);
  const list = await makeList(page, `Calendar ${Date.now()}`, 1);
  const day = new Date(Date.now() + 70 * 86_400_000);
  day.setUTCDate(15);
  day.setUTCHours(15, 0, 0, 0);
  const stamp = Date.now();
  const plan = (name: string, more: Record<string, unknown> = {}) =>
    rest(page, "POST", "/campaigns", { name: `${name} ${stamp}`, body: "Doors open.", audience: { list_ids: [list] }, scheduled_at: day.toISOString(), ...more });
  const made = [await plan("First")];
  const draft = await plan("Draft", { draft: true });
  // More than two pages: all of them are read without a press.
  for (let index = 0; index < 101; index++) made.push(await plan(`Later ${index} of`));
  const month = day.toISOString().slice(0, 7);
  await page.goto(`/dashboard/campaigns?view=calendar&month=${month}`);
  const link = (name: string) => page.getByRole("link", { name: new RegExp(`${name} ${stamp}`) }).locator("visible=true");
  await expect(link("First")).toBeVisible();
  const more = page.getByRole("button", { name: /^\d+ more/ }).locator("visible=true");
  await expect(more).toHaveText(/^99 more/);
  await expect(link("Later 100 of")).toHaveCount(0);
  await checkPage(page);
  await more.click();
  await expect(link("Later 100 of")).toBeVisible();
  await expect(link("Draft")).toBeVisible();

  // A filter by state, and one by name, which the address keeps.
  await page.getByRole("button", { name: "Draft", exact: true }).click();
  await expect(link("Draft")).toBeVisible();
  await expect(link("First")).toHaveCount(0);
  await page.getByRole("button", { name: "All", exact: true }).click();
  await page.getByLabel("Search", { exact: true }).fill(`later 7 of ${stamp}`);
  await expect(link("Later 7 of")).toBeVisible();
  await expect(link("First")).toHaveCount(0);
  await expect(page).toHaveURL(/q=later/);
  await page.reload();
  await expect(link("Later 7 of")).toBeVisible();
  await checkPage(page);
  await page.getByRole("button", { name: "Month after" }).click();
  await expect(page.getByText("No campaign of this month matches these filters.")).toBeVisible();
  await checkPage(page);
  await page.getByRole("button", { name: "Clear filters" }).click();
  await page.getByRole("button", { name: "Month before" }).click();
  await expect(link("First")).toBeVisible();
  // On a phone the days that have something are a list.
  await page.setViewportSize({ width: 390, height: 844 });
  await expect(link("First")).toBeVisible();
  await expect(page.getByRole("table")).toHaveCount(0);
  await page.getByRole("button", { name: "Today" }).click();
  await expect(page).toHaveURL(new RegExp(`month=${new Date().toISOString().slice(0, 7)}`));

  // The list has drafts, too, and finds by name.
  await page.setViewportSize({ width: 1440, height: 900 });
  await page.goto(`/dashboard/campaigns?q=${encodeURIComponent(`draft ${stamp}`)}`);
  await expect(page.getByRole("grid", { name: "Campaigns" })).toContainText(`Draft ${stamp}`);
  for (const each of made) await rest(page, "POST", `/campaigns/${String(each["id"])}/cancel`);
  await rest(page, "DELETE", `/campaigns/${String(draft["id"])}`).catch(() => undefined);
});

test("short links: a click is counted on the campaign's page", async ({ page, browser }) => {
  await logIn(page);
  const list = await makeList(page, `Links ${Date.now()}`, 2);
  const made = await rest(page, "POST", "/campaigns", { name: "With links", body: "Cart closes tonight: https://cohortlabs.co/cart", audience: { list_ids: [list] }, quiet_hours: false, shorten_links: true, utm: { source: "sms" } });
  const id = String(made["id"]);
  await page.goto(`/dashboard/campaigns/${id}`);
  await expect(page.locator('[data-step="Delivered"]')).toContainText("2", { timeout: 60_000 });
  await expect(page.locator('[data-step="Clicked"]')).toContainText("0");
  const sent = (await rest(page, "GET", `/messages?limit=1`)) as unknown as { data: readonly { body: string }[] };
  const link = /https?:\/\/\S+$/.exec(sent.data[0]!.body)![0];
  // A browser without a screen says so in its name, and is counted as a program.
  const userAgent = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1";
  const visitor = await (await browser.newContext({ userAgent })).newPage();
  // Where it leads to need not be reachable from here.
  const short = new URL(new URL(link).pathname, page.url()).toString();
  const answer = visitor.waitForResponse(short);
  await visitor.goto(short).catch(() => undefined);
  expect((await answer).headers()["location"]).toBe("https://cohortlabs.co/cart?utm_source=sms");
  const links = page.getByRole("region", { name: "Links" });
  await expect(links.getByRole("rowheader")).toHaveText("https://cohortlabs.co/cart?utm_source=sms");
  await expect(links.getByRole("cell").first()).toHaveText("1", { timeout: 20_000 });
  await expect(page.locator('[data-step="Clicked"]')).toContainText("1", { timeout: 20_000 });
  await checkPage(page);
  await visitor.context().close();
});

test("guard rails: a campaign that moved beyond what was reviewed is paused, and says so", async ({ page }) => {
  await logIn(page);
  const name = `Guarded ${Date.now()}`;
  const list = `Guarded ${Date.now()}`;
  await makeList(page, list, 3);
  await page.goto("/dashboard/campaigns/new");
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("What people read").fill("Three seats are left.");
  await page.getByText(list).click();
  await expect(page.getByText("Saved", { exact: true })).toBeVisible();
  await page.getByRole("button", { name: "Review and launch" }).click();
  const review = page.getByRole("dialog");
  await review.getByLabel("if it costs more credits than").fill("2");
  await checkPage(page);
  await review.getByRole("button", { name: "Launch in the sandbox" }).click();
  await expect(page.getByText("It would cost 3 credits, and may cost 2 at most.", { exact: false })).toBeVisible({ timeout: 60_000 });
  await checkPage(page);
  await page.getByRole("button", { name: "Resume" }).click();
  await expect(page.locator('[data-step="Delivered"]')).toContainText("3", { timeout: 60_000 });
});
