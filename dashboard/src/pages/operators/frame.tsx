// The frame of the operators' area: its log-in, its navigation, and the dialog where a session has ended.
import { Trans, useLingui } from "@lingui/react/macro";
import { Link, Outlet, useRouterState, type LinkProps } from "@tanstack/react-router";
import { useEffect, useRef, useState, type FormEvent } from "react";
import type { Problem } from "@/api/problems";
import { Button, ButtonAnchor } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field } from "@/ui/fields";
import { Icon, type IconName } from "@/ui/icons";
import { Badge, Callout } from "@/ui/show";
import { Loading, ProblemState, useProblemText } from "@/ui/states";
import { useInView } from "@/ui/tabs";
import { ask, become, problemOfThrown, resume, useOperator, type Operator } from "./api";

export function OperatorsFrame() {
  const { t } = useLingui();
  const state = useOperator();
  useEffect(() => {
    if (state.status === "loading") void resume();
  }, [state.status]);
  if (state.status === "loading")
    return (
      <main className="mx-auto max-w-xl p-8">
        <h1 className="sr-only">{t`Operators`}</h1>
        <Loading />
      </main>
    );
  if (state.status === "away")
    return (
      <main className="mx-auto max-w-xl p-8">
        <h1 className="sr-only">{t`Operators`}</h1>
        <ProblemState problem={state.problem} onRetry={() => void resume()} />
      </main>
    );
  if (!("operator" in state)) return <SignInPage />;
  return (
    <>
      <Inside operator={state.operator} />
      <Dialog isOpen={state.status === "ended"} onClose={() => become({ status: "out" })} title={t`Your session has ended`} isAlert>
        <p className="mb-4 text-muted">{t`Sign in again to go on where you were.`}</p>
        {state.status === "ended" && <SignInForm name={state.operator.operator} />}
      </Dialog>
    </>
  );
}

function Inside({ operator }: { operator: Operator }) {
  const { t } = useLingui();
  const path = useRouterState({ select: (state) => state.location.pathname });
  useEffect(() => {
    const frame = setTimeout(() => {
      const heading = document.querySelector<HTMLElement>("main h1");
      if (heading !== null) document.title = `${heading.textContent} · ${t`Operators`} · MassiveSMS`;
    }, 300);
    return () => clearTimeout(frame);
  }, [path, t]);
  const row = useRef<HTMLElement>(null);
  useInView(row, path);
  const places: { to: LinkProps["to"]; icon: IconName; label: string }[] = [
    { to: "/operators", icon: "home", label: t`Overview` },
    { to: "/operators/jobs", icon: "warning", label: t`Failed jobs` },
    { to: "/operators/carriers", icon: "phone", label: t`Carriers` },
    { to: "/operators/routes", icon: "segment", label: t`Routes` },
    { to: "/operators/workspaces", icon: "contacts", label: t`Workspaces` },
    { to: "/operators/log", icon: "lists", label: t`Log` },
  ];
  const leave = async () => {
    await ask("DELETE", "/session").catch(() => undefined);
    become({ status: "out" });
  };
  return (
    <>
      <a href="#page" className="sr-only focus:not-sr-only focus:fixed focus:top-2 focus:left-2 focus:z-50 focus:rounded-lg focus:bg-raised focus:px-4 focus:py-2">
        <Trans>To the content</Trans>
      </a>
      <header className="sticky top-0 z-20 border-b border-line bg-bg/90 backdrop-blur">
        <div className="mx-auto flex max-w-[1760px] flex-wrap items-center gap-x-4 gap-y-1 px-4 pt-2.5 sm:px-6">
          <span className="flex items-center gap-2 font-semibold">
            <svg viewBox="0 0 32 32" className="size-7 fill-brand" aria-hidden="true">
              <path d="M6 4h20a4 4 0 0 1 4 4v12a4 4 0 0 1-4 4H14l-7 6v-6H6a4 4 0 0 1-4-4V8a4 4 0 0 1 4-4z" />
            </svg>
            <span className="sr-only sm:not-sr-only">MassiveSMS</span>
          </span>
          <Badge tone={operator.environment === "production" ? "danger" : "info"}>
            <Trans>Operators</Trans> · {operator.environment}
          </Badge>
          <span className="flex-1" />
          <span className="hidden max-w-56 truncate text-sm text-muted sm:block">{operator.operator}</span>
          <Button look="quiet" size="small" icon="logout" onPress={leave}>{t`Sign out`}</Button>
        </div>
        <nav ref={row} aria-label={t`Main`} className="mx-auto flex max-w-[1760px] gap-1 overflow-x-auto px-2 py-1.5 sm:px-4">
          {places.map(({ to, icon, label }) => (
            <Link
              key={to}
              to={to!}
              activeOptions={{ exact: to === "/operators", includeSearch: false }}
              className="flex items-center gap-2 rounded-lg px-3 py-1.5 whitespace-nowrap no-underline outline-offset-[-2px] hover:bg-sunken"
              activeProps={{ className: "bg-brand-soft font-medium text-brand" }}
              inactiveProps={{ className: "text-text" }}
            >
              <Icon name={icon} className="size-4.5" />
              {label}
            </Link>
          ))}
          <ButtonAnchor look="quiet" size="small" href="/ops/rq/" target="_blank" rel="noreferrer" className="ml-auto">
            <Trans>RQ's page</Trans>
          </ButtonAnchor>
        </nav>
      </header>
      <main id="page" className="mx-auto max-w-[1760px] px-4 pt-6 pb-24 sm:px-6 lg:px-8">
        <Outlet />
      </main>
    </>
  );
}

