import { createRoute } from "@tanstack/react-router";
import { lazyPage } from "@/page";
import { long, oneOf, search, text } from "@/search";
import { shellRoute } from "@/shell/route";

export const connectionsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/connections",
  component: lazyPage("connections", () => import("./list"), "ConnectionsPage"),
});

/** The service that is chosen stands in the address; what is typed of it never does. */
export const newConnectionRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/connections/new",
  validateSearch: search({ type: text() }),
  component: lazyPage("connections", () => import("./new"), "NewConnectionPage"),
});

/** A connection has the id of its list. The address adds which step is seen, where the service leaves a choice. */
export const connectionRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/connections/$id",
  validateSearch: search({ step: oneOf(["fields", "check"]) }),
  component: lazyPage("connections", () => import("./connection"), "ConnectionPage"),
});

/** Where a service sends the browser back to, after access was granted or refused. */
export const authorizedRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/connections/authorized",
  validateSearch: search({ state: long(), code: long(), error: text() }),
  component: lazyPage("connections", () => import("./authorized"), "AuthorizedPage"),
});

export const connectionRoutes = [connectionsRoute, newConnectionRoute, authorizedRoute, connectionRoute];
