// What the tests of all pages share.
import { AxeBuilder } from "@axe-core/playwright";
import { expect, type Page } from "@playwright/test";
import { readFileSync } from "node:fs";

interface Demo {
  owner_email: string;
  owner_password: string;
  test_key: string;
  workspace_id: string;
  operator_password: string;
}

export const demo = (): Demo => JSON.parse(readFileSync(process.env["MSVS_DEMO"]!, "utf8")) as Demo;

export const operatorPassword = (): string => demo().operator_password;

export async function logIn(page: Page) {
  const { owner_email, owner_password } = demo();
  await page.goto("/dashboard/login");
  await page.getByLabel("E-mail").fill(owner_email);
  await page.getByLabel("Password").fill(owner_password);
  await page.getByLabel("Password").press("Enter");
  await expect(page.locator("#page h1")).toBeVisible();
}

export const PASSWORD = "violet harbor train nine";

/** Sign up as somebody of a new address, whose workspace is named `<name> Labs`; return the address. */
export async function signUp(page: Page, name: string): Promise<string> {
  const email = `${name.toLowerCase()}.${Date.now()}@cohortlabs.example`;
  await page.goto("/dashboard/signup");
  await page.getByLabel("Your name").fill(name);
  await page.getByLabel("Workspace").fill(`${name} Labs`);
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Create workspace" }).click();
  await page.getByRole("button", { name: "Go to the dashboard" }).click();
  await expect(page.locator("#page h1")).toBeVisible();
  return email;
}

/** Ask the REST API of the sandbox, to put something there first. */
export async function rest(page: Page, method: string, path: string, data?: unknown): Promise<Record<string, unknown>> {
  const answer = await page.request.fetch(`/v1${path}`, { method, headers: { Authorization: `Bearer ${demo().test_key}` }, ...(data === undefined ? {} : { data }) });
  expect(answer.ok(), await answer.text()).toBeTruthy();
  return (await answer.json()) as Record<string, unknown>;
}

// Two runs at one service meet no phone of each other, but for a rare chance.
let made = Math.floor(Math.random() * 9000);

/** Make a list of contacts who agreed, each with a phone of its own; return its id. */
export async function makeList(page: Page, name: string, size: number): Promise<string> {
  const list = await rest(page, "POST", "/lists", { name });
  const members: unknown[] = [];
  for (let index = 0; index < size; index++) {
    const phone = `+1212555${String(made++).padStart(4, "0")}`;
    const contact = await rest(page, "POST", "/contacts", { phone, first_name: `Student ${index + 1}`, opt_in: { source: "web_form", ip: "203.0.113.7" } });
    members.push(contact["id"]);
  }
  await rest(page, "POST", `/lists/${String(list["id"])}/contacts`, { contact_ids: members });
  return String(list["id"]);
}

/** Return the address behind the newest letter's link, from the mailbox of development. */
export async function linkOf(page: Page, recipient: string, path: string): Promise<string> {
  let link: string | undefined;
  await expect(async () => {
    const list = await (await page.request.get("/dev/mail")).text();
    const row = list.split("<li").find((each) => each.includes(recipient));
    const letter = /\/dev\/mail\/[0-9a-f-]{36}/.exec(row ?? "")?.[0];
    expect(letter, list.slice(0, 2000)).toBeDefined();
    const text = await (await page.request.get(letter!)).text();
    link = new RegExp(`/dashboard/${path}#[\\w-]+`).exec(text)?.[0];
    expect(link, text).toBeDefined();
  }).toPass({ timeout: 20_000 });
  return link!;
}

/** What the shell asks, which a forced state of a page leaves as it is. */
export const OF_SHELL = /^dashboard\/(?:SessionViewer|Shell|ShellClock|ShellNotifications)-/;

const AXE = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** Hold that the composer's campaign goes out at any hour: with quiet hours, it would at some hours of the day alone. */
export const expectAnyHour = (page: Page) => expect(page.getByRole("switch", { name: /^Keep quiet hours/ })).not.toBeChecked();

// What a theme changes of a page.
const COLORS = ["color-contrast", "link-in-text-block"];

/** Return what axe finds wrong with the page as it stands, or with its colors alone. */
export async function violationsOf(page: Page, isOfColors = false): Promise<string[]> {
  const axe = new AxeBuilder({ page });
  const { violations } = await (isOfColors ? axe.withRules(COLORS) : axe.withTags(AXE)).analyze();
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`);
}

/** Hold the page as it stands against axe, in light and dark, and against a phone's width. */
export async function checkPage(page: Page) {
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    expect((await violationsOf(page, colorScheme === "dark")).map((each) => `${colorScheme} ${each}`)).toEqual([]);
  }
  await page.emulateMedia({ colorScheme: "light" });
  const size = page.viewportSize()!;
  await page.setViewportSize({ width: 320, height: 640 });
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  expect(overflow, "wider than 320 px").toBeLessThanOrEqual(0);
  await page.setViewportSize(size);
}

// The narrowest phone, a common one, a desk's screen and a wide one.
const SIZES = [[320, 640], [390, 844], [1440, 900], [2560, 1440]] as const;

type Scheme = "light" | "dark";

/** Show the page at each width, or at those that are named, in light and dark, and leave it as on a desk. */
export async function atEachSize(page: Page, seen: (width: number, scheme: Scheme) => Promise<void>, widths?: readonly number[], schemes: readonly Scheme[] = ["light", "dark"]) {
  for (const [width, height] of SIZES) {
    if (widths?.includes(width) === false) continue;
    await page.setViewportSize({ width, height });
    for (const colorScheme of schemes) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await page.waitForTimeout(100);
      await seen(width, colorScheme);
    }
  }
  await page.setViewportSize({ width: 1440, height: 900 });
  await page.emulateMedia({ colorScheme: "light" });
}
