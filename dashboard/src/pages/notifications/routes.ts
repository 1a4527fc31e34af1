import { createRoute } from "@tanstack/react-router";
import { lazyPage } from "@/page";
import { oneOf, search } from "@/search";
import { shellRoute } from "@/shell/route";

export const notificationsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/notifications",
  validateSearch: search({ tab: oneOf(["unread", "mail"]) }),
  component: lazyPage("notifications", () => import("./notifications"), "NotificationsPage"),
});

export const notificationsRoutes = [notificationsRoute];
