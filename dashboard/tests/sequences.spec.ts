// Sequences: from a template to what each person got, by pointer and by keyboard; refusals at their fields; two who edit one.
import { expect, test, type Page } from "@playwright/test";
import { checkPage, logIn, makeList, rest } from "./steps";

const idOf = (page: Page) => /seq_[0-9A-Z]+/.exec(page.url())![0];
const count = (page: Page, step: string, of: string) => page.locator(`[data-step="${step}"] [data-count="${of}"] dd`);

test("a sequence from a template: written, refused at its fields, moved by the keyboard, published", async ({ page }) => {
  const name = `Five days ${Date.now()}`;
  await logIn(page);
  await page.getByRole("link", { name: "Sequences", exact: true }).first().click();
  await expect(page.getByRole("heading", { name: "Sequences", level: 1 })).toBeVisible();
  await page.getByRole("link", { name: "New sequence" }).first().click();
  await page.getByLabel("Name").fill(name);
  await page.getByRole("button", { name: /Begin with/ }).click();
  await page.getByRole("option", { name: /Challenge/ }).click();
  await checkPage(page);
  await page.getByRole("button", { name: "Write the steps" }).click();

  const step = (number: number) => page.getByRole("listitem").filter({ has: page.getByRole("heading", { name: `Step ${number}`, exact: true }) });
  const bodyOf = (number: number) => step(number).getByRole("textbox", { name: "Message" });
  await expect(step(5)).toBeVisible();
  await expect(page.getByRole("status").filter({ hasText: "Saved" })).toBeVisible();
  await checkPage(page);

  // What is wrong is told at its field, which gets the focus; nothing is saved.
  await bodyOf(2).fill("");
  await step(3).getByLabel("Name of the step").fill("Day 3");
  await step(4).getByLabel("Wait").fill("1.5");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(step(2).getByText("Write the message.")).toBeVisible();
  await expect(bodyOf(2)).toBeFocused();
  await expect(step(3).getByText("Up to 40 of a to z", { exact: false })).toBeVisible();
  await expect(step(4).getByText("A whole number, a year at most.")).toBeVisible();
  await checkPage(page);
  await bodyOf(2).fill("Day 2: tell one person.");
  await step(3).getByLabel("Name of the step").fill("day_1");
  await step(4).getByLabel("Wait").fill("2");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(step(3).getByText("An earlier step has this name.")).toBeVisible();
  await step(3).getByLabel("Name of the step").fill("third");

  // A step asks for an earlier one, and cannot be moved before it.
  await page.getByRole("button", { name: "Add a step" }).click();
  await expect(bodyOf(6)).toBeFocused();
  await page.keyboard.type("You did it! Reply MORE for the next one.");
  await step(6).getByRole("button", { name: /Ask for an earlier step/ }).click();
  await page.getByRole("option", { name: "Replied to the message of" }).click();
  await step(6).getByText("Leave the sequence").click();
  await page.getByRole("button", { name: "Move step 6 up" }).focus();
  await page.keyboard.press("Enter");
  await expect(page.getByText("step_6 is step 5 now.")).toBeAttached();
  await expect(page.getByRole("button", { name: "Move step 5 up" })).toBeFocused();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(step(5).getByText("Only a step before this one can be asked for.")).toBeVisible();
  await page.getByRole("button", { name: "Move step 5 down" }).focus();
  await page.keyboard.press("Enter");
  await expect(step(6).getByText("Only a step before this one can be asked for.")).toHaveCount(0);
  await page.getByText("Keep quiet hours").click();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByText("Saved. Nothing goes out until you publish it.")).toBeVisible();
  const kept = (await rest(page, "GET", `/sequences/${idOf(page)}`)) as { steps: { key: string; wait_minutes: number; only_if: unknown }[]; quiet_hours: boolean };
  expect(kept.steps.map(({ key }) => key)).toEqual(["day_1", "day_2", "third", "day_4", "day_5", "step_6"]);
  expect(kept.steps[3]!.wait_minutes).toBe(2 * 1440);
  expect(kept.steps[5]).toMatchObject({ only_if: { replied: "day_5" }, otherwise: "leave" });
  expect(kept.quiet_hours).toBe(false);

  // Who leaves with something unsaved is asked first.
  await bodyOf(1).fill("Day 1: write down your goal.");
  await page.getByRole("link", { name, exact: true }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Not now" }).click();
  await page.getByRole("button", { name: "Publish", exact: true }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Publish" }).click();
  await expect(page.getByRole("heading", { name, level: 1 })).toBeVisible();
  await expect(page.getByText("Version 1, published", { exact: false })).toBeVisible();
  await expect(page.getByText("Day 1: write down your goal.")).toBeVisible();
  await expect(page.getByText("Only who: replied to day_5. Others leave the sequence.")).toBeVisible();
  await checkPage(page);
  await page.keyboard.press("ControlOrMeta+k");
  await page.getByRole("combobox").fill("new sequence");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/sequences\/new/);
});

