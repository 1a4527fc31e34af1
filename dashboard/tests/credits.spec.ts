// The balance, what it buys, how credits come, what became of a purchase, and each movement.
import { expect, test, type Page } from "@playwright/test";
import { checkPage, demo, logIn, rest } from "./steps";

/** Change what the service answers, before the page reads it. */
async function answerWith(page: Page, change: (answer: string) => string) {
  await page.route("**/graphql", async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, body: change(await answer.text()) });
  });
}

// What is still on its way when a test ends has no owner.
test.afterEach(({ page }) => page.unrouteAll({ behavior: "ignoreErrors" }));

test("credits: balance, packs, ledger and purchases in the address", async ({ page }) => {
  await logIn(page);
  await page.getByRole("link", { name: "Credits", exact: true }).first().click();
  await expect(page.getByText("What it buys")).toBeVisible();
  const packs = page.getByRole("region", { name: "Buy credits" });
  await expect(packs).toContainText("$0.0149 a credit");
  await expect(packs).toContainText("The sandbox needs no credits");
  await expect(packs.getByRole("button", { name: "Buy Launch" })).toHaveCount(0);
  await checkPage(page);
  await page.getByRole("button", { name: "Purchases and gifts" }).click();
  await expect(page).toHaveURL(/tab=added/);
  await expect(page.getByRole("grid", { name: "Purchases and gifts" })).toContainText("Given");
  await page.getByText("90 days").click();
  await expect(page).toHaveURL(/days=90/);
  await checkPage(page);
  await packs.getByRole("button", { name: "Go to live mode" }).click();
  await expect(packs.getByRole("button", { name: "Buy Launch" })).toBeVisible();
  await checkPage(page);
});

test("credits: where nothing is sold, the operator adds them", async ({ page }) => {
  await answerWith(page, (answer) => answer.replace(/"creditPacks":\s*\[[^\]]*\]/, '"creditPacks":[]'));
  await logIn(page);
  await page.goto("/dashboard/credits");
  await expect(page.getByText("The operator of this service adds credits.", { exact: false })).toBeVisible();
  await expect(page.getByRole("region", { name: "Command" })).toContainText("wsp_");
  await expect(page.getByRole("region", { name: "Buy credits" })).toHaveCount(0);
  await checkPage(page);
});

test("credits: a role that does not buy is told who does", async ({ page }) => {
  await answerWith(page, (answer) => answer.replace(/"role":\s*"OWNER"/g, '"role":"MEMBER"'));
  await logIn(page);
  await page.goto("/dashboard/credits");
  await expect(page.getByText("Your role (Member) does not buy credits.", { exact: false })).toBeVisible();
  await expect(page.getByRole("button", { name: "Buy Launch" })).toHaveCount(0);
  await checkPage(page);
});

test("low credits are told on each page in live mode", async ({ page }) => {
  await answerWith(page, (answer) => answer.replace(/"balance":\s*\d+/g, '"balance":12'));
  await logIn(page);
  await page.getByRole("radio", { name: "Live" }).check({ force: true });
  await page.goto("/dashboard/contacts");
  await expect(page.getByText("Credits run low: 12 left.")).toBeVisible();
  await checkPage(page);
  await page.getByRole("link", { name: "Add credits" }).click();
  await expect(page).toHaveURL(/\/credits$/);
  await expect(page.getByText("Credits run low", { exact: false })).toHaveCount(0);
});

const pays = (page: Page, card: string) => page.getByRole("button", { name: `Card that ends in ${card}` }).click();

/** Go to the page of credits in live mode; return the balance. */
async function openLive(page: Page): Promise<number> {
  await logIn(page);
  await page.getByRole("radio", { name: "Live" }).check({ force: true });
  await page.goto("/dashboard/credits");
  await expect(page.getByRole("button", { name: "Buy Launch" })).toBeVisible();
  return Number((await rest(page, "GET", "/credits"))["balance"]);
}

