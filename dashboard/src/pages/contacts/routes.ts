import { createRoute } from "@tanstack/react-router";
import { lazyPage } from "@/page";
import { oneOf, search, text } from "@/search";
import { shellRoute } from "@/shell/route";

export const CONSENTS = ["OPTED_IN", "PENDING", "UNKNOWN", "OPTED_OUT"] as const;
export const CONTACT_TABS = ["details", "messages", "notes"] as const;

export const contactsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/contacts",
  validateSearch: search({ q: text(), consent: oneOf(CONSENTS), list: text() }),
  component: lazyPage("contacts", () => import("./list"), "ContactsPage"),
});

export const contactRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/contacts/$id",
  validateSearch: search({ tab: oneOf(CONTACT_TABS) }),
  component: lazyPage("contacts", () => import("./contact"), "ContactPage"),
});

export const contactRoutes = [contactsRoute, contactRoute];
