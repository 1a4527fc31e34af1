import { createRoute } from "@tanstack/react-router";
import { lazyPage } from "@/page";
import { flag, oneOf, search, text } from "@/search";
import { shellRoute } from "@/shell/route";

export const STATUSES = ["DRAFT", "SCHEDULED", "PREPARING", "SENDING", "PAUSED", "COMPLETED", "CANCELED", "FAILED"] as const;
export const MESSAGE_STATUSES = ["SCHEDULED", "QUEUED", "SENDING", "SENT", "DELIVERED", "FAILED", "REPLIED", "CANCELED", "SKIPPED"] as const;
export const TABS = ["overview", "recipients", "replies", "books", "events"] as const;

export const campaignsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/campaigns",
  validateSearch: search({ status: oneOf(STATUSES), view: oneOf(["calendar"]), month: text(), q: text(), tag: text(), archived: flag() }),
  component: lazyPage("campaigns", () => import("./list"), "CampaignsPage"),
});

/** Use one page for a new campaign and a draft, so that the first save does not move the cursor. */
export const composeRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/campaigns/new",
  validateSearch: search({ id: text(), list: text(), segment: text(), review: flag() }),
  component: lazyPage("campaigns", () => import("./compose"), "ComposePage", ["templates"]),
});

export const campaignRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/campaigns/$id",
  validateSearch: search({ tab: oneOf(TABS), status: oneOf(MESSAGE_STATUSES) }),
  component: lazyPage("campaigns", () => import("./campaign"), "CampaignPage"),
});

export const campaignRoutes = [campaignsRoute, composeRoute, campaignRoute];
