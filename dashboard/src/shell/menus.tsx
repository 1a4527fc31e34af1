import { Trans, useLingui } from "@lingui/react/macro";
import { lazy, Suspense, useRef, useState, type ComponentType, type ReactNode, type RefObject } from "react";
import { enterMode, useSession } from "@/api/session";
import { Segmented } from "@/ui/segmented";
import { Icon } from "@/ui/icons";
import { useRoleName } from "@/ui/states";
import { SandboxClock } from "./clock";

export interface ListProps {
  trigger: RefObject<HTMLButtonElement | null>;
  onClose: () => void;
}

const load = () => import("./menulists");
const WorkspaceList = lazy(() => load().then(({ WorkspaceList: list }) => ({ default: list })));
const UserList = lazy(() => load().then(({ UserList: list }) => ({ default: list })));

/** A button with a menu, which is loaded once somebody points at it or reaches it. */
function Opener({ label, className, list: List, children }: { label: string; className: string; list: ComponentType<ListProps>; children: ReactNode }) {
  const trigger = useRef<HTMLButtonElement>(null);
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <button
        ref={trigger}
        type="button"
        aria-label={label}
        aria-haspopup="menu"
        aria-expanded={isOpen}
        className={className}
        onPointerEnter={() => void load()}
        onFocus={() => void load()}
        onClick={() => setOpen(true)}
        onKeyDown={(event) => {
          if (event.key !== "ArrowDown") return;
          event.preventDefault();
          setOpen(true);
        }}
      >
        {children}
      </button>
      {isOpen && (
        <Suspense>
          <List trigger={trigger} onClose={() => setOpen(false)} />
        </Suspense>
      )}
    </>
  );
}

export function WorkspaceMenu() {
  const { t } = useLingui();
  const { membership, memberships } = useSession();
  const roleName = useRoleName();
  const name = membership?.workspaceName ?? t`No workspace`;
  if (memberships.length < 2)
    return (
      <p className="px-3 text-sm">
        <span className="block truncate font-medium">{name}</span>
        <span className="text-muted">{roleName(membership?.role)}</span>
      </p>
    );
  return (
    <Opener list={WorkspaceList} label={t`Workspace: ${name}`} className="flex w-full items-center justify-between gap-2 rounded-lg border border-line bg-surface px-3 py-2 text-left hover:border-line-strong">
      <span className="min-w-0">
        <span className="block truncate font-medium">{name}</span>
        <span className="text-sm text-muted">{roleName(membership?.role)}</span>
      </span>
      <Icon name="down" className="size-4 text-muted" />
    </Opener>
  );
}

export function ModeSwitch() {
  const { t } = useLingui();
  const { livemode } = useSession();
  const choices = [
    { value: "sandbox", label: t`Sandbox` },
    { value: "live", label: t`Live` },
  ] as const;
  return <Segmented label={t`Mode`} hideLabel choices={choices} value={livemode ? "live" : "sandbox"} onChange={(mode) => enterMode(mode === "live")} />;
}

/** Striped, so that nobody takes the sandbox for the real thing or the other way round. */
export function ModeStripe() {
  const { t } = useLingui();
  const { livemode } = useSession();
  if (livemode) return null;
  return (
    <section aria-label={t`Mode`} className="stripes flex flex-wrap items-center justify-center gap-x-2 gap-y-1 px-4 py-1.5 text-center text-sm font-medium">
      <span className="rounded bg-surface/75 px-2 py-0.5 text-text">
        <Trans>Sandbox: nothing reaches a real phone, and nothing costs.</Trans>
      </span>
      <SandboxClock />
    </section>
  );
}

export function UserMenu() {
  const { t } = useLingui();
  const { user } = useSession();
  return (
    <Opener list={UserList} label={t`Account of ${user.name}`} className="flex size-10 items-center justify-center rounded-full bg-brand-soft font-semibold text-brand uppercase hover:bg-line">
      {(user.name || user.email).slice(0, 1)}
    </Opener>
  );
}
