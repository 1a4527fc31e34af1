// The whole way by the keyboard alone: what has the focus is always seen, and no pointer is ever used.
import { expect, test, type Locator, type Page } from "@playwright/test";

const MOST_PRESSES = 150;

/** Presses of keys, counted; a pointer that touches the page fails the test. */
class Keys {
  presses = 0;
  readonly began = Date.now();
  readonly page: Page;

  constructor(page: Page) {
    this.page = page;
  }

  async press(key: string) {
    this.presses++;
    await this.page.keyboard.press(key);
  }

  async type(text: string) {
    this.presses += text.length;
    await this.page.keyboard.insertText(text);
  }

  /** Go by Tab until a thing has the focus; it is in view then, and marked. */
  async reach(target: Locator, key: "Tab" | "Shift+Tab" = "Tab") {
    await expect(target).toBeVisible();
    for (let press = 0; press <= MOST_PRESSES; press++) {
      const hasFocus = await target.evaluate((element) => element === document.activeElement);
      if (hasFocus) break;
      expect(press, `${String(target)} is not reached by ${key}`).toBeLessThan(MOST_PRESSES);
      await this.press(key);
    }
    const seen = await target.evaluate((element) => {
      const box = element.getBoundingClientRect();
      const marked = [element, ...element.querySelectorAll("*")].some((each) => {
        const { outlineStyle, outlineWidth } = getComputedStyle(each);
        return outlineStyle !== "none" && parseFloat(outlineWidth) > 0;
      });
      return { isInView: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth, marked };
    });
    expect(seen, String(target)).toEqual({ isInView: true, marked: true });
  }

  async activate(target: Locator, key = "Enter") {
    await this.reach(target);
    await this.press(key);
  }

  async fill(target: Locator, text: string) {
    await this.reach(target);
    await this.press("ControlOrMeta+a");
    await this.type(text);
  }
}

