import { defineConfig } from "@playwright/test";

const baseURL = process.env["MSVS_URL"] ?? "http://127.0.0.1:8000";

export default defineConfig({
  testDir: "tests",
  timeout: 600_000,
  expect: { timeout: 60_000 },
  workers: 1,
  reporter: "list",
  // Two runs at once, each over a service of its own, would take each other's traces away.
  outputDir: `node_modules/.playwright/${new URL(baseURL).port}`,
  use: {
    // What is not there fails soon, and does not take the whole time of a long test.
    actionTimeout: 90_000,
    baseURL,
    launchOptions: {
      executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
      args: ["--no-sandbox"],
    },
    locale: "en-US",
    trace: "retain-on-failure",
  },
});
