import { createRootRoute, createRoute, Outlet, redirect } from "@tanstack/react-router";
import { sessionState } from "@/api/session";
import { Toasts } from "@/ui/toast";
import { Shell } from "./shell";

export const rootRoute = createRootRoute({
  component: () => (
    <>
      <Outlet />
      <Toasts />
    </>
  ),
});

/** Around every page that needs somebody logged in. */
export const shellRoute = createRoute({
  getParentRoute: () => rootRoute,
  id: "shell",
  component: Shell,
  beforeLoad: ({ location }) => {
    const { status } = sessionState();
    if (status === "out" || status === "loading") throw redirect({ to: "/login", search: location.href === "/" ? {} : { next: location.href } });
  },
});