test("sign up, import, write, launch, answer, books and log out, without a pointer", async ({ page }) => {
  test.setTimeout(420_000);
  await page.addInitScript(() => {
    for (const kind of ["pointerdown", "mousedown", "touchstart", "wheel"]) {
      addEventListener(kind, (event) => event.isTrusted && document.documentElement.setAttribute("data-pointer", kind), { capture: true, passive: true });
    }
  });
  const keys = new Keys(page);
  const main = page.locator("#page");
  await page.goto("/dashboard/signup");
  await keys.fill(page.getByLabel("Your name"), "Ana Silva");
  await keys.fill(page.getByLabel("Workspace"), "Cohort Labs");
  await keys.fill(page.getByLabel("E-mail"), `keys.${Date.now()}@cohortlabs.example`);
  await keys.fill(page.getByLabel("Password"), "violet harbor train nine");
  await keys.press("Enter");
  const shown = await page.getByText(/^msvs_test_\w+/).first().innerText();
  const authorization = `Bearer ${/msvs_test_\w+/.exec(shown)![0]}`;
  await keys.activate(page.getByRole("button", { name: "Go to the dashboard" }));
  await expect(main.locator("h1")).toBeVisible();

  // The first key of a page skips its navigation.
  await page.reload();
  await expect(main.locator("h1")).toBeVisible();
  await keys.press("Tab");
  await expect(page.getByRole("link", { name: "To the content" })).toBeFocused();
  await keys.press("Enter");
  await expect(main).toBeFocused();
  await page.reload();
  await expect(main.locator("h1")).toBeVisible();

  // A link of the navigation leaves the focus at the heading of its page.
  await keys.activate(page.getByRole("link", { name: "Lists", exact: true }));
  await expect(main.getByRole("heading", { level: 1, name: "Lists" })).toBeFocused();
  await keys.activate(main.getByRole("button", { name: "New list" }).first());
  await expect(page.getByRole("dialog").getByLabel("Name")).toBeFocused();
  await keys.type("Cohort 07");
  await keys.press("Enter");
  await expect(main.locator("h1")).toContainText("Cohort 07");
  const phones = [0, 1, 2].map((each) => `+1212553${String((Date.now() + each) % 10_000).padStart(4, "0")}`);
  await keys.activate(main.getByRole("link", { name: "Import contacts" }));
  await keys.fill(page.getByLabel("Or paste rows"), ["phone,first name", ...phones.map((phone, index) => `${phone},Student ${index + 1}`)].join("\n"));
  await keys.activate(page.getByRole("button", { name: "Go on with these rows" }));
  await keys.fill(page.getByLabel("Where all of them agreed"), "web_form");
  await keys.activate(page.getByRole("button", { name: "See what would come of it" }));
  await keys.activate(page.getByRole("button", { name: "Run the import" }));
  await keys.activate(page.getByRole("link", { name: "See the list" }));
  await expect(page.getByRole("grid", { name: "Members" }).locator("tbody tr")).toHaveCount(phones.length);

  await keys.activate(main.getByRole("link", { name: "Write to them" }));
  await keys.fill(page.getByLabel("What people read"), "Hi {firstName|there}, doors open at 8pm. Reply STOP to opt out.");
  await expect(page.getByText("Saved", { exact: true })).toBeVisible();
  await keys.reach(page.getByRole("button", { name: "Review and launch" }), "Shift+Tab");
  await keys.press("Enter");
  // A dialog keeps the focus, and gives it back.
  const dialog = page.getByRole("dialog");
  await expect(dialog).toBeVisible();
  await keys.press("Escape");
  await expect(dialog).toHaveCount(0);
  await expect(page.getByRole("button", { name: "Review and launch" })).toBeFocused();
  await keys.press("Enter");
  await keys.activate(dialog.getByRole("button", { name: "Launch in the sandbox" }));
  await expect(page.locator('[data-step="Delivered"]')).toContainText(String(phones.length), { timeout: 60_000 });
  const campaign = main.locator("h1");
  await expect(campaign).toBeVisible();

  const hear = async (body: string) => expect((await page.request.post("/v1/test/inbound", { headers: { Authorization: authorization }, data: { from: phones[0]!, body } })).ok()).toBeTruthy();
  await hear("Can I bring a friend?");
  await keys.reach(page.getByRole("link", { name: /^Inbox/ }), "Shift+Tab");
  await keys.press("Enter");
  await expect(page.getByRole("region", { name: "Threads" }).getByRole("link").first()).toBeVisible();
  await keys.press("j");
  await expect(page.getByRole("log")).toContainText("Can I bring a friend?");
  await keys.press("r");
  await keys.type("Yes, one.");
  await keys.press("ControlOrMeta+Enter");
  await expect(page.getByRole("log")).toContainText("Yes, one.");
  // The palette opens from a field that hears keys itself, and gives the focus back.
  await expect(page.getByRole("textbox", { name: "Answer" })).toBeFocused();
  await keys.press("ControlOrMeta+k");
  await expect(page.getByRole("combobox")).toBeFocused();
  await keys.press("Escape");
  await expect(page.getByRole("textbox", { name: "Answer" })).toBeFocused();
  await hear("STOP");
  await expect(page.getByRole("log")).toContainText("STOP");

  // The palette goes anywhere: to the suppressions, and back to the campaign.
  await keys.press("ControlOrMeta+k");
  await expect(page.getByRole("combobox")).toBeFocused();
  await keys.type("Suppressions");
  await expect(page.getByRole("option", { name: /Suppressions/ }).first()).toBeVisible();
  await keys.press("Enter");
  await expect(page.getByRole("grid", { name: "Suppressions" })).toContainText(phones[0]!);
  await keys.activate(page.getByRole("link", { name: "Campaigns", exact: true }));
  const rows = page.getByRole("grid", { name: "Campaigns" }).locator("tbody tr[data-row]");
  await keys.reach(rows.first());
  await keys.press("Enter");
  await keys.activate(main.getByRole("button", { name: "Books" }));
  await expect(page.getByText("Every recipient and every credit is accounted for.")).toBeVisible();

  await keys.reach(page.getByRole("button", { name: /^Account of/ }), "Shift+Tab");
  await keys.press("Enter");
  await expect(page.getByRole("menu")).toBeVisible();
  await keys.press("End");
  await expect(page.getByRole("menuitem", { name: "Log out" })).toBeFocused();
  await keys.press("Enter");
  await expect(page.getByLabel("Password")).toBeVisible();
  expect(await page.locator("html").getAttribute("data-pointer")).toBeNull();
  console.log(`By the keyboard alone: ${keys.presses} presses, ${Math.round((Date.now() - keys.began) / 1000)} s.`);
});
