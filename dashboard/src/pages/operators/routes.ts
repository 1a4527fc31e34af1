import { createRoute } from "@tanstack/react-router";
import { lazyPage } from "@/page";
import { flag, oneOf, search, text } from "@/search";
import { rootRoute } from "@/shell/route";
import { ACTIONS, QUEUES } from "./names";

/** The operators' area has a frame and a log-in of its own: who works in a workspace has no part in it. */
export const operatorsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/operators",
  component: lazyPage("operators", () => import("./frame"), "OperatorsFrame"),
});

export const overviewRoute = createRoute({
  getParentRoute: () => operatorsRoute,
  path: "/",
  component: lazyPage("operators", () => import("./overview"), "OverviewPage"),
});

export const jobsRoute = createRoute({
  getParentRoute: () => operatorsRoute,
  path: "/jobs",
  validateSearch: search({ queue: oneOf(QUEUES), id: text() }),
  component: lazyPage("operators", () => import("./jobs"), "JobsPage"),
});

export const carriersRoute = createRoute({
  getParentRoute: () => operatorsRoute,
  path: "/carriers",
  component: lazyPage("operators", () => import("./carriers"), "CarriersPage"),
});

export const carrierRoutesRoute = createRoute({
  getParentRoute: () => operatorsRoute,
  path: "/routes",
  validateSearch: search({ workspace: text() }),
  component: lazyPage("operators", () => import("./ways"), "RoutesPage"),
});

export const workspacesRoute = createRoute({
  getParentRoute: () => operatorsRoute,
  path: "/workspaces",
  validateSearch: search({ q: text(), held: flag() }),
  component: lazyPage("operators", () => import("./workspaces"), "WorkspacesPage"),
});

export const workspaceRoute = createRoute({
  getParentRoute: () => operatorsRoute,
  path: "/workspaces/$id",
  component: lazyPage("operators", () => import("./workspace"), "WorkspacePage"),
});

export const logRoute = createRoute({
  getParentRoute: () => operatorsRoute,
  path: "/log",
  validateSearch: search({ operator: text(), action: oneOf(ACTIONS) }),
  component: lazyPage("operators", () => import("./log"), "LogPage"),
});

export const operatorRoutes = [
  operatorsRoute.addChildren([overviewRoute, jobsRoute, carriersRoute, carrierRoutesRoute, workspacesRoute, workspaceRoute, logRoute]),
];
