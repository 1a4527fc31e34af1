import { createRoute } from "@tanstack/react-router";
import { lazyPage } from "@/page";
import { oneOf, search, text } from "@/search";
import { shellRoute } from "@/shell/route";

export const STATUSES = ["DRAFT", "ACTIVE", "PAUSED", "ARCHIVED"] as const;
export const TABS = ["steps", "people"] as const;
export const STATES = ["ACTIVE", "COMPLETED", "LEFT"] as const;
export const TEMPLATES = ["WELCOME", "CHALLENGE", "WEBINAR_REMINDER"] as const;

export const sequencesRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/sequences",
  validateSearch: search({ status: oneOf(STATUSES) }),
  component: lazyPage("sequences", () => import("./list"), "SequencesPage"),
});

export const newSequenceRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/sequences/new",
  component: lazyPage("sequences", () => import("./new"), "NewSequencePage"),
});

// What a condition's texts are called stands with the contacts' pages, whose editor of filters it is.
export const sequenceRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/sequences/$id",
  validateSearch: search({ tab: oneOf(TABS), state: oneOf(STATES), version: text() }),
  component: lazyPage("sequences", () => import("./sequence"), "SequencePage", ["contacts"]),
});

export const editSequenceRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/sequences/$id/edit",
  component: lazyPage("sequences", () => import("./edit"), "EditSequencePage", ["contacts", "templates"]),
});

export const sequenceRoutes = [sequencesRoute, newSequenceRoute, sequenceRoute, editSequenceRoute];