test("people: by hand and by a list, what they got, paused, taken out, a second version, archived", async ({ page }) => {
  const stamp = Date.now();
  await logIn(page);
  const list = await makeList(page, `Sequence ${stamp}`, 0);
  const contact = await rest(page, "POST", "/contacts", { phone: `+1312555${String(stamp).slice(-4)}`, first_name: "Dora", last_name: `Inside${stamp}`, opt_in: { source: "web_form", ip: "203.0.113.7" } });
  const other = await rest(page, "POST", "/contacts", { phone: `+1773555${String(stamp).slice(-4)}`, first_name: "Emil", last_name: `Listed${stamp}`, opt_in: { source: "web_form", ip: "203.0.113.7" } });
  const steps = [
    { key: "hello", body: "Hi {firstName|there}, welcome in." },
    { key: "later", body: "How is it going?", wait_minutes: 1440, only_if: { replied: "hello", filter: { tag: "vip" } } },
  ];
  const made = await rest(page, "POST", "/sequences", { name: `Welcome ${stamp}`, steps, entry: { list_ids: [list] }, quiet_hours: false });
  const id = String(made["id"]);
  await page.goto(`/dashboard/sequences/${id}`);
  await expect(page.getByText("Only who: replied to hello; with the tag vip. Others skip it.")).toBeVisible();
  await page.getByRole("button", { name: "Publish", exact: true }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Publish" }).click();
  await expect(page.getByText("Published. People can enter.")).toBeVisible();

  await page.getByRole("button", { name: /^People/ }).click();
  await expect(page.getByText("Nobody has entered yet")).toBeVisible();
  await checkPage(page);
  await page.getByRole("button", { name: "Add a contact" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Who").fill(`Inside${stamp}`);
  await dialog.getByRole("button", { name: `Add Dora Inside${stamp}` }).waitFor();
  await checkPage(page);
  await dialog.getByRole("button", { name: `Add Dora Inside${stamp}` }).click();
  const rows = page.getByRole("grid", { name: "People" }).locator("tbody tr");
  await expect(rows).toHaveCount(1);
  await expect(rows.first()).toContainText("Inside");
  // Who is inside is told so, at the field.
  await page.getByRole("button", { name: "Add a contact" }).click();
  await dialog.getByLabel("Who").fill(`Inside${stamp}`);
  await dialog.getByRole("button", { name: `Add Dora Inside${stamp}` }).click();
  await expect(dialog.getByText("The contact is in the sequence.")).toBeVisible();
  await dialog.getByRole("button", { name: "Not now" }).click();

  await rest(page, "POST", `/lists/${list}/contacts`, { contact_ids: [other["id"]] });
  await expect(rows).toHaveCount(2, { timeout: 30_000 });
  await checkPage(page);
  await page.getByRole("button", { name: /^Steps/ }).click();
  await expect(count(page, "hello", "delivered")).toHaveText("2", { timeout: 30_000 });
  await expect(count(page, "later", "waiting")).toHaveText("2");
  await checkPage(page);

  await page.getByRole("button", { name: "Pause", exact: true }).click();
  await expect(page.getByText("Somebody paused it.", { exact: false })).toBeVisible();
  await page.getByRole("button", { name: "Resume", exact: true }).click();
  await expect(page.getByText("Somebody paused it.", { exact: false })).toHaveCount(0);

  await page.goto(`/dashboard/sequences/${id}?tab=people&state=ACTIVE`);
  await page.getByRole("button", { name: `Take out Emil Listed${stamp}` }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Take out" }).click();
  await expect(rows).toHaveCount(1);
  await page.goto(`/dashboard/sequences/${id}?tab=people&state=LEFT`);
  await expect(rows).toContainText(["Taken out"]);

  // A change waits until it is published; who is inside stays on the version that they entered.
  await page.goto(`/dashboard/sequences/${id}/edit`);
  await page.getByRole("textbox", { name: "Message" }).first().fill("Hello again, {firstName|there}.");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByText("Saved. Nothing goes out until you publish it.")).toBeVisible();
  await page.goto(`/dashboard/sequences/${id}`);
  await expect(page.getByText("It was changed since it was published.", { exact: false })).toBeVisible();
  await page.getByRole("button", { name: "Publish", exact: true }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Publish" }).click();
  await expect(page.getByText("Version 2, published", { exact: false })).toBeVisible();
  await page.getByRole("button", { name: /Version 2/ }).click();
  await page.getByRole("option", { name: "Version 1", exact: true }).click();
  await expect(count(page, "hello", "delivered")).toHaveText("2");
  await expect(page.getByText("Hi {firstName|there}, welcome in.")).toBeVisible();
  await checkPage(page);

  await page.getByRole("button", { name: "Archive", exact: true }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Archive" }).click();
  await expect(page.getByText("It has ended for good", { exact: false })).toBeVisible();
  await page.goto("/dashboard/sequences?status=ARCHIVED");
  await expect(page.getByRole("grid", { name: "Sequences" })).toContainText(`Welcome ${stamp}`);
  await checkPage(page);
  expect(String(contact["id"])).toMatch(/^con_/);
});

test("two who edit one sequence: nothing is overwritten until somebody chooses", async ({ page }) => {
  await logIn(page);
  const made = await rest(page, "POST", "/sequences", { name: `Shared ${Date.now()}`, steps: [{ key: "one", body: "First." }] });
  await page.goto(`/dashboard/sequences/${String(made["id"])}/edit`);
  await page.getByRole("textbox", { name: "Message" }).fill("Mine.");
  await rest(page, "POST", `/sequences/${String(made["id"])}`, { steps: [{ key: "one", body: "Theirs." }, { key: "two", body: "Theirs, too." }] });
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByText("Somebody else changed this meanwhile.", { exact: false })).toBeVisible();
  await checkPage(page);
  await page.getByRole("button", { name: "Take theirs" }).click();
  await expect(page.getByRole("textbox", { name: "Message" }).first()).toHaveValue("Theirs.");
  await page.getByRole("textbox", { name: "Message" }).last().fill("Mine, at last.");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByText("Saved. Nothing goes out until you publish it.")).toBeVisible();
  const kept = (await rest(page, "GET", `/sequences/${String(made["id"])}`)) as { steps: { body: string }[] };
  expect(kept.steps.map(({ body }) => body)).toEqual(["Theirs.", "Mine, at last."]);
});
