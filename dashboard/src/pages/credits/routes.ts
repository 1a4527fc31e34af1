import { createRoute } from "@tanstack/react-router";
import { lazyPage } from "@/page";
import { oneOf, search } from "@/search";
import { shellRoute } from "@/shell/route";

export const creditsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/credits",
  validateSearch: search({ tab: oneOf(["ledger", "purchases", "added"]), days: oneOf(["7", "30", "90"]), checkout: oneOf(["done", "canceled"]) }),
  component: lazyPage("credits", () => import("./credits"), "CreditsPage"),
});

export const creditsRoutes = [creditsRoute];
