// Looks at every page as people meet it, in Chromium: node check.mjs, with what it needs to know as JSON on standard input.
// Each view is taken at two widths, light and dark, and has no violation of axe-core's rules, no
// error in its console and nothing wider than its window. Then the keyboard, the search and the forms are tried.
// The browser is Chromium, at $CHROMIUM or where Debian installs it. On a busy machine a tab may open late, or not at
// all: a view that fails is tried once more, in a new browser.

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

const LAUNCH_MS = 120_000;
const PATIENCE_MS = 60_000;
const ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"];

/** Await a promise with a timeout: Chromium sometimes never answers a request for a new tab. */
async function within(ms, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${ms / 1000} s`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

let browser;
/** Return the running browser; start one if there is none. */
async function running() {
  if (!browser?.isConnected()) {
    browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ARGS, timeout: LAUNCH_MS });
  }
  return browser;
}
/** Close the browser, so that the next tab starts a new one. */
async function endBrowser() {
  const ending = browser;
  browser = undefined;
  if (ending) await close(ending);
}
/** Close a browser or a context; one that hangs ends with this process. */
async function close(open) {
  await within(PATIENCE_MS / 4, "closing", open.close()).catch((error) => console.error(error.message));
}
if (folder) mkdirSync(folder, { recursive: true });

/** A context in which somebody is logged in as the view needs it. */
const states = {};
async function enter(role, options) {
  const context = await (await running()).newContext({ locale: "en-US", reducedMotion: "reduce", ...options, storageState: states[role] });
  context.setDefaultTimeout(PATIENCE_MS);
  return context;
}
/** Run `use` in a new tab, then close its context. If it throws, try once more in a new browser. */
async function withTab(where, role, options, use) {
  for (const isLast of [false, true]) {
    let context;
    try {
      context = await within(PATIENCE_MS, "opening a context", enter(role, options));
      return await use(await within(PATIENCE_MS, "opening a tab", context.newPage()), context);
    } catch (error) {
      if (isLast) throw error;
      console.error(`${where}: tried once more after ${error.message}`);
      await endBrowser();
    } finally {
      if (context && browser) await close(context);
    }
  }
}
const logIn = (role, path, fill) => withTab(`log in as ${role}`, "anyone", {}, async (page, context) => {
  await page.goto(base + path);
  await fill(page);
  states[role] = await context.storageState();
});
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
  const found = [];
  const report = await page.evaluate(`(() => { ${axe}; return axe.run(document); })()`);
  for (const violation of report.violations) {
    for (const node of violation.nodes.slice(0, known.most ?? 4)) {
      found.push(`${where}: ${violation.id} (${violation.nodes.length}): ${node.target.join(" ")} ${node.html.slice(0, 160)}\n    ${node.any.concat(node.all, node.none).map((each) => each.message).join("; ").slice(0, 300)}`);
    }
  }
  const width = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  if (width[0] > width[1]) found.push(`${where}: ${width[0]} px wide in a window of ${width[1]}`);
  return [...found, ...complaints.filter((text) => !(allowed ?? /^$/).test(text)).map((text) => `${where}: console: ${text}`)];
}

/** Open a view in a page and return its problems. */
async function look(page, view, where) {
  const complaints = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  try {
    await page.goto(base + view.path);
    await view.ready?.(page, known);
    return await judge(page, where, complaints, view.allowed);
  } finally {
    if (folder) await page.screenshot({ path: `${folder}/${where.replaceAll(" ", "-")}.png` }).catch(() => {});
  }
}

let count = 0;
const chosen = only ? VIEWS.filter((view) => view.name.startsWith(only)) : VIEWS;
for (const [number, view] of chosen.entries()) {
  // The run takes minutes: show progress.
  console.error(`${number + 1} of ${chosen.length}: ${view.name}`);
  for (const viewport of SIZES) {
    for (const colorScheme of SCHEMES) {
      const where = `${view.name} ${viewport.width} ${colorScheme}`;
      try {
        problems.push(...await withTab(where, view.role ?? "anyone", { viewport, colorScheme }, (page) => look(page, view, where)));
      } catch (error) {
        problems.push(`${where}: ${error.message}`);
      }
      count += 1;
    }
  }
}

let trials = 0;
for (const [name, trial] of Object.entries(TRIALS)) {
  if (only && !name.startsWith(only)) continue;
  trials += 1;
  try {
    await withTab(name, trial.role ?? "anyone", { viewport: trial.viewport ?? SIZES[0] }, async (page) => {
      try {
        await trial.run(page, known);
      } finally {
        if (folder) await page.screenshot({ path: `${folder}/trial-${name.replaceAll(" ", "-")}.png` }).catch(() => {});
      }
    });
  } catch (error) {
    problems.push(`${name}: ${error.stack}`);
  }
}

await endBrowser();
console.log(problems.join("\n"));
console.log(`${count} views and ${trials} trials, ${problems.length} problems`);
process.exit(problems.length ? 1 : 0);
