import { createRoute } from "@tanstack/react-router";
import { lazyPage } from "@/page";
import { flag, oneOf, search, text } from "@/search";
import { shellRoute } from "@/shell/route";

export const VIEWS = ["unread", "waiting", "mine", "unassigned", "flagged"] as const;

export const inboxRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/inbox",
  validateSearch: search({ view: oneOf(VIEWS), q: text(), id: text(), about: flag() }),
  component: lazyPage("inbox", () => import("./inbox"), "InboxPage", ["templates"]),
});

export const inboxRoutes = [inboxRoute];
