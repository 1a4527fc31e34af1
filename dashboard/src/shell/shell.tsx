import { Trans, useLingui } from "@lingui/react/macro";
import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { lazy, Suspense, useEffect, useMemo, useRef, useState } from "react";
import { Provider } from "urql";
import { graphql } from "@/gql";
import { connect } from "@/api/client";
import { ConnectionContext, useConnection, useData, useLive } from "@/api/hooks";
import { useLiveState } from "@/api/live";
import { useSession, useSessionState } from "@/api/session";
import { loadTexts } from "@/i18n";
import { Button } from "@/ui/button";
import { classes } from "@/ui/classes";
import { Dialog } from "@/ui/dialog";
import { Icon } from "@/ui/icons";
import { useNumbers, ZoneContext } from "@/ui/show";
import { Troubles } from "@/ui/states";
import { Bell } from "./bell";
import { ModeStripe, ModeSwitch, UserMenu, WorkspaceMenu } from "./menus";
import { NAVIGATION } from "./navigation";

const ShellData = graphql(`
  query Shell {
    viewer { role workspace { id name timezone } }
    credits { balance lowBalanceThreshold }
    inboxThreads(unread: true, first: 1) { totalCount }
  }
`);
const ShellReplies = graphql(`
  subscription ShellReplies($after: ID) {
    newReplies(after: $after) { id from body }
  }
`);
const ShellEvents = graphql(`
  subscription ShellEvents($types: [EventType!], $after: ID) {
    eventTail(types: $types, after: $after) { id type }
  }
`);
const HEARD = [
  "CAMPAIGN_STARTED", "CAMPAIGN_DISPATCHED", "CAMPAIGN_COMPLETED", "CAMPAIGN_PAUSED", "CAMPAIGN_RESUMED", "CAMPAIGN_CANCELED",
  "CAMPAIGN_APPROVAL_REQUESTED", "CAMPAIGN_APPROVED", "CAMPAIGN_REJECTED",
  "CONTACT_OPTED_IN", "CONTACT_OPTED_OUT", "CREDITS_LOW", "WEBHOOK_DISABLED",
] as const;

const Palette = lazy(() => import("./palette"));
const LoginAgain = lazy(async () => {
  const [module] = await Promise.all([import("@/pages/account/login"), loadTexts("account")]);
  return { default: module.LoginAgain };
});
const Unconfirmed = lazy(async () => {
  const [module] = await Promise.all([import("@/pages/account/unconfirmed"), loadTexts("account")]);
  return { default: module.Unconfirmed };
});

/** The frame of all pages, over a client of one workspace and mode. */
export function Shell() {
  const { membership, livemode, user } = useSession();
  const workspace = membership?.workspaceId ?? null;
  const connection = useMemo(() => connect({ workspace, livemode }), [workspace, livemode, user.id]);
  useEffect(() => () => connection.live.close(), [connection]);
  return (
    <ConnectionContext.Provider value={connection}>
      <Provider value={connection.client} key={`${user.id} ${workspace} ${livemode}`}>
        <Frame />
      </Provider>
    </ConnectionContext.Provider>
  );
}