test("a pack is bought, and the balance rises", async ({ page }) => {
  const before = await openLive(page);
  await page.getByRole("button", { name: "Buy Launch" }).focus();
  await page.keyboard.press("Enter");
  await expect(page.getByText("NO CARD IS CHARGED", { exact: false })).toBeVisible();
  await expect(page.getByText("149.00 USD")).toBeVisible();
  await pays(page, "4242");
  await expect(page).toHaveURL(/\/dashboard\/credits\?checkout=done/);
  const told = page.getByRole("status").filter({ hasText: "Thank you: it is paid" });
  await expect(told).toContainText(`10,000 credits were added. Your balance is ${(before + 10_000).toLocaleString("en")}.`);
  await expect(page.getByText(`${(before + 10_000).toLocaleString("en")} credits`, { exact: true })).toBeVisible();
  await checkPage(page);
  await told.getByRole("button", { name: "Close" }).click();
  await expect(page).toHaveURL(/\/dashboard\/credits$/);
  await page.getByRole("button", { name: "Purchases", exact: true }).click();
  const bought = page.getByRole("grid", { name: "Purchases" }).locator("tbody tr").first();
  await expect(bought).toContainText("Launch");
  await expect(bought).toContainText("Paid");
  await expect(bought).toContainText("$149.00");
  await expect(bought.getByRole("link", { name: "Receipt of Launch" })).toBeVisible();
  await checkPage(page);
  await page.getByRole("button", { name: "Ledger" }).click();
  await expect(page.getByRole("grid", { name: "Ledger" }).locator("tbody tr").first()).toContainText("Bought+10,000");
});

test("a buyer turns back, is declined, and pays after all", async ({ page }) => {
  const before = await openLive(page);
  await page.getByRole("button", { name: "Buy Starter" }).click();
  await page.getByRole("link", { name: "Turn back" }).click();
  await expect(page).toHaveURL(/\/dashboard\/credits\?checkout=canceled/);
  await expect(page.getByText("You turned back before paying for Starter.")).toBeVisible();
  expect(Number((await rest(page, "GET", "/credits"))["balance"])).toBe(before);
  await checkPage(page);
  await page.getByRole("link", { name: "Pay after all" }).click();
  await pays(page, "0002");
  await expect(page.getByText("Your card was declined.")).toBeVisible();
  await pays(page, "4242");
  await expect(page.getByRole("status").filter({ hasText: "1,000 credits were added." })).toBeVisible();
});

test("a slow payment is told, and so is each other end", async ({ page }) => {
  await openLive(page);
  await page.getByRole("button", { name: "Buy Scale" }).click();
  await pays(page, "0341");
  await expect(page.getByText("The payment is on its way")).toBeVisible();
  await checkPage(page);
  await page.goto("/dashboard/credits?checkout=done&tab=purchases");
  await expect(page.getByRole("grid", { name: "Purchases" }).locator("tbody tr").first()).toContainText("On its way");
  let status = "";
  await answerWith(page, (answer) => answer.replace(/"status":\s*"PENDING"/g, `"status":"${status}"`));
  for (const [end, text] of [
    ["FAILED", "The payment did not go through"],
    ["EXPIRED", "The checkout has expired"],
    ["REVIEW", "The operator looks at this payment"],
    ["OPEN", "We ask whether it is paid"],
  ] as const) {
    status = end;
    await page.reload();
    await expect(page.getByText(text)).toBeVisible();
    await checkPage(page);
  }
});

