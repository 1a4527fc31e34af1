// The states that every page has beside its content.
import { Trans, useLingui } from "@lingui/react/macro";
import { useEffect, useState, type ReactNode } from "react";
import type { Reading } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { useSessionState } from "@/api/session";
import { retryAll, useTold, useTroubles } from "@/api/troubles";
import { Button, ButtonLink } from "./button";
import { Icon, type IconName } from "./icons";
import { CopyId } from "./show";

export function Skeleton({ className = "h-4 w-full" }: { className?: string }) {
  return <div className={`skeleton ${className}`} />;
}

export function Loading({ rows = 5, children }: { rows?: number; children?: ReactNode }) {
  const { t } = useLingui();
  return (
    <div role="status" aria-label={t`Loading`}>
      {children ?? (
        <div className="space-y-3">
          {Array.from({ length: rows }, (_, row) => (
            <Skeleton key={row} className="h-10 w-full" />
          ))}
        </div>
      )}
    </div>
  );
}

interface EmptyProps {
  icon: IconName;
  title: ReactNode;
  children?: ReactNode;
  /** The one thing to do next. */
  action?: ReactNode;
  /** Whether it is all of its page, whose heading is its title then. */
  isPage?: boolean;
}

export function EmptyState({ icon, title, children, action, isPage = false }: EmptyProps) {
  return (
    <div className="flex flex-col items-center px-4 py-14 text-center">
      <span className="mb-4 flex size-14 items-center justify-center rounded-2xl bg-brand-soft text-brand">
        <Icon name={icon} className="size-7" />
      </span>
      {isPage ? (
        <h1 tabIndex={-1} className="text-lg font-semibold">
          {title}
        </h1>
      ) : (
        <h2 className="text-lg font-semibold">{title}</h2>
      )}
      {children !== undefined && <div className="mt-1 max-w-md text-muted">{children}</div>}
      {action !== undefined && <div className="mt-5">{action}</div>}
    </div>
  );
}

/** Nothing meets the filters. */
export function FilteredEmpty({ onClear }: { onClear: () => void }) {
  const { t } = useLingui();
  return (
    <EmptyState icon="search" title={t`Nothing matches these filters`} action={<Button onPress={onClear}>{t`Clear filters`}</Button>}>
      <Trans>Widen the dates or take a filter away.</Trans>
    </EmptyState>
  );
}

export function useRoleName() {
  const { t } = useLingui();
  const names = { OWNER: t`Owner`, ADMIN: t`Admin`, MEMBER: t`Member`, READ_ONLY: t`Read only` } as const;
  return (role: string | undefined) => names[role as keyof typeof names] ?? t`none`;
}

function Countdown({ seconds, onEnd }: { seconds: number; onEnd: () => void }) {
  const [left, setLeft] = useState(Math.max(1, Math.ceil(seconds)));
  useEffect(() => {
    if (left <= 0) {
      // One note stands for all that was refused.
      retryAll(onEnd);
      return undefined;
    }
    const timer = setTimeout(() => setLeft(left - 1), 1000);
    return () => clearTimeout(timer);
  }, [left, onEnd]);
  return <Trans>Trying again in {left} s.</Trans>;
}

/** Return what to say of a problem, in the reader's language where we know it. */
export function useProblemText() {
  const { t } = useLingui();
  const state = useSessionState();
  const roleName = useRoleName();
  return (problem: Problem): string => {
    if (problem.kind === "offline") return t`The service does not answer. It is tried again by itself.`;
    if (problem.kind === "rate") return t`That was a lot at once. Wait a moment.`;
    if (problem.kind === "outdated") return t`The dashboard has been renewed meanwhile. Load the page again.`;
    if (problem.code === "email_unconfirmed") return t`Confirm your e-mail address first. Until then you work in the sandbox, and invite nobody.`;
    if (problem.code === "second_factor_required") return t`This workspace asks for a second factor. Add one to your account first.`;
    if (problem.kind === "permission" && problem.code === "permission_denied" && "session" in state) {
      const role = roleName(state.session.membership?.role);
      return t`Your role (${role}) does not allow this. An owner or admin can do it, or give you another role.`;
    }
    return problem.message;
  };
}

