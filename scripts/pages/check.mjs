// Looks at every page as people meet it, in Chromium: node check.mjs, with what it needs to know as JSON on standard input.
// Each view is taken at two widths, light and dark, and has no violation of axe-core's rules, no
// error in its console and nothing wider than its window. Then the keyboard, the search and the forms are tried.
// The browser is Chromium, at $CHROMIUM or where Debian has it.

import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";
import { TRIALS } from "./trials.mjs";
import { VIEWS } from "./views.mjs";

const known = JSON.parse(readFileSync(0, "utf8"));
const { base, only, folder } = known;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const SIZES = [{ width: 1440, height: 900 }, { width: 390, height: 844 }];
const SCHEMES = ["light", "dark"];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
});
if (folder) mkdirSync(folder, { recursive: true });

/** A context in which somebody is logged in as the view needs it. */
const states = {};
async function enter(role, options) {
  const context = await browser.newContext({ locale: "en-US", reducedMotion: "reduce", ...options, storageState: states[role] });
  context.setDefaultTimeout(20_000);
  return context;
}
async function logIn(role, path, fill) {
  const context = await enter("anyone", {});
  const page = await context.newPage();
  await page.goto(base + path);
  await fill(page);
  states[role] = await context.storageState();
  await context.close();
}
await logIn("user", "/handset", async (page) => {
  await page.getByLabel("E-mail").fill(known.owner_email);
  await page.getByLabel("Password").fill(known.owner_password);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByText("Live", { exact: true }).waitFor();
});
await logIn("operator", "/ops/login", async (page) => {
  await page.getByLabel("Operator password").fill(known.operator_password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("cell", { name: "messages", exact: true }).waitFor();
});

const problems = [];
/** What is wrong with a view as it stands. */
async function judge(page, where, complaints, allowed) {
  const report = await page.evaluate(`(() => { ${axe}; return axe.run(document); })()`);
  for (const found of report.violations) {
    for (const node of found.nodes.slice(0, known.most ?? 4)) {
      problems.push(`${where}: ${found.id} (${found.nodes.length}): ${node.target.join(" ")} ${node.html.slice(0, 160)}\n    ${node.any.concat(node.all, node.none).map((each) => each.message).join("; ").slice(0, 300)}`);
    }
  }
  const width = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  if (width[0] > width[1]) problems.push(`${where}: ${width[0]} px wide in a window of ${width[1]}`);
  problems.push(...complaints.filter((text) => !(allowed ?? /^$/).test(text)).map((text) => `${where}: console: ${text}`));
}

let count = 0;
const chosen = only ? VIEWS.filter((view) => view.name.startsWith(only)) : VIEWS;
for (const view of chosen) {
  for (const viewport of SIZES) {
    const context = await enter(view.role ?? "anyone", { viewport });
    for (const colorScheme of SCHEMES) {
      const where = `${view.name} ${viewport.width} ${colorScheme}`;
      const page = await context.newPage();
      const complaints = [];
      page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
      page.on("pageerror", (error) => complaints.push(String(error)));
      await page.emulateMedia({ colorScheme });
      await page.goto(base + view.path);
      try {
        await view.ready?.(page, known);
        await judge(page, where, complaints, view.allowed);
      } catch (error) {
        problems.push(`${where}: ${error.message}`);
      }
      if (folder) await page.screenshot({ path: `${folder}/${where.replaceAll(" ", "-")}.png` });
      await page.close();
      count += 1;
    }
    await context.close();
  }
}

let trials = 0;
for (const [name, trial] of Object.entries(TRIALS)) {
  if (only && !name.startsWith(only)) continue;
  trials += 1;
  const context = await enter(trial.role ?? "anyone", { viewport: trial.viewport ?? SIZES[0] });
  const page = await context.newPage();
  try {
    await trial.run(page, known);
  } catch (error) {
    problems.push(`${name}: ${error.stack}`);
    if (folder) await page.screenshot({ path: `${folder}/failed-${name.replaceAll(" ", "-")}.png` });
  }
  await context.close();
}

await browser.close();
console.log(problems.join("\n"));
console.log(`${count} views and ${trials} trials, ${problems.length} problems`);
process.exitCode = problems.length ? 1 : 0;
