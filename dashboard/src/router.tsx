// All routes. A group of pages has its own `routes.ts`, of which one line stands here.
import { createRouter } from "@tanstack/react-router";
import { accountRoutes, ownAccountRoutes } from "./pages/account/routes";
import { campaignRoutes } from "./pages/campaigns/routes";
import { contactRoutes } from "./pages/contacts/routes";
import { creditsRoutes } from "./pages/credits/routes";
import { developersRoutes } from "./pages/developers/routes";
import { homeRoutes } from "./pages/home/routes";
import { importRoutes } from "./pages/imports/routes";
import { inboxRoutes } from "./pages/inbox/routes";
import { messagesRoutes } from "./pages/messages/routes";
import { notificationsRoutes } from "./pages/notifications/routes";
import { settingsRoutes } from "./pages/settings/routes";
import { parseSearch, stringifySearch } from "./search";
import { Broken, NotFound, Pending } from "./shell/fallbacks";
import { rootRoute, shellRoute } from "./shell/route";

const tree = rootRoute.addChildren([
  ...accountRoutes,
  shellRoute.addChildren([
    ...homeRoutes,
    ...ownAccountRoutes,
    ...campaignRoutes,
    ...contactRoutes,
    ...importRoutes,
    ...creditsRoutes,
    ...developersRoutes,
    ...settingsRoutes,
    ...notificationsRoutes,
    ...inboxRoutes,
    ...messagesRoutes,
  ]),
]);

export function makeRouter() {
  return createRouter({
    routeTree: tree,
    basepath: "/dashboard",
    parseSearch,
    stringifySearch,
    defaultPreload: "intent",
    defaultPendingComponent: Pending,
    defaultErrorComponent: Broken,
    defaultNotFoundComponent: NotFound,
    scrollRestoration: true,
  });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}
