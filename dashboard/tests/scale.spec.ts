// A table of ten thousand rows, from 320 to 2560 px, and the figures of its scrolling.
import { expect, test } from "@playwright/test";
import { logIn } from "./steps";

const ROWS = 10_000;

interface Connection {
  nodes: Record<string, unknown>[];
  pageInfo: Record<string, unknown>;
}

test("ten thousand rows scroll, of which only those seen are drawn", async ({ page }) => {
  test.setTimeout(180_000);
  await logIn(page);
  await page.route("**/graphql", async (route) => {
    if (route.request().method() !== "POST") return route.continue();
    const answer = await route.fetch();
    const body = (await answer.json()) as { data?: { contacts?: Connection } };
    const found = body.data?.contacts;
    if (found?.nodes?.[0] === undefined) return route.fulfill({ response: answer, json: body });
    const [first] = found.nodes;
    found.nodes = Array.from({ length: ROWS }, (_, index) => ({ ...first, id: `con_${String(index).padStart(26, "0")}`, phone: `+1212${String(index).padStart(7, "0")}`, firstName: `Student ${index + 1}` }));
    Object.assign(found.pageInfo, { hasNextPage: false });
    if ("totalCount" in found) Object.assign(found, { totalCount: ROWS });
    return route.fulfill({ json: body });
  });
  await page.setViewportSize({ width: 1440, height: 900 });
  await page.goto("/dashboard/contacts");
  const grid = page.getByRole("grid", { name: "Contacts" });
  await expect(grid).toBeVisible({ timeout: 60_000 });
  await expect(page.getByText("10,000 shown")).toBeVisible({ timeout: 60_000 });
  const drawn = () => grid.locator("tbody tr[data-row]").count();
  expect(await drawn()).toBeLessThan(80);
  const frames = await grid.evaluate(async (table) => {
    const box = table.parentElement!;
    const times: number[] = [];
    let last = performance.now();
    const began = last;
    await new Promise<void>((done) => {
      const step = (now: number) => {
        times.push(now - last);
        last = now;
        box.scrollTop += 120;
        if (now - began < 4000) requestAnimationFrame(step);
        else done();
      };
      requestAnimationFrame(step);
    });
    return { times: times.slice(1), top: box.scrollTop };
  });
  const sorted = [...frames.times].sort((a, b) => a - b);
  const late = frames.times.filter((each) => each > 25);
  const dropped = late.reduce((sum, each) => sum + Math.round(each / (1000 / 60)) - 1, 0);
  console.log(
    `Scrolled ${Math.round(frames.top)} px in 4 s: ${frames.times.length} frames, median ${sorted[sorted.length >> 1]!.toFixed(1)} ms, ` +
      `95 % ${sorted[Math.floor(sorted.length * 0.95)]!.toFixed(1)} ms, longest ${sorted.at(-1)!.toFixed(1)} ms, dropped ${dropped}`,
  );
  expect(await drawn()).toBeLessThan(80);
  // To the last row and back, by the keyboard.
  await grid.locator("tbody tr[tabindex='0']").first().focus();
  await page.keyboard.press("End");
  await expect(grid.locator(`tbody tr[data-row="${ROWS - 1}"]`)).toBeFocused();
  await page.keyboard.press("Home");
  await expect(grid.locator('tbody tr[data-row="0"]')).toBeFocused();
});

test("a wide screen is used, and a narrow one not overrun", async ({ page }) => {
  await logIn(page);
  for (const path of ["/", "/campaigns", "/inbox", "/messages", "/contacts", "/credits", "/developers", "/settings"]) {
    await page.goto(`/dashboard${path}`);
    await expect(page.locator("#page h1")).toBeVisible();
    for (const width of [320, 768, 1280, 1920, 2560]) {
      await page.setViewportSize({ width, height: 900 });
      const { overflow, used } = await page.evaluate(() => ({
        overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
        used: document.querySelector("#page")!.getBoundingClientRect().width,
      }));
      expect.soft(overflow, `${path} at ${width}`).toBeLessThanOrEqual(0);
      if (width === 2560) expect.soft(used, `${path} at ${width}`).toBeGreaterThan(1300);
    }
  }
});