function SignInPage() {
  const { t } = useLingui();
  useEffect(() => {
    document.title = `${t`Operators`} · MassiveSMS`;
  }, [t]);
  return (
    <main className="flex min-h-dvh flex-col items-center px-4 py-8 sm:justify-center">
      <section className="w-full max-w-md rounded-2xl border border-line bg-surface p-6 shadow-card sm:p-8">
        <h1 className="text-xl font-semibold tracking-tight">{t`Operators`}</h1>
        <p className="mt-1 text-muted">{t`For those who run this service. People of a workspace log in elsewhere.`}</p>
        <div className="mt-6">
          <SignInForm />
        </div>
      </section>
      <p className="mt-5 text-center text-muted">
        <Link to="/login">{t`Log in to a workspace`}</Link>
      </p>
    </main>
  );
}

const SHARED = "(";

function SignInForm({ name: known = "" }: { name?: string }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const [name, setName] = useState(known.startsWith(SHARED) ? "" : known);
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const [isSending, setSending] = useState(false);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setSending(true);
    setProblem(null);
    try {
      become({ status: "in", operator: await ask<Operator>("POST", "/session", { name, password, code }) });
    } catch (error) {
      setProblem(problemOfThrown(error));
      setSending(false);
    }
  };
  const said = problem === null ? null : problem.code === "login_invalid" ? t`The name, the password or the code is wrong.` : problem.code === "login_throttled" ? t`Too many wrong passwords. Wait a minute, then try again.` : textOf(problem);
  return (
    <form onSubmit={(event) => void submit(event)} className="space-y-4" noValidate>
      {said !== null && <Callout tone="danger">{said}</Callout>}
      <Field label={t`Name`} hint={t`Empty for the shared password.`} name="name" autoComplete="username" spellCheck="false" value={name} onChange={setName} autoFocus={known === ""} />
      <Field label={t`Password`} type="password" name="password" autoComplete="current-password" value={password} onChange={setPassword} isRequired autoFocus={known !== ""} />
      <Field label={t`Code of the authenticator app`} hint={t`With a name.`} name="code" autoComplete="one-time-code" inputMode="numeric" value={code} onChange={setCode} />
      <Button type="submit" look="primary" className="w-full" isPending={isSending}>{t`Sign in`}</Button>
    </form>
  );
}
