import { createRoute } from "@tanstack/react-router";
import { lazyPage } from "@/page";
import { oneOf, search } from "@/search";
import { shellRoute } from "@/shell/route";

export const homeRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/",
  validateSearch: search({ days: oneOf(["7", "30", "90"]) }),
  component: lazyPage("home", () => import("./home"), "HomePage"),
});

export const homeRoutes = [homeRoute];
