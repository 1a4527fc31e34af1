// Several browsers at once, and a service whose API process is killed while a campaign goes out.
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { expect, test, type Page } from "@playwright/test";
import { logIn, makeList, rest } from "./steps";

const RECIPIENTS = 60;

/** Return the process that listens on the service's port: the API, which the service starts again. */
function listenerOf(port: number): number {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  const inodes = new Set(
    readFileSync("/proc/net/tcp", "utf8")
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .filter(([, local, , state]) => local?.endsWith(`:${hex}`) && state === "0A")
      .map((fields) => `socket:[${fields[9]}]`),
  );
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      if (!words.includes("msvs") || !words.includes("api")) continue;
      if (readdirSync(`/proc/${pid}/fd`).some((fd) => inodes.has(readlinkSync(`/proc/${pid}/fd/${fd}`)))) return Number(pid);
    } catch {
      // Gone meanwhile.
    }
  }
  throw new Error(`Nothing of the service listens on ${port}.`);
}

interface Campaign {
  id: string;
  status: string;
  stats: Record<string, number>;
}

const read = (page: Page, id: string) => rest(page, "GET", `/campaigns/${id}`) as unknown as Promise<Campaign>;

async function launch(page: Page, name: string, size: number, rate: number): Promise<string> {
  const list = await makeList(page, `${name} ${Date.now()}`, size);
  const made = await rest(page, "POST", "/campaigns", { name: `${name} ${Date.now()}`, body: "Doors open at 8pm.", audience: { list_ids: [list] }, quiet_hours: false, rate_per_minute: rate });
  return String(made["id"]);
}

test("what one browser does, the other sees without a press", async ({ page, browser }) => {
  await logIn(page);
  const other = await (await browser.newContext()).newPage();
  await logIn(other);
  // So slow that it is under way when it is paused, on a busy machine, too.
  const id = await launch(page, "Seen by both", 12, 15);
  for (const each of [page, other]) {
    await each.goto(`/dashboard/campaigns/${id}`);
    await expect(each.locator("#page h1")).toContainText("Seen by both");
  }
  await page.getByRole("button", { name: "Pause" }).first().click();
  await expect(other.getByRole("button", { name: "Resume" }).first()).toBeVisible();
  await other.getByRole("button", { name: "Resume" }).first().click();
  await expect(page.getByRole("button", { name: "Pause" }).first()).toBeVisible();
  for (const each of [page, other]) await expect(each.locator('[data-step="Delivered"]')).toContainText("12", { timeout: 120_000 });
  for (const each of [page, other]) await expect(each.getByText("Completed").first()).toBeVisible();

  // A reply, read in one, is read in the other.
  const list = await makeList(page, `Both ${Date.now()}`, 1);
  const [contact] = (await rest(page, "GET", `/lists/${list}/contacts`))["data"] as { phone: string }[];
  for (const each of [page, other]) await each.goto("/dashboard/inbox");
  const words = `Is it tonight? ${Date.now()}`;
  await rest(page, "POST", "/test/inbound", { from: contact!.phone, body: words });
  for (const each of [page, other]) await expect(each.getByRole("region", { name: "Threads" })).toContainText(words);
  await other.context().close();
});

test("a reply that comes before the socket has begun is shown, too", async ({ page }) => {
  await logIn(page);
  const list = await makeList(page, `Early ${Date.now()}`, 1);
  const [contact] = (await rest(page, "GET", `/lists/${list}/contacts`))["data"] as { phone: string }[];
  // For its first seconds the page finds no socket.
  await page.addInitScript(() => {
    const until = Date.now() + 5000;
    window.WebSocket = class extends window.WebSocket {
      constructor(url: string | URL, protocols?: string | string[]) {
        super(Date.now() < until ? `${String(url)}-not-yet` : url, protocols);
      }
    };
  });
  await page.goto("/dashboard/inbox");
  const threads = page.getByRole("region", { name: "Threads" });
  await expect(threads).toBeVisible();
  await expect(threads.getByRole("status", { name: "Loading" })).toHaveCount(0);
  const words = `Is there a replay? ${Date.now()}`;
  await rest(page, "POST", "/test/inbound", { from: contact!.phone, body: words });
  await expect(threads).toContainText(words);
});

test("an API process that is killed in mid-campaign: the page reconnects, and nothing was missed", async ({ page, browser, baseURL }) => {
  test.setTimeout(240_000);
  await logIn(page);
  const events = await (await browser.newContext()).newPage();
  await logIn(events);
  await events.goto("/dashboard/developers?tab=events&type=MESSAGE_DELIVERED");
  await expect(events.getByRole("heading", { name: "Developers" })).toBeVisible();
  const id = await launch(page, "Killed", RECIPIENTS, 200);
  await page.goto(`/dashboard/campaigns/${id}`);
  const delivered = page.locator('[data-step="Delivered"]');
  await expect(async () => {
    const { stats } = await read(page, id);
    expect(stats["delivered"]).toBeGreaterThan(5);
  }).toPass({ timeout: 60_000 });
  const { stats: before } = await read(page, id);
  expect(before["delivered"]).toBeLessThan(RECIPIENTS);
  const pid = listenerOf(Number(new URL(baseURL!).port));
  process.kill(pid, "SIGKILL");
  await expect(page.getByRole("status").filter({ hasText: "Reconnecting" })).toBeVisible();
  await expect(page.getByRole("status").filter({ hasText: "Up to date" })).toBeVisible({ timeout: 60_000 });
  expect(listenerOf(Number(new URL(baseURL!).port))).not.toBe(pid);
  await expect(delivered).toContainText(String(RECIPIENTS), { timeout: 90_000 });
  await expect(page.getByText("Completed").first()).toBeVisible();

  // What the page says is what the database has, and its books are whole.
  const { status, stats } = await read(page, id);
  expect(status).toBe("completed");
  expect(stats["delivered"]).toBe(RECIPIENTS);
  const books = await rest(page, "GET", `/campaigns/${id}/reconciliation`);
  console.log(`Killed at ${before["delivered"]} of ${RECIPIENTS} delivered; reconciliation: ${JSON.stringify(books)}`);
  await page.goto(`/dashboard/campaigns/${id}?tab=books`);
  await expect(page.getByText("Every recipient and every credit is accounted for.")).toBeVisible();

  // The tail of events, open all the while, has each of the campaign's deliveries once.
  const grid = events.getByRole("grid", { name: "Events" });
  const listed = ((await rest(page, "GET", "/events?type=message.delivered&limit=50"))["data"] as { id: string }[]).map((each) => each.id);
  await expect(grid.locator("tbody tr[data-row]").first()).toBeVisible();
  await events.keyboard.press("Home");
  await expect(async () => {
    const shown = await grid.evaluate((table) => [...table.querySelectorAll("tbody tr[data-row]")].map((row) => row.textContent ?? ""));
    expect(shown.length).toBeGreaterThan(10);
    expect(new Set(shown).size).toBe(shown.length);
    for (const [index, row] of shown.slice(0, 10).entries()) expect(row).toContain(listed[index]!.slice(-4));
  }).toPass({ timeout: 20_000 });
  await events.context().close();
});
