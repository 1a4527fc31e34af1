import { createRoute } from "@tanstack/react-router";
import { lazyPage } from "@/page";
import { oneOf, search, text } from "@/search";
import { shellRoute } from "@/shell/route";

export const CONSENTS = ["OPTED_IN", "PENDING", "UNKNOWN", "OPTED_OUT"] as const;
export const REACHES = ["yes", "no"] as const;
export const CONTACT_TABS = ["details", "messages", "notes"] as const;

export const contactsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/contacts",
  validateSearch: search({ q: text(), consent: oneOf(CONSENTS), list: text(), segment: text(), tag: text(), unreachable: oneOf(REACHES), since: text(), until: text(), attribute: text(), value: text(), order: oneOf(["oldest"]) }),
  component: lazyPage("contacts", () => import("./list"), "ContactsPage"),
});

export const contactRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/contacts/$id",
  validateSearch: search({ tab: oneOf(CONTACT_TABS) }),
  component: lazyPage("contacts", () => import("./contact"), "ContactPage"),
});

export const listsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/lists",
  component: lazyPage("contacts", () => import("./lists"), "ListsPage"),
});

export const listRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/lists/$id",
  validateSearch: search({ q: text() }),
  component: lazyPage("contacts", () => import("./lists"), "ListPage"),
});

export const segmentsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/segments",
  component: lazyPage("contacts", () => import("./segments"), "SegmentsPage"),
});

export const newSegmentRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/segments/new",
  component: lazyPage("contacts", () => import("./segments"), "NewSegmentPage"),
});

export const segmentRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/segments/$id",
  component: lazyPage("contacts", () => import("./segments"), "SegmentPage"),
});

export const suppressionsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/suppressions",
  validateSearch: search({ phone: text() }),
  component: lazyPage("contacts", () => import("./suppressions"), "SuppressionsPage"),
});

export const keywordsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/keywords",
  validateSearch: search({ list: text() }),
  component: lazyPage("contacts", () => import("./keywords"), "KeywordsPage"),
});

export const contactRoutes = [contactsRoute, contactRoute, listsRoute, listRoute, segmentsRoute, newSegmentRoute, segmentRoute, suppressionsRoute, keywordsRoute];
