import { createRoute } from "@tanstack/react-router";
import { lazyPage } from "@/page";
import { search, text } from "@/search";
import { shellRoute } from "@/shell/route";

export const handsetRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/handset",
  validateSearch: search({ phone: text() }),
  component: lazyPage("handset", () => import("./handset"), "HandsetPage"),
});

export const handsetRoutes = [handsetRoute];