test("a card is saved, tops up within limits, and is forgotten", async ({ page }) => {
  await openLive(page);
  await page.getByRole("checkbox", { name: "Save the card, for automatic top-up" }).check({ force: true });
  await page.getByRole("button", { name: "Buy Starter" }).click();
  await pays(page, "4242");
  await expect(page.getByText("Thank you: it is paid")).toBeVisible();
  const card = page.locator("section").filter({ has: page.getByRole("heading", { name: "Automatic top-up" }) });
  await expect(card).toContainText("that ends in 4242");
  await card.getByLabel("When credits fall below").fill("500");
  await card.getByLabel("At most a day, in USD").fill("0");
  await card.getByRole("button", { name: "Turn on" }).click();
  await expect(card.getByLabel("At most a day, in USD")).toHaveAttribute("aria-invalid", "true");
  await checkPage(page);
  await card.getByLabel("At most a day, in USD").fill("300");
  await card.getByRole("button", { name: "Turn on" }).click();
  await expect(page.getByText("Automatic top-up is on.")).toBeVisible();
  await expect(card).toContainText("below 500");
  await checkPage(page);
  await card.getByRole("button", { name: "Turn off" }).click();
  await expect(card.getByRole("button", { name: "Turn on" })).toBeVisible();
  await card.getByRole("button", { name: "Forget the card" }).click();
  await checkPage(page);
  await page.getByRole("alertdialog").getByRole("button", { name: "Forget the card" }).click();
  await expect(card).toContainText("Never run out");
  await page.goto("/dashboard/credits?tab=rates");
  await expect(page.getByText("A segment costs one credit everywhere").or(page.getByRole("grid", { name: "Rates" }))).toBeVisible();
  await checkPage(page);
});

/** The pretend Stripe beside the service, by a payment page of it: what its operator does there. */
async function asOperator(page: Page, method: string, path: string, form?: Record<string, string>): Promise<Record<string, unknown>> {
  const url = `${new URL(stripeUrl).origin}/v1${path}`;
  const headers = { Authorization: "Bearer sk_test_pretend" };
  const answer = await page.request.fetch(url, { method, headers, ...(form === undefined ? {} : { form }) });
  expect(answer.ok(), await answer.text()).toBeTruthy();
  return (await answer.json()) as Record<string, unknown>;
}

let stripeUrl = "";

test("a bank asks its customer: refused, declined, and confirmed", async ({ page }) => {
  const before = await openLive(page);
  await page.getByRole("button", { name: "Buy Starter" }).click();
  await pays(page, "3155");
  await expect(page.getByRole("heading", { name: "Your bank asks: is it you?" })).toBeVisible();
  await page.getByRole("button", { name: "No, refuse the payment" }).click();
  await expect(page.getByRole("alert")).toContainText("could not confirm that it is you");
  expect(Number((await rest(page, "GET", "/credits"))["balance"])).toBe(before);
  await pays(page, "3155");
  await page.getByRole("button", { name: "Yes, it is me: confirm the payment" }).click();
  await expect(page.getByRole("status").filter({ hasText: "1,000 credits were added." })).toBeVisible();
  expect(Number((await rest(page, "GET", "/credits"))["balance"])).toBe(before + 1_000);
});

test("a refund is shown in the purchases, and takes its credits back", async ({ page }) => {
  const before = await openLive(page);
  await page.getByRole("button", { name: "Buy Starter" }).click();
  await expect(page.getByText("NO CARD IS CHARGED", { exact: false })).toBeVisible();
  stripeUrl = page.url();
  await pays(page, "4242");
  await expect(page.getByRole("status").filter({ hasText: "1,000 credits were added." })).toBeVisible();
  const session = await asOperator(page, "GET", `/checkout/sessions/${stripeUrl.split("/pay/")[1]}`);
  const payment = String((session["payment_intent"] as { id: string }).id);
  await asOperator(page, "POST", "/refunds", { payment_intent: payment, amount: "950" });
  await expect.poll(async () => Number((await rest(page, "GET", "/credits"))["balance"])).toBe(before + 500);
  await page.goto("/dashboard/credits?tab=purchases");
  const bought = page.getByRole("grid", { name: "Purchases" }).locator("tbody tr").first();
  await expect(bought).toContainText("Starter");
  await expect(bought).toContainText("$9.50 refunded");
  await checkPage(page);
  await page.getByRole("button", { name: "Ledger" }).click();
  await expect(page.getByRole("grid", { name: "Ledger" }).locator("tbody tr").first()).toContainText("-500");
});

