import { createRoute } from "@tanstack/react-router";
import { lazyPage } from "@/page";
import { flag, oneOf, search, text } from "@/search";
import { shellRoute } from "@/shell/route";

export const STATUSES = ["SCHEDULED", "QUEUED", "SENDING", "SENT", "DELIVERED", "FAILED", "REPLIED", "CANCELED", "SKIPPED"] as const;
export const ORIGINS = ["API", "CAMPAIGN", "DASHBOARD", "AUTOMATIC"] as const;
export const TABS = ["timeline", "why"] as const;

export const messagesRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/messages",
  validateSearch: search({
    status: oneOf(STATUSES),
    origin: oneOf(ORIGINS),
    campaign: text(),
    contact: text(),
    skipped: flag(),
    phone: text(),
    from: text(),
    q: text(),
    error: text(),
    since: text(),
    until: text(),
    key: text(),
    value: text(),
    order: oneOf(["oldest"]),
    id: text(),
    tab: oneOf(TABS),
    send: flag(),
    to: text(),
  }),
  component: lazyPage("messages", () => import("./list"), "MessagesPage", ["templates"]),
});

export const messagesRoutes = [messagesRoute];
