import { createRoute } from "@tanstack/react-router";
import { lazyPage } from "@/page";
import { flag, oneOf, search, text } from "@/search";
import { shellRoute } from "@/shell/route";

/** What the address opens for something that is not there yet. */
export const NEW = "new";

export const templatesRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/templates",
  validateSearch: search({ tab: oneOf(["snippets"]), q: text(), tag: text(), archived: flag(), open: text() }),
  component: lazyPage("templates", () => import("./list"), "TemplatesPage"),
});

export const templateRoutes = [templatesRoute];