function Frame() {
  const { t } = useLingui();
  const { livemode, user } = useSession();
  const { data } = useData(ShellData, {});
  useLive(ShellReplies, {});
  useLive(ShellEvents, { types: [...HEARD] });
  const [isSearching, setSearching] = useState(false);
  const [isMenuOpen, setMenuOpen] = useState(false);
  const path = useRouterState({ select: (state) => state.location.pathname });
  useEffect(() => setMenuOpen(false), [path]);
  useEffect(() => {
    const hear = (event: KeyboardEvent) => {
      if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        setSearching(true);
      }
    };
    // Before what has the focus: a field that hears keys itself lets none of them through.
    window.addEventListener("keydown", hear, { capture: true });
    return () => window.removeEventListener("keydown", hear, { capture: true });
  }, []);
  useFocusOfPage(path);
  const unread = data?.inboxThreads.totalCount ?? 0;
  return (
    <ZoneContext.Provider value={data?.viewer.workspace.timezone ?? "UTC"}>
      <a href="#page" className="sr-only focus:not-sr-only focus:fixed focus:top-2 focus:left-2 focus:z-50 focus:rounded-lg focus:bg-raised focus:px-4 focus:py-2">
        <Trans>To the content</Trans>
      </a>
      <ModeStripe />
      {!user.isConfirmed && (
        <Suspense>
          <Unconfirmed email={user.email} />
        </Suspense>
      )}
      <div className="mx-auto flex max-w-[1760px]">
        <aside className="sticky top-0 hidden h-dvh w-60 shrink-0 flex-col gap-4 overflow-y-auto border-r border-line px-3 py-4 lg:flex">
          <Brand />
          <WorkspaceMenu />
          <Navigation unread={unread} />
        </aside>
        <div className="min-w-0 flex-1">
          <header className="sticky top-0 z-20 flex items-center gap-2 border-b border-line bg-bg/90 px-4 py-2.5 backdrop-blur sm:px-6">
            <Button look="quiet" size="icon" icon="menu" aria-label={t`Menu`} className="-ml-2 lg:hidden" onPress={() => setMenuOpen(true)} />
            <button
              type="button"
              onClick={() => setSearching(true)}
              className="flex min-h-10 items-center gap-2 rounded-lg border border-line px-3 text-muted hover:border-line-strong sm:w-72"
            >
              <Icon name="search" className="size-4.5" />
              <span className="sr-only flex-1 text-left sm:not-sr-only">{t`Search`}</span>
              <kbd className="hidden rounded border border-line px-1.5 font-sans text-xs sm:block">⌘K</kbd>
            </button>
            <span className="flex-1" />
            <LiveDot />
            <Balance balance={data?.credits.balance} low={data?.credits.lowBalanceThreshold} isLive={livemode} />
            <span className="hidden sm:block">
              <ModeSwitch />
            </span>
            <Bell />
            <UserMenu />
          </header>
          {livemode && path !== "/" && path !== "/credits" && <LowBalance balance={data?.credits.balance} low={data?.credits.lowBalanceThreshold} />}
          <main id="page" tabIndex={-1} className="mx-auto outline-none max-w-[1400px] px-4 pt-6 pb-24 sm:px-6 lg:px-8">
            <Troubles />
            <Outlet />
          </main>
        </div>
      </div>
      <Dialog isOpen={isMenuOpen} onClose={() => setMenuOpen(false)} title="MassiveSMS" isDrawer>
        <div className="space-y-4">
          <WorkspaceMenu />
          <ModeSwitch />
          <Navigation unread={unread} />
        </div>
      </Dialog>
      {isSearching && (
        <Suspense>
          <Palette onClose={() => setSearching(false)} />
        </Suspense>
      )}
      <SessionEnded />
    </ZoneContext.Provider>
  );
}

const HEADING_MS = 100;
const HEADING_TRIES = 50;
// What somebody is in the middle of is not left.
const BUSY = "#page, [role=dialog], [role=alertdialog], [role=menu], [role=listbox]";

/** After a change of page, the title names it and the focus is at its heading, so that keys and readers go on there. */
function useFocusOfPage(path: string) {
  const before = useRef(path);
  useEffect(() => {
    let tries = 0;
    const timer = setInterval(() => {
      const heading = document.querySelector<HTMLElement>("main h1");
      // The page that was left is still there for a moment.
      if (++tries < 3 || (heading === null && tries < HEADING_TRIES)) return;
      clearInterval(timer);
      if (heading === null) return;
      document.title = `${heading.textContent} · MassiveSMS`;
      if (before.current !== path && document.activeElement?.closest(BUSY) == null) heading.focus({ preventScroll: true });
      before.current = path;
    }, HEADING_MS);
    return () => clearInterval(timer);
  }, [path]);
}

function Brand() {
  return (
    <Link to="/" className="flex items-center gap-2 px-2 font-semibold text-text no-underline">
      <svg viewBox="0 0 32 32" className="size-7 fill-brand" aria-hidden="true">
        <path d="M6 4h20a4 4 0 0 1 4 4v12a4 4 0 0 1-4 4H14l-7 6v-6H6a4 4 0 0 1-4-4V8a4 4 0 0 1 4-4z" />
      </svg>
      MassiveSMS
    </Link>
  );
}

