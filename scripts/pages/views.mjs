// The pages and their states that people meet: `ready` brings a page into the state.

const GUIDES = [
  "", "quickstart", "launch", "authentication", "sandbox", "errors", "idempotency", "pagination", "rate-limits", "versioning",
  "messages", "campaigns", "credits", "contacts", "consent", "segments", "replies", "compliance", "webhooks", "events",
  "graphql", "sdks", "twilio", "operations", "carriers", "glossary", "changelog",
];

async function search(page) {
  if (page.viewportSize().width < 960) await page.getByRole("button", { name: "Search", exact: true }).click();
  // Key by key: the search listens to keys, and a text that is filled in as it opens has none.
  await page.getByRole("textbox", { name: "Search" }).pressSequentially("refund");
  await page.locator(".md-search-result__item").first().waitFor();
}

/** Finished jobs are kept for a minute or so: a message makes one. */
async function showFinished(page, { base, test_key }) {
  const headers = { Authorization: `Bearer ${test_key}` };
  await page.request.post(`${base}/v1/messages`, { headers, data: { to: "+12125550186", body: "Doors open at 8pm ET." } });
  await page.locator("#jobs tbody tr[data-role=job]").first().waitFor();
}

export const VIEWS = [
  ...GUIDES.map((path) => ({ name: `docs-${path || "index"}`, path: `/docs/${path}` })),
  { name: "docs-search", path: "/docs/", ready: search },
  {
    name: "docs-menu",
    path: "/docs/messages",
    ready: async (page) => {
      if (page.viewportSize().width < 960) await page.getByRole("button", { name: "Menu", exact: true }).click();
    },
  },
  { name: "docs-missing", path: "/docs/no_such_page", allowed: /404/ },
  {
    name: "reference",
    path: "/docs/reference/",
    ready: (page) => page.locator(".opblock-tag").first().waitFor(),
  },
  {
    name: "reference-operation",
    path: "/docs/reference/#/Messages/createMessage",
    ready: (page) => page.getByText("Python", { exact: true }).first().waitFor(),
  },
  {
    name: "reference-try",
    path: "/docs/reference/#/Messages/listMessages",
    ready: async (page) => {
      await page.getByRole("button", { name: "Try it out" }).first().click();
      await page.getByRole("button", { name: "Execute" }).click();
      await page.locator(".live-responses-table").waitFor();
    },
    allowed: /401/,
  },
  {
    name: "graphiql",
    path: "/graphql",
    ready: (page) => page.getByRole("button", { name: /^Execute/ }).waitFor(),
  },
  {
    name: "graphiql-key",
    path: "/graphql",
    ready: async (page, known) => {
      await page.getByLabel("API key").fill(known.test_key);
      await page.getByRole("button", { name: "Use" }).click();
      await page.getByText(/, sandbox$/).waitFor();
      await page.getByRole("button", { name: /^Execute/ }).click();
      await page.locator(".result-window").getByText("workspace").first().waitFor();
    },
  },
  { name: "handset-login", path: "/handset", ready: (page) => page.getByRole("heading", { name: "Log in" }).waitFor() },
  {
    name: "handset-empty-login",
    path: "/handset",
    ready: async (page) => {
      await page.getByRole("button", { name: "Log in" }).click();
      await page.getByRole("alert").waitFor();
    },
  },
  {
    name: "handset-number",
    path: "/handset",
    role: "user",
    ready: async (page) => {
      await page.getByLabel("Any number").fill("+12125550187");
      await page.keyboard.press("Enter");
      await page.getByText("Nothing received yet").waitFor();
    },
  },
  {
    name: "handset-conversation",
    path: "/handset",
    role: "user",
    ready: async (page) => {
      await page.getByLabel("Any number").fill("+14155550107");
      await page.keyboard.press("Enter");
      await page.locator("#bubbles .received").first().waitFor();
    },
  },
  { name: "ops-login", path: "/ops/login" },
  {
    name: "ops-wrong",
    path: "/ops/login",
    ready: async (page) => {
      await page.getByLabel("Operator password").fill("not it");
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByText("not the operator password").waitFor();
    },
    allowed: /401|429/,
  },
  { name: "ops-queues", path: "/ops/rq/", role: "operator", ready: (page) => page.getByRole("cell", { name: "messages", exact: true }).waitFor() },
  { name: "ops-workers", path: "/ops/rq/0/view/workers", role: "operator", ready: (page) => page.getByRole("cell", { name: "messages", exact: true }).first().waitFor() },
  { name: "ops-jobs", path: "/ops/rq/0/view/jobs", role: "operator", ready: (page) => page.locator("#jobs tbody tr").first().waitFor() },
  {
    name: "ops-finished",
    path: "/ops/rq/0/view/jobs/messages/finished/8/dsc/1",
    role: "operator",
    ready: showFinished,
  },
  {
    name: "ops-job",
    path: "/ops/rq/0/view/jobs/messages/finished/8/dsc/1",
    role: "operator",
    ready: async (page, known) => {
      await showFinished(page, known);
      await page.locator("#jobs .job_id a").first().click();
      await page.getByText("Description", { exact: true }).waitFor();
    },
  },
  { name: "ops-no-job", path: "/ops/rq/0/view/job/gone", role: "operator", allowed: /404/ },
  { name: "home", path: "/" },
  { name: "home-missing", path: "/no_such_page", allowed: /404/ },
];
