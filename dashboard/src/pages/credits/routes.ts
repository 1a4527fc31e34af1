import { createRoute } from "@tanstack/react-router";
import { lazyPage } from "@/page";
import { oneOf, search } from "@/search";
import { shellRoute } from "@/shell/route";

export const creditsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/credits",
  validateSearch: search({
    tab: oneOf(["ledger", "purchases", "added", "rates"]),
    days: oneOf(["7", "30", "90"]),
    kind: oneOf(["GRANT", "PURCHASE", "RESERVE", "CAPTURE", "RELEASE", "REFUND", "DISPUTE", "RESTORE", "DEBT"]),
    status: oneOf(["OPENING", "OPEN", "PENDING", "PAID", "EXPIRED", "FAILED", "REVIEW"]),
    checkout: oneOf(["done", "canceled"]),
  }),
  component: lazyPage("credits", () => import("./credits"), "CreditsPage"),
});

export const creditsRoutes = [creditsRoute];
