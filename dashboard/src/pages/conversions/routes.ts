import { createRoute } from "@tanstack/react-router";
import { lazyPage } from "@/page";
import { search, text } from "@/search";
import { shellRoute } from "@/shell/route";

export const conversionsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/conversions",
  validateSearch: search({ campaign: text(), contact: text(), order: text(), since: text(), until: text(), currency: text() }),
  component: lazyPage("conversions", () => import("./list"), "ConversionsPage"),
});

export const conversionRoutes = [conversionsRoute];
