import { createRoute } from "@tanstack/react-router";
import { lazyPage } from "@/page";
import { oneOf, search, text } from "@/search";
import { shellRoute } from "@/shell/route";

export const settingsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/settings",
  validateSearch: search({ tab: oneOf(["sending", "texts", "senders", "members", "audit", "ownership"]), action: text(), actor: text(), on: text() }),
  component: lazyPage("settings", () => import("./settings"), "SettingsPage"),
});

export const settingsRoutes = [settingsRoute];