function Navigation({ unread }: { unread: number }) {
  const { t, i18n } = useLingui();
  const { livemode } = useSession();
  return (
    <nav aria-label={t`Main`} className="space-y-4">
      {NAVIGATION.map(({ label, places }, index) => {
        const built = places.filter(({ to, isSandbox }) => to !== undefined && !(isSandbox && livemode));
        if (built.length === 0) return null;
        return (
          <div key={index}>
            {label !== undefined && <p className="mb-1 px-3 text-xs font-medium text-muted">{i18n._(label)}</p>}
            <ul className="space-y-0.5">
              {built.map(({ label: name, icon, to, badge }) => (
                <li key={to}>
                  <Link
                    to={to!}
                    activeOptions={{ exact: to === "/", includeSearch: false }}
                    className="flex items-center gap-3 rounded-lg px-3 py-2 no-underline hover:bg-sunken lg:py-1.5"
                    activeProps={{ className: "bg-brand-soft font-medium text-brand" }}
                    inactiveProps={{ className: "text-text" }}
                  >
                    <Icon name={icon} />
                    <span className="flex-1">{i18n._(name)}</span>
                    {badge === "unread" && unread > 0 && (
                      <span className="rounded-full bg-brand px-2 text-xs font-medium text-on-brand tabular">
                        {unread}
                        <span className="sr-only"> {t`unread`}</span>
                      </span>
                    )}
                  </Link>
                </li>
              ))}
            </ul>
          </div>
        );
      })}
    </nav>
  );
}

function LiveDot() {
  const { t } = useLingui();
  const { live } = useConnection();
  const state = useLiveState(live);
  const isLive = state === "live";
  const text = isLive ? t`Up to date` : t`Reconnecting`;
  return (
    <span role="status" title={text} className={classes("flex items-center gap-2 rounded-full px-2 py-1 text-xs", isLive ? "text-muted" : "bg-warn-soft text-warn")}>
      <span className={classes("size-2 rounded-full", isLive ? "bg-good" : "animate-pulse bg-warn")} aria-hidden="true" />
      <span className={isLive ? "sr-only" : "sr-only sm:not-sr-only"}>{text}</span>
    </span>
  );
}

function Balance({ balance, low, isLive }: { balance: number | undefined; low: number | undefined; isLive: boolean }) {
  const { t } = useLingui();
  const { compact, whole } = useNumbers();
  if (balance === undefined) return null;
  const exact = whole(balance);
  const isLow = isLive && low !== undefined && balance < low;
  return (
    <Link
      to="/credits"
      title={t`${exact} credits`}
      className={classes("hidden items-center gap-1.5 rounded-full border px-3 py-1 text-sm no-underline tabular sm:flex", isLow ? "border-warn bg-warn-soft text-warn" : "border-line text-muted hover:border-line-strong")}
    >
      <Icon name="credits" className="size-4" />
      {compact(balance)}
      <span className="sr-only">{t`credits`}</span>
    </Link>
  );
}

/** Home and the page of credits say it in their own words. */
function LowBalance({ balance, low }: { balance: number | undefined; low: number | undefined }) {
  const { t } = useLingui();
  const { whole } = useNumbers();
  if (balance === undefined || low === undefined || balance >= low) return null;
  const left = whole(balance);
  return (
    <section aria-label={t`Low balance`} className="border-b border-line bg-warn-soft px-4 py-2 text-center text-sm text-warn">
      <Trans>Credits run low: {left} left.</Trans>{" "}
      <Link to="/credits" className="font-medium text-warn">
        <Trans>Add credits</Trans>
      </Link>
    </section>
  );
}

function SessionEnded() {
  const { t } = useLingui();
  const { status } = useSessionState();
  return (
    <Dialog isOpen={status === "ended"} onClose={() => location.assign("/dashboard/login")} title={t`Your session has ended`} isAlert>
      <p className="mb-4 text-muted">
        <Trans>Log in again to go on where you were. What you wrote on this page is still here.</Trans>
      </p>
      <Suspense>{status === "ended" && <LoginAgain />}</Suspense>
    </Dialog>
  );
}
