// Somebody new, who reads no documentation: from the start page of a service that was just started to a delivered campaign.
import { expect, test, type Locator, type Page } from "@playwright/test";
import { PASSWORD, checkPage, logIn, makeList, signUp } from "./steps";

// What a first campaign may take at most: each press beyond is a stumbling block.
const CLICKS = 12;
const SECONDS = 60;

/** Presses and fields counted, as somebody new makes them. */
class Hand {
  clicks = 0;
  fields = 0;
  readonly began = Date.now();

  async press(target: Locator) {
    this.clicks++;
    await target.click();
  }

  async write(target: Locator, text: string) {
    this.fields++;
    await target.fill(text);
  }

  get seconds() {
    return Math.round((Date.now() - this.began) / 100) / 10;
  }
}

const delivered = (page: Page) => page.locator('[data-step="Delivered"]');

test("from the start page to a delivered campaign, without reading anything", async ({ page }) => {
  const hand = new Hand();
  await page.setViewportSize({ width: 1440, height: 900 });
  await page.goto("/");
  await hand.press(page.getByRole("link", { name: "Create a workspace" }));
  await hand.write(page.getByLabel("Your name"), "Rosa Lima");
  await hand.write(page.getByLabel("Workspace"), "Rosa Courses");
  await hand.write(page.getByLabel("E-mail"), `rosa.${Date.now()}@cohortlabs.example`);
  await hand.write(page.getByLabel("Password"), PASSWORD);
  await hand.press(page.getByRole("button", { name: "Create workspace" }));
  await hand.press(page.getByRole("button", { name: "Go to the dashboard" }));

  // Home says what comes first; somebody who has no file at hand is given rows.
  await hand.press(page.getByRole("link", { name: "Bring your contacts" }));
  await hand.press(page.getByRole("button", { name: "Fill in an example" }));
  await hand.press(page.getByRole("button", { name: "Go on with these rows" }));
  // Without a list nobody could be written to: the first is made of the file.
  await expect(page.getByLabel("Name of the new list")).toHaveValue(/^Contacts of /);
  await hand.write(page.getByLabel("Where all of them agreed"), "Form on my site");
  await hand.press(page.getByRole("button", { name: "See what would come of it" }));
  await hand.press(page.getByRole("button", { name: "Run the import" }));
  await hand.press(page.getByRole("link", { name: "Write to them" }));
  await hand.write(page.getByLabel("What people read"), "Hi {firstName|there}, doors open at 8pm. Reply STOP to opt out.");
  await hand.press(page.getByRole("button", { name: "Review and launch" }));
  await hand.press(page.getByRole("dialog").getByRole("button", { name: "Launch in the sandbox" }));
  await expect(delivered(page)).toContainText("3");
  console.log(`First campaign: ${hand.clicks} clicks, ${hand.fields} fields and ${hand.seconds} s from the start page to delivered.`);
  expect(hand.clicks).toBeLessThanOrEqual(CLICKS);
  expect(hand.seconds).toBeLessThan(SECONDS);

  // Home has ticked off what is done.
  await page.goto("/dashboard");
  await expect(page.getByRole("listitem").filter({ hasText: "Send a first campaign" })).toContainText("(done)");
});

test("contacts on no list: the composer offers everyone who agreed", async ({ page }) => {
  await page.setViewportSize({ width: 1440, height: 900 });
  await signUp(page, "Listless");
  await page.goto("/dashboard/campaigns/new");
  // Nobody is there yet, and that is no dead end.
  await expect(page.getByText("There is no list yet.", { exact: false })).toBeVisible();
  await checkPage(page);
  await page.locator("#page").getByRole("link", { name: "Import contacts" }).click();
  await page.getByRole("button", { name: "Fill in an example" }).click();
  await checkPage(page);
  await page.getByRole("button", { name: "Go on with these rows" }).click();
  await page.getByLabel("Where all of them agreed").fill("Form on my site");
  await checkPage(page);
  // A list without a name is not made; a choice of none is kept.
  await page.getByLabel("Name of the new list").fill("");
  await expect(page.getByRole("button", { name: "See what would come of it" })).toBeDisabled();
  await page.getByRole("button", { name: /Put them on a list/ }).click();
  await page.getByRole("option", { name: "No list" }).click();
  await page.getByRole("button", { name: "See what would come of it" }).click();
  await page.getByRole("button", { name: "Run the import" }).click();
  await expect(page.getByText("3 contacts are in.", { exact: false })).toBeVisible();

  await page.goto("/dashboard/campaigns/new");
  await page.getByLabel("What people read").fill("Doors open at 8pm. Reply STOP to opt out.");
  await page.getByRole("button", { name: "Choose everyone who agreed: 3 contacts" }).click();
  await expect(page.getByRole("button", { name: /^Everyone who agreed/ })).toBeVisible();
  await checkPage(page);
  await page.getByRole("button", { name: "Review and launch" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Launch in the sandbox" }).click();
  await expect(delivered(page)).toContainText("3");
});

test("what the service warns of is said in the reader's language", async ({ page }) => {
  await logIn(page);
  const list = await makeList(page, `Turma ${Date.now()}`, 2);
  await page.evaluate(() => localStorage.setItem("msvs.language", "pt-BR"));
  await page.goto(`/dashboard/campaigns/new?list=${list}`);
  const text = page.getByLabel("O que as pessoas leem");
  await text.fill("{lastName}, a aula começa às 20h: https://bit.ly/aula");
  for (const said of ["O texto não diz como sair.", "As operadoras bloqueiam links de encurtadores públicos como bit.ly.", "O texto começa com a variável “lastName”"])
    await expect(page.getByText(said, { exact: false })).toBeVisible();
  await text.fill(`Responda SAIR para não receber mais. ${"A aula vai ser longa. ".repeat(30)}`);
  await expect(page.getByText(/A mensagem ocupa \d+ segmentos, e cada um é pago\./)).toBeVisible();
});