/** Return the link of the newest letter of a subject, from the mailbox of development. */
async function linkOfLetter(page: Page, subject: string): Promise<string> {
  let link: string | undefined;
  await expect(async () => {
    const list = await (await page.request.get("/dev/mail")).text();
    const row = list.split("<li").find((each) => each.includes(subject) && each.includes(demo().owner_email));
    const letter = /\/dev\/mail\/[0-9a-f-]{36}/.exec(row ?? "")?.[0];
    expect(letter, list.slice(0, 2000)).toBeDefined();
    const text = await (await page.request.get(letter!)).text();
    link = /href="[^"]*(\/dashboard\/credits[^"]*)"/.exec(text)?.[1];
    expect(link, text).toBeDefined();
  }).toPass({ timeout: 30_000 });
  return link!;
}

/** Return the address of the pretend payment page, once it is there. */
async function payPage(page: Page): Promise<string> {
  await expect(page.getByText("NO CARD IS CHARGED", { exact: false })).toBeVisible();
  return page.url();
}

/** Return whose the card is at the pretend Stripe that paid at a payment page. */
async function customerOf(page: Page, url: string): Promise<unknown> {
  stripeUrl = url;
  const session = await asOperator(page, "GET", `/checkout/sessions/${url.split("/pay/")[1]}`);
  const { payment_method: method } = session["payment_intent"] as { payment_method: { id: string } };
  return (await asOperator(page, "GET", `/payment_methods/${method.id}`))["customer"];
}

test("a saved card whose bank asks: the owner is mailed, comes back, and top-up goes on", async ({ page }) => {
  const before = await openLive(page);
  const balance = async () => Number((await rest(page, "GET", "/credits"))["balance"]);
  const card = page.locator("section").filter({ has: page.getByRole("heading", { name: "Automatic top-up" }) });
  await page.getByRole("checkbox", { name: "Save the card, for automatic top-up" }).check({ force: true });
  await page.getByRole("button", { name: "Buy Starter" }).click();
  const first = await payPage(page);
  await pays(page, "3184");
  await expect(page.getByText("Thank you: it is paid")).toBeVisible();
  await expect(card).toContainText("that ends in 3184");
  // The balance is below it at once, so that the card is charged while nobody looks.
  await card.getByLabel("When credits fall below").fill("999999999");
  await card.getByLabel("At most a day, in USD").fill("19");
  await card.getByLabel("At most a month, in USD").fill("190");
  await card.getByRole("button", { name: "Turn on" }).click();
  await expect(page.getByText("Automatic top-up is on.")).toBeVisible();
  const link = await linkOfLetter(page, "Your bank asks you to confirm a payment");
  expect(await balance()).toBe(before + 1_000);
  // From the letter back to where the bank can ask.
  await page.goto(link);
  await expect(card).toContainText("It is off: your bank asks for you.");
  await expect(card.getByRole("button", { name: "Turn on" })).toBeVisible();
  await checkPage(page);
  await card.getByRole("button", { name: "Buy Starter and save the card" }).click();
  const second = await payPage(page);
  await pays(page, "3155");
  await expect(page.getByRole("heading", { name: "Your bank asks: is it you?" })).toBeVisible();
  await page.getByRole("button", { name: "Yes, it is me: confirm the payment" }).click();
  await expect(page.getByText("Thank you: it is paid")).toBeVisible();
  // It is on again with the new card, and charges it once: that is all the day's limit allows.
  await linkOfLetter(page, "bought 1,000 credits");
  await expect.poll(balance).toBe(before + 3_000);
  await page.goto("/dashboard/credits");
  await expect(card).toContainText("that ends in 3155");
  await expect(card).toContainText("$19.00 of $19.00");
  await expect(card).not.toContainText("It is off");
  await checkPage(page);
  await page.getByRole("button", { name: "Purchases", exact: true }).click();
  const purchases = page.getByRole("grid", { name: "Purchases" }).locator("tbody tr");
  await expect(purchases.nth(0)).toContainText("by automatic top-up");
  await expect(purchases.nth(0)).toContainText("Paid");
  await expect(purchases.nth(2)).toContainText("by automatic top-up");
  await expect(purchases.nth(2)).toContainText("Failed");
  await card.getByRole("button", { name: "Forget the card" }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Forget the card" }).click();
  await expect(card).toContainText("Never run out");
  // At Stripe too, no customer has the card that was replaced or the one that was forgotten.
  for (const url of [first, second]) await expect.poll(() => customerOf(page, url)).toBeNull();
});
