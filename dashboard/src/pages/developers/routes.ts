import { createRoute } from "@tanstack/react-router";
import { lazyPage } from "@/page";
import { flag, oneOf, search, text } from "@/search";
import { shellRoute } from "@/shell/route";
import { EVENT_TYPES, METHODS } from "./names";

export const developersRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/developers",
  validateSearch: search({
    tab: oneOf(["webhooks", "events", "requests", "samples"]),
    /** Keys that no longer work, too. */
    ended: flag(),
    type: oneOf(EVENT_TYPES),
    still: flag(),
    event: text(),
    key: text(),
    method: oneOf(METHODS),
    outcome: oneOf(["failed", "done"]),
    path: text(),
    request: text(),
  }),
  component: lazyPage("developers", () => import("./developers"), "DevelopersPage"),
});

export const webhookRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/developers/webhooks/$id",
  component: lazyPage("developers", () => import("./webhook"), "WebhookPage"),
});

export const developersRoutes = [developersRoute, webhookRoute];
