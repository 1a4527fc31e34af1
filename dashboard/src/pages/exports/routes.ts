import { createRoute } from "@tanstack/react-router";
import { lazyPage } from "@/page";
import { flag, oneOf, search, text } from "@/search";
import { shellRoute } from "@/shell/route";

export const STATUSES = ["QUEUED", "RUNNING", "COMPLETED", "CANCELED", "FAILED", "EXPIRED"] as const;
export const KINDS = ["contacts", "messages", "campaign_results", "suppressions", "ledger", "events", "conversions"] as const;

export const exportsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/exports",
  validateSearch: search({ status: oneOf(STATUSES) }),
  component: lazyPage("exports", () => import("./list"), "ExportsPage"),
});

/** What is exported stands in the address, as the page that it is begun from has it. */
export const newExportRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/exports/new",
  validateSearch: search({
    kind: oneOf(KINDS),
    format: oneOf(["csv", "jsonl"]),
    gzip: flag(),
    q: text(),
    consent: oneOf(["UNKNOWN", "PENDING", "OPTED_IN", "OPTED_OUT"]),
    list: text(),
    segment: text(),
    tag: text(),
    unreachable: oneOf(["yes", "no"]),
    since: text(),
    until: text(),
    attribute: text(),
    value: text(),
    campaign: text(),
  }),
  component: lazyPage("exports", () => import("./new"), "NewExportPage"),
});

export const exportRoutes = [exportsRoute, newExportRoute];
