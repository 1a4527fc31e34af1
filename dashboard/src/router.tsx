// All routes. A group of pages has its own `routes.ts`, of which one line stands here.
import { createRoute, createRouter } from "@tanstack/react-router";
import { accountRoutes, ownAccountRoutes } from "./pages/account/routes";
import { campaignRoutes } from "./pages/campaigns/routes";
import { connectionRoutes } from "./pages/connections/routes";
import { contactRoutes } from "./pages/contacts/routes";
import { conversionRoutes } from "./pages/conversions/routes";
import { creditsRoutes } from "./pages/credits/routes";
import { developersRoutes } from "./pages/developers/routes";
import { exportRoutes } from "./pages/exports/routes";
import { handsetRoutes } from "./pages/handset/routes";
import { homeRoutes } from "./pages/home/routes";
import { importRoutes } from "./pages/imports/routes";
import { inboxRoutes } from "./pages/inbox/routes";
import { messagesRoutes } from "./pages/messages/routes";
import { notificationsRoutes } from "./pages/notifications/routes";
import { operatorRoutes } from "./pages/operators/routes";
import { sequenceRoutes } from "./pages/sequences/routes";
import { settingsRoutes } from "./pages/settings/routes";
import { templateRoutes } from "./pages/templates/routes";
import { parseSearch, stringifySearch } from "./search";
import { Broken, NotFound, Pending } from "./shell/fallbacks";
import { rootRoute, shellRoute } from "./shell/route";

const tree = rootRoute.addChildren([
  ...accountRoutes,
  ...operatorRoutes,
  shellRoute.addChildren([
    ...homeRoutes,
    ...ownAccountRoutes,
    ...campaignRoutes,
    ...sequenceRoutes,
    ...templateRoutes,
    ...contactRoutes,
    ...importRoutes,
    ...connectionRoutes,
    ...exportRoutes,
    ...conversionRoutes,
    ...creditsRoutes,
    ...developersRoutes,
    ...settingsRoutes,
    ...notificationsRoutes,
    ...inboxRoutes,
    ...messagesRoutes,
    ...handsetRoutes,
    // What has no page of its own is told within the frame, from which people go on.
    createRoute({ getParentRoute: () => shellRoute, path: "/$", component: NotFound }),
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

/** Load the code and the texts of the page that the address names. */
export function preloadPage(router: ReturnType<typeof makeRouter>) {
  const routes: Record<string, { options: unknown }> = router.routesById;
  const matched: readonly { routeId: string }[] = router.matchRoutes(router.latestLocation);
  for (const { routeId } of matched) {
    const { component } = routes[routeId]!.options as { component?: { preload?: () => Promise<unknown> } };
    // What could not be loaded is told when the page is shown.
    component?.preload?.().catch(() => undefined);
  }
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}