export function ProblemState({ problem, onRetry }: { problem: Problem; onRetry: () => void }) {
  const { t } = useLingui();
  useTold(problem);
  const textOf = useProblemText();
  const titles = {
    offline: t`You are offline`,
    session: t`Your session has ended`,
    permission: t`Not for your role`,
    rate: t`Too many requests`,
    outdated: t`There is a newer version`,
    missing: t`Not found`,
    input: t`That cannot be shown`,
    server: t`Something went wrong`,
  } as const;
  const again =
    problem.kind === "outdated" ? (
      <Button look="primary" onPress={() => location.reload()}>{t`Load again`}</Button>
    ) : problem.code === "second_factor_required" ? (
      <ButtonLink to="/account" search={{ part: "security" }} look="primary">{t`Add a second factor`}</ButtonLink>
    ) : problem.code === "workspace_deleting" ? (
      <ButtonLink to="/account" look="primary">{t`Your account`}</ButtonLink>
    ) : problem.kind === "permission" || problem.kind === "missing" ? undefined : (
      <Button icon="refresh" onPress={() => retryAll(onRetry)}>{t`Try again`}</Button>
    );
  const title =
    problem.code === "email_unconfirmed" ? t`Your address is not confirmed yet` : problem.code === "second_factor_required" ? t`A second factor is needed` : titles[problem.kind];
  return (
    <div role="alert">
      <EmptyState icon={problem.kind === "permission" ? "suppression" : "warning"} title={title} action={again}>
        <p>{textOf(problem)}</p>
        {problem.kind === "rate" && (
          <p>
            <Countdown seconds={problem.retryAfter ?? 5} onEnd={onRetry} />
          </p>
        )}
        {problem.requestId !== undefined && (
          <p className="mt-2 text-sm">
            <Trans>Request</Trans> <CopyId id={problem.requestId} />
          </p>
        )}
      </EmptyState>
    </div>
  );
}

/** The heading of a page whose own is not known yet. */
export function Untitled({ title, children }: { title: string; children: ReactNode }) {
  return (
    <>
      <h1 className="sr-only">{title}</h1>
      {children}
    </>
  );
}

interface StatesProps<Data> {
  of: Reading<Data>;
  loading?: ReactNode;
  /** What the page is called until what was read names it. */
  title?: string;
  children: (data: Data) => ReactNode;
}

/** A problem of what is shown all the same, with a retry. */
function Note({ problem, onRetry }: { problem: Problem; onRetry: () => void }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  return (
    <div role="alert" className="mb-4 flex flex-wrap items-center justify-between gap-3 rounded-xl bg-warn-soft px-4 py-2 text-sm text-warn">
      <span className="min-w-0 break-words">
        {textOf(problem)} {problem.kind === "rate" && <Countdown key={problem.requestId} seconds={problem.retryAfter ?? 5} onEnd={onRetry} />} {problem.requestId !== undefined && <CopyId id={problem.requestId} />}
      </span>
      <Button size="small" icon="refresh" onPress={() => retryAll(onRetry)}>{t`Try again`}</Button>
    </div>
  );
}

/** What no part of the page tells of: a list that was not read to its end, or a part that is missing. */
export function Troubles() {
  const [first] = useTroubles();
  return first === undefined ? null : <Note problem={first.problem} onRetry={first.retry} />;
}

/** Show what was read, or why not: loading, a problem, or both data and a note that not all of it could be read. */
export function States<Data>({ of, loading, title, children }: StatesProps<Data>) {
  const { data, problem, retry } = of;
  useTold(problem);
  if (data === undefined || data === null) {
    const shown = problem !== null ? <ProblemState problem={problem} onRetry={retry} /> : (loading ?? <Loading />);
    return title === undefined ? <>{shown}</> : <Untitled title={title}>{shown}</Untitled>;
  }
  return (
    <>
      {problem !== null && <Note problem={problem} onRetry={retry} />}
      {children(data)}
    </>
  );
}
