import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: "tests",
  timeout: 600_000,
  expect: { timeout: 60_000 },
  workers: 1,
  reporter: "list",
  outputDir: "node_modules/.playwright",
  use: {
    // What is not there fails soon, and does not take the whole time of a long test.
    actionTimeout: 90_000,
    baseURL: process.env["MSVS_URL"] ?? "http://127.0.0.1:8000",
    launchOptions: {
      executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
      args: ["--no-sandbox"],
    },
    locale: "en-US",
    trace: "retain-on-failure",
  },
});
