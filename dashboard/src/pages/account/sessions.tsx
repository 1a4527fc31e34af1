// Where the user is logged in, and what concerned logging in as them.
import { Trans, useLingui } from "@lingui/react/macro";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useChange, useData } from "@/api/hooks";
import { closeSession } from "@/api/session";
import { graphql } from "@/gql";
import type { DashboardSessionsQuery } from "@/gql/graphql";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/confirm";
import { Badge, Card, Time, type Tone } from "@/ui/show";
import { EmptyState, States, useProblemText } from "@/ui/states";
import { toast } from "@/ui/toast";
import { deviceOf } from "./device";

const OwnSessions = graphql(`
  query DashboardSessions {
    sessions { id isCurrent ip device createdAt lastSeenAt expiresAt }
  }
`);
const EndSession = graphql(`
  mutation DashboardEndSession($id: ID!) {
    endSession(id: $id) {
      __typename
      ... on Error { code message }
    }
  }
`);
const LogOutEverywhere = graphql(`
  mutation DashboardLogOutEverywhere {
    logOut(everywhere: true) {
      __typename
      ... on Error { code message }
    }
  }
`);
const OwnLog = graphql(`
  query DashboardAuthenticationLog($first: Int!) {
    authenticationLog(first: $first) { id action network device createdAt }
  }
`);

type Row = DashboardSessionsQuery["sessions"][number];

export function Sessions() {
  const { t } = useLingui();
  const textOf = useProblemText();
  const navigate = useNavigate();
  const reading = useData(OwnSessions, {});
  const end = useChange(EndSession);
  const logOut = useChange(LogOutEverywhere);
  const [ended, setEnded] = useState<Row | "all" | null>(null);
  const run = async () => {
    if (ended === null) return;
    const { problem } = ended === "all" ? await logOut.run({}) : await end.run({ id: ended.id });
    if (problem !== null) toast({ text: textOf(problem), tone: "danger" });
    else if (ended === "all") {
      closeSession();
      await navigate({ to: "/login" });
    } else toast({ text: t`The session has ended.` });
  };
  return (
    <Card title={t`Where you are logged in`} tools={<Button size="small" onPress={() => setEnded("all")}>{t`Log out everywhere`}</Button>}>
      <States of={reading}>
        {({ sessions }) => (
          <ul className="divide-y divide-line">
            {sessions.map((session) => {
              const name = session.device === null ? t`Unknown device` : deviceOf(session.device);
              return (
                <li key={session.id} className="flex flex-wrap items-center justify-between gap-3 py-3">
                  <div className="min-w-0">
                    <p className="flex flex-wrap items-center gap-2 font-medium" title={session.device ?? undefined}>
                      {name}
                      {session.isCurrent && <Badge tone="brand">{t`This one`}</Badge>}
                    </p>
                    <p className="text-sm text-muted">
                      {session.ip !== null && <>{session.ip} · </>}
                      <Trans>
                        since <Time at={session.createdAt} />, last used <Time at={session.lastSeenAt} style="relative" />
                      </Trans>
                    </p>
                  </div>
                  {!session.isCurrent && <Button size="small" aria-label={t`End the session of ${name}`} onPress={() => setEnded(session)}>{t`End`}</Button>}
                </li>
              );
            })}
          </ul>
        )}
      </States>
      <Confirm
        isOpen={ended !== null}
        onClose={() => setEnded(null)}
        title={ended === "all" ? t`Log out everywhere?` : t`End this session?`}
        action={ended === "all" ? t`Log out everywhere` : t`End the session`}
        onConfirm={run}
        isPending={end.isRunning || logOut.isRunning}
      >
        <p>{ended === "all" ? <Trans>Every session ends, this one too.</Trans> : <Trans>The device has to log in again. If it was not you, change your password too.</Trans>}</p>
      </Confirm>
    </Card>
  );
}

const STEP = 20;
const MOST = 100;
const BAD = new Set(["login_refused", "second_factor_refused"]);

function useActionNames() {
  const { t } = useLingui();
  const names: Record<string, string> = {
    logged_in: t`Logged in`,
    login_refused: t`A log-in was refused`,
    second_factor_refused: t`A second factor was refused`,
    recovery_code_used: t`A recovery code was used`,
    session_ended: t`A session was ended`,
    email_confirmed: t`The address was confirmed`,
    email_change_asked: t`Another address was asked for`,
    password_reset_asked: t`A new password was asked for`,
    password_reset: t`The password was set by a link`,
    password_changed: t`The password was changed`,
    totp_added: t`An authenticator app was added`,
    totp_removed: t`The authenticator app was removed`,
    passkey_added: t`A passkey was added`,
    passkey_removed: t`A passkey was removed`,
    recovery_codes_made: t`New recovery codes were made`,
  };
  return (action: string) => names[action] ?? action.replaceAll("_", " ");
}

const toneOf = (action: string): Tone => (BAD.has(action) ? "danger" : action === "logged_in" ? "neutral" : "info");

export function AuthenticationLog() {
  const { t } = useLingui();
  const nameOf = useActionNames();
  const [first, setFirst] = useState(STEP);
  const reading = useData(OwnLog, { first });
  return (
    <Card title={t`What happened`}>
      <States of={reading}>
        {({ authenticationLog: entries }) =>
          entries.length === 0 ? (
            <EmptyState icon="clock" title={t`Nothing yet`}>
              <Trans>Here stands each log-in, and each change of how you log in.</Trans>
            </EmptyState>
          ) : (
            <>
              <ul className="divide-y divide-line">
                {entries.map((entry) => (
                  <li key={entry.id} className="flex flex-wrap items-center justify-between gap-x-4 gap-y-1 py-2.5">
                    <div className="min-w-0">
                      <Badge tone={toneOf(entry.action)}>{nameOf(entry.action)}</Badge>
                      <p className="mt-0.5 text-sm break-words text-muted">{[entry.device === null ? null : deviceOf(entry.device), entry.network].filter((each) => each !== null).join(" · ")}</p>
                    </div>
                    <span className="text-sm text-muted">
                      <Time at={entry.createdAt} />
                    </span>
                  </li>
                ))}
              </ul>
              {entries.length >= first && first < MOST && (
                <div className="mt-3 text-center">
                  <Button size="small" onPress={() => setFirst(Math.min(MOST, first + STEP * 2))} isPending={reading.isLoading}>{t`Show more`}</Button>
                </div>
              )}
            </>
          )
        }
      </States>
    </Card>
  );
}
