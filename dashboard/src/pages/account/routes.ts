import { createRoute } from "@tanstack/react-router";
import { lazyPage } from "@/page";
import { oneOf, search, text } from "@/search";
import { rootRoute, shellRoute } from "@/shell/route";

export const loginRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/login",
  validateSearch: search({ next: text() }),
  component: lazyPage("account", () => import("./login"), "LoginPage"),
});

export const signUpRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/signup",
  component: lazyPage("account", () => import("./signup"), "SignUpPage"),
});

// The token stands behind a `#`, which no server sees and no log keeps.
export const invitationRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/invitation",
  component: lazyPage("account", () => import("./invitation"), "InvitationPage"),
});

export const confirmRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/confirm",
  component: lazyPage("account", () => import("./confirm"), "ConfirmPage"),
});

export const forgotRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/forgot",
  component: lazyPage("account", () => import("./forgot"), "ForgotPage"),
});

export const resetRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/reset",
  component: lazyPage("account", () => import("./reset"), "ResetPage"),
});

export const accountRoutes = [loginRoute, signUpRoute, invitationRoute, confirmRoute, forgotRoute, resetRoute];

/** The user's own account stands within the shell. */
export const ownAccountRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/account",
  validateSearch: search({ part: oneOf(["profile", "security", "sessions"]) }),
  component: lazyPage("account", () => import("./profile"), "AccountPage"),
});

export const ownAccountRoutes = [ownAccountRoute];
