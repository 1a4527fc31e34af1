import { createRoute } from "@tanstack/react-router";
import { lazyPage } from "@/page";
import { oneOf, search, text } from "@/search";
import { shellRoute } from "@/shell/route";

export const STATUSES = [
  "UPLOADING", "QUEUED", "READING", "NEEDS_MAPPING", "CHECKING", "CHECKED", "RUNNING", "COMPLETED", "CANCELED", "FAILED", "EXPIRED", "UNDOING", "UNDONE",
] as const;

export const importsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/imports",
  validateSearch: search({ status: oneOf(STATUSES) }),
  component: lazyPage("imports", () => import("./list"), "ImportsPage"),
});

export const newImportRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/imports/new",
  validateSearch: search({ list: text() }),
  component: lazyPage("imports", () => import("./new"), "NewImportPage"),
});

/** Where an import stands is the service's to say; the address adds which of two steps is seen of one that was checked. */
export const importRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/imports/$id",
  validateSearch: search({ step: oneOf(["check"]) }),
  component: lazyPage("imports", () => import("./import"), "ImportPage"),
});

export const importRoutes = [importsRoute, newImportRoute, importRoute];
