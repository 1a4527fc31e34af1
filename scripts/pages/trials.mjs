// What people do on the pages, each tried by itself.

import assert from "node:assert/strict";

const PHONE = { width: 390, height: 844 };

export const TRIALS = {
  "docs menu by keyboard": {
    viewport: PHONE,
    run: async (page, { base }) => {
      await page.goto(`${base}/docs/messages`);
      const menu = page.getByRole("button", { name: "Menu" });
      for (let presses = 0; presses < 4 && !(await menu.evaluate((label) => label === document.activeElement)); presses += 1) {
        await page.keyboard.press("Tab");
      }
      assert.equal(await menu.getAttribute("aria-expanded"), "false");
      await page.keyboard.press("Enter");
      assert.equal(await menu.getAttribute("aria-expanded"), "true");
      await page.locator("#menu").getByRole("link", { name: "Webhooks" }).waitFor({ state: "attached" });
      await page.keyboard.press("Escape");
      assert.equal(await menu.getAttribute("aria-expanded"), "false");
      await page.keyboard.press(" ");
      assert.equal(await menu.getAttribute("aria-expanded"), "true");
    },
  },
  "docs examples name the reader's host": {
    run: async (page, { base }) => {
      // The calls in tabs take it from the environment, as the quickstart has it set.
      for (const [path, host] of [
        ["messages", "MASSIVESMS_BASE_URL"],
        ...["quickstart", "twilio", "sdks", "errors", "pagination", "graphql", "imports"].map((each) => [each, base]),
      ]) {
        await page.goto(`${base}/docs/${path}`);
        const codes = await page.locator(".md-content code").allTextContents();
        assert.equal(codes.filter((text) => text.includes("api.massivesms.com")).length, 0, path);
        assert.ok(codes.some((text) => text.includes(host)), path);
      }
    },
  },
  "docs search finds an answer": {
    run: async (page, { base }) => {
      for (const [words, title] of Object.entries({
        "10DLC": "10DLC", sdk: "SDKs and clients", refund: "Refunds", price: "Prices", draft: "Drafts", erasure: "erasure",
      })) {
        await page.goto(`${base}/docs/`);
        await page.getByRole("textbox", { name: "Search" }).pressSequentially(words);
        await page.locator(".md-search-result__item").first().getByText(title).first().waitFor();
      }
    },
  },
  "reference can be read before its scripts have come": {
    run: async (page, { base }) => {
      let release;
      const held = new Promise((resolve) => { release = resolve; });
      await page.route(/swagger-ui|start\.js|openapi\.json/, async (route) => {
        await held;
        await route.continue();
      });
      await page.goto(`${base}/docs/reference/`, { waitUntil: "commit" });
      const operation = page.getByRole("link", { name: "POST /v1/messages", exact: true });
      await operation.waitFor();
      await operation.click();
      release();
      // What was chosen early is open once the scripts have come, and the list is gone.
      await page.getByText("Sample request").first().waitFor();
      assert.equal(await operation.count(), 0);
    },
  },
  "reference says how soon it can be used": {
    run: async (page, { base }) => {
      await page.goto(`${base}/docs/reference/`);
      await page.locator(".opblock-tag").first().waitFor();
      const [text, usable] = await page.evaluate(() => [
        performance.getEntriesByName("first-contentful-paint")[0]?.startTime, performance.now(),
      ]);
      console.log(`The reference shows text after ${Math.round(text)} ms, and is to be tried after ${Math.round(usable)} ms.`);
    },
  },
};
