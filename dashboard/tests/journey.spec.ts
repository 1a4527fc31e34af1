// The whole way, once in each language: sign up, confirm, import, compose, preview, launch, watch live, answer, STOP, books.
import { globSync, readFileSync } from "node:fs";
import { expect, test, type Locator, type Page } from "@playwright/test";
import { checkPage, linkOf } from "./steps";

const LANGUAGES = [["English", "en"], ["Portuguese", "pt-BR"], ["Spanish", "es"]] as const;
const LINE = /^(?:msgid|msgstr)? ?"(.*)"$/;

/** Return what the catalogs of a language say, by the English text. */
function textsOf(language: string): (text: string) => string {
  const texts = new Map<string, string>();
  for (const file of globSync(`src/**/locales/${language}.po`)) {
    for (const entry of readFileSync(file, "utf8").split("\n\n")) {
      const lines = entry.split("\n").filter((line) => LINE.test(line));
      const at = lines.findIndex((line) => line.startsWith("msgstr"));
      const join = (part: string[]) => part.map((line) => JSON.parse(`"${LINE.exec(line)![1]!}"`) as string).join("");
      texts.set(join(lines.slice(0, at)), join(lines.slice(at)));
    }
  }
  return (text) => texts.get(text) ?? expect(`no ${text} in ${language}`).toBe("") ?? "";
}

/** Presses counted, as somebody new would make them. */
class Hand {
  clicks = 0;
  readonly began = Date.now();
  async press(target: Locator) {
    this.clicks++;
    await target.click();
  }
}

async function signUp(page: Page, t: (text: string) => string, hand: Hand): Promise<{ email: string; key: string }> {
  const email = `ana.${Date.now()}@cohortlabs.example`;
  await page.goto("/dashboard/signup");
  await page.getByLabel(t("Your name")).fill("Ana Silva");
  await page.getByLabel(t("Workspace")).fill("Cohort Labs");
  await page.getByLabel(t("E-mail")).fill(email);
  await page.getByLabel(t("Password")).fill("violet harbor train nine");
  await hand.press(page.getByRole("button", { name: t("Create workspace") }));
  const key = await page.getByText(/^msvs_test_\w+/).first().innerText();
  await checkPage(page);
  await hand.press(page.getByRole("button", { name: t("Go to the dashboard") }));
  await expect(page.locator("#page h1")).toBeVisible();
  return { email, key: /msvs_test_\w+/.exec(key)![0] };
}

/** Make a list and import people onto it, each of whom agreed. */
async function importPeople(page: Page, t: (text: string) => string, hand: Hand, phones: string[]) {
  await hand.press(page.getByRole("link", { name: t("Lists"), exact: true }).first());
  await hand.press(page.getByRole("button", { name: t("New list") }).first());
  await page.getByRole("dialog").getByLabel(t("Name")).fill("Cohort 07");
  await page.keyboard.press("Enter");
  await hand.press(page.getByRole("link", { name: t("Import contacts") }));
  await page.getByLabel(t("Or paste rows")).fill(["phone,first name", ...phones.map((phone, index) => `${phone},Student ${index + 1}`)].join("\n"));
  await hand.press(page.getByRole("button", { name: t("Go on with these rows") }));
  await page.getByLabel(t("Where all of them agreed")).fill("web_form");
  await checkPage(page);
  await hand.press(page.getByRole("button", { name: t("See what would come of it") }));
  await hand.press(page.getByRole("button", { name: t("Run the import") }));
  await hand.press(page.getByRole("link", { name: t("See the list") }));
  await expect(page.getByRole("grid").locator("tbody tr")).toHaveCount(phones.length);
}

for (const [name, language] of LANGUAGES) {
  test(`the whole way, in ${name}`, async ({ page }) => {
    test.setTimeout(300_000);
    const t = textsOf(language);
    const hand = new Hand();
    await page.addInitScript((chosen) => localStorage.setItem("msvs.language", chosen), language);
    const { email, key } = await signUp(page, t, hand);
    const phones = [0, 1, 2].map((each) => `+1212555${String((Date.now() + each) % 10_000).padStart(4, "0")}`);
    await importPeople(page, t, hand, phones);

    await hand.press(page.getByRole("link", { name: t("Write to them") }));
    await page.getByLabel(t("What people read")).fill("Hi {firstName|there}, doors open at 8pm. Reply STOP to opt out.");
    await expect(page.getByRole("figure", { name: t("Preview on a phone") })).toContainText("Hi Student");
    await expect(page.getByText(t("Saved"), { exact: true })).toBeVisible();
    await checkPage(page);
    await hand.press(page.getByRole("button", { name: t("Review and launch") }));
    await hand.press(page.getByRole("dialog").getByRole("button", { name: t("Launch in the sandbox") }));

    // The numbers arrive by themselves.
    const delivered = page.locator("[data-step]").filter({ hasText: t("Delivered") });
    await expect(delivered).toContainText(String(phones.length), { timeout: 60_000 });
    const seconds = Math.round((Date.now() - hand.began) / 1000);
    console.log(`First time: ${hand.clicks} clicks and ${seconds} s from sign-up to a delivered campaign, axe's checks on the way included.`);
    await checkPage(page);
    const campaign = page.url();

    const hear = (from: string, body: string) => page.request.post("/v1/test/inbound", { headers: { Authorization: `Bearer ${key}` }, data: { from, body } });
    expect((await hear(phones[0]!, "Can I bring a friend?")).ok()).toBeTruthy();
    await page.getByRole("link", { name: new RegExp(`^${t("Inbox")}`) }).first().click();
    await page.getByRole("region", { name: t("Threads") }).getByRole("link").first().click();
    await expect(page.getByRole("log")).toContainText("Can I bring a friend?");
    await page.getByRole("textbox", { name: t("Answer") }).fill("Yes, one.");
    await page.keyboard.press("Control+Enter");
    await expect(page.getByRole("log")).toContainText("Yes, one.");
    await expect(page.getByRole("log").getByText(t("Delivered")).first()).toBeVisible();
    await checkPage(page);
    expect((await hear(phones[0]!, "STOP")).ok()).toBeTruthy();
    await expect(page.getByRole("log")).toContainText("STOP");
    await page.goto("/dashboard/suppressions");
    await expect(page.getByRole("grid")).toContainText(phones[0]!);
    await checkPage(page);

    await page.goto(`${campaign}?tab=books`);
    await expect(page.getByText(t("Every recipient and every credit is accounted for."))).toBeVisible();
    await checkPage(page);
    await page.goto(await linkOf(page, email, "confirm"));
    await page.getByRole("button", { name: t("Confirm this address") }).click();
    await expect(page.getByRole("heading", { name: t("Your address is confirmed") })).toBeVisible();
  });
}
