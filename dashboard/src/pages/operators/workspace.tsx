import { Trans, useLingui } from "@lingui/react/macro";
import { Link, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { newKey } from "@/api/hooks";
import { Button, ButtonLink } from "@/ui/button";
import { Field } from "@/ui/fields";
import { Badge, Callout, Card, CopyId, Count, Credits, Facts, PageHead, Time, useNumbers } from "@/ui/show";
import { States, useProblemText } from "@/ui/states";
import { useTell } from "@/ui/tell";
import { useAct, useOps, type WorkspaceWhole } from "./api";
import { ReasonDialog } from "./shared";

/** Digits, in groups of three or in one: 1.5 is no number of credits, and is not read as 15. */
const WHOLE = /^(?:\d+|\d{1,3}(?:[\s.,]\d{3})+)$/;

type Asked = "grant" | "hold" | "release";

export function WorkspacePage() {
  const { t } = useLingui();
  const { id } = useParams({ from: "/operators/workspaces/$id" });
  const reading = useOps<WorkspaceWhole>(`/workspaces/${encodeURIComponent(id)}`);
  const [asked, setAsked] = useState<Asked | null>(null);
  const { data } = reading;
  const actions =
    data === undefined ? undefined : (
      <>
        {data.deletes_at === null && <Button look="primary" icon="plus" onPress={() => setAsked("grant")}>{t`Grant credits`}</Button>}
        {data.held_at === null ? (
          <Button look="danger" icon="pause" onPress={() => setAsked("hold")}>{t`Hold`}</Button>
        ) : (
          <Button icon="play" onPress={() => setAsked("release")}>{t`Release`}</Button>
        )}
      </>
    );
  return (
    <>
      <PageHead
        above={
          <Link to="/operators/workspaces" className="mb-2 inline-block text-sm">
            {t`Workspaces`}
          </Link>
        }
        title={data?.name ?? t`Workspace`}
        lead={<CopyId id={id} />}
        actions={actions}
      />
      <States of={reading}>{(workspace) => <Shown workspace={workspace} />}</States>
      {data !== undefined && asked === "grant" && <GrantDialog workspace={data} onClose={() => setAsked(null)} onDone={reading.retry} />}
      {data !== undefined && (asked === "hold" || asked === "release") && <HoldDialog workspace={data} isHold={asked === "hold"} onClose={() => setAsked(null)} onDone={reading.retry} />}
    </>
  );
}

function Shown({ workspace }: { workspace: WorkspaceWhole }) {
  const { t } = useLingui();
  const { whole } = useNumbers();
  const { id, balance, debt, total_lifetime: total, daily_credit_cap: cap, held_at: held, deletes_at: deletes, erased_at: erased, created_at: since, members, ledger, campaigns } = workspace;
  const roles: Record<string, string> = { owner: t`Owner`, admin: t`Admin`, member: t`Member`, read_only: t`Read only` };
  const kinds: Record<string, string> = { grant: t`Granted`, purchase: t`Bought`, refund: t`Refunded`, dispute: t`Disputed`, restore: t`Given back`, debt: t`Debt paid off` };
  return (
    <div className="space-y-4">
      {held !== null && (
        <Callout tone="danger">
          <Trans>
            Held since <Time at={held} style="full" />: it sends nothing, and its keys and members are refused.
          </Trans>
        </Callout>
      )}
      {deletes !== null && erased === null && (
        <Callout tone="warn">
          <Trans>
            It will be deleted on <Time at={deletes} style="full" />, as an owner asked. Until an owner cancels that, it sends nothing, and a release does not change it.
          </Trans>
        </Callout>
      )}
      {erased !== null && (
        <Callout tone="warn">
          <Trans>
            Its data was erased on <Time at={erased} style="full" />. The credit ledger, the consent history and the audit log are kept.
          </Trans>
        </Callout>
      )}
      <div className="grid gap-4 lg:grid-cols-2 xl:grid-cols-3">
        <Card title={t`Credits`}>
          <Facts
            items={[
              [t`Balance`, <Credits key="b" value={balance} />],
              debt > 0 && [t`Owed`, <Credits key="d" value={debt} />],
              [t`Received in all`, <Credits key="t" value={total} />],
              [t`Daily cap`, cap === null ? t`none` : whole(cap)],
              [t`Since`, <Time key="s" at={since} style="day" />],
              [t`Routes of its own`, <ButtonLink key="r" size="small" to="/operators/routes" search={{ workspace: id }}>{t`See them`}</ButtonLink>],
            ]}
          />
        </Card>
        <Card title={t`Members`}>
          {members.length === 0 ? (
            <p className="text-muted">{t`Nobody yet.`}</p>
          ) : (
            <ul className="divide-y divide-line">
              {members.map((member) => (
                <li key={member.email} className="flex flex-wrap items-center justify-between gap-x-4 gap-y-1 py-2">
                  <span className="min-w-0">
                    <span className="block truncate font-medium">{member.name}</span>
                    <span className="block text-sm break-all text-muted">{member.email}</span>
                  </span>
                  <span className="flex gap-2">
                    {!member.is_confirmed && <Badge tone="warn">{t`Not confirmed`}</Badge>}
                    <Badge>{roles[member.role] ?? member.role}</Badge>
                  </span>
                </li>
              ))}
            </ul>
          )}
        </Card>
        <Card title={t`Live campaigns under way`}>
          {Object.keys(campaigns).length === 0 ? (
            <p className="text-muted">{t`None.`}</p>
          ) : (
            <Facts items={Object.entries(campaigns).map(([status, count]) => [status, <Count key={status} value={count} />] as const)} />
          )}
        </Card>
      </div>
      <Card title={t`Credits added and taken, without those of messages`}>
        {ledger.length === 0 ? (
          <p className="text-muted">{t`Nothing yet.`}</p>
        ) : (
          <ul className="divide-y divide-line">
            {ledger.map((entry) => (
              <li key={entry.id} className="flex flex-wrap items-baseline justify-between gap-x-6 gap-y-1 py-2">
                <span className="min-w-0 flex-1 basis-48 break-words">
                  <span className="font-medium">{kinds[entry.kind] ?? entry.kind}</span> <span className="text-muted">{entry.note}</span>
                </span>
                <span className="text-sm text-muted">
                  <Time at={entry.created_at} style="full" />
                </span>
                <span className="w-32 text-right font-medium">
                  <Count value={entry.amount} />
                </span>
              </li>
            ))}
          </ul>
        )}
      </Card>
    </div>
  );
}

interface DialogProps {
  workspace: WorkspaceWhole;
  onClose: () => void;
  onDone: () => void;
}

function GrantDialog({ workspace, onClose, onDone }: DialogProps) {
  const { t } = useLingui();
  const { whole } = useNumbers();
  const textOf = useProblemText();
  const tell = useTell();
  const act = useAct();
  // A second press, or a try after an answer that was lost, adds nothing more.
  const [key] = useState(newKey);
  const [amount, setAmount] = useState("");
  const credits = Number(amount.replace(/[\s.,]/g, ""));
  const isWhole = WHOLE.test(amount.trim()) && Number.isSafeInteger(credits) && credits > 0;
  const shown = whole(isWhole ? credits : 0);
  const after = whole(workspace.balance + (isWhole ? credits : 0));
  return (
    <ReasonDialog
      title={t`Grant credits to ${workspace.name}`}
      action={isWhole ? t`Grant ${shown}` : t`Grant`}
      isPending={act.isRunning}
      isComplete={isWhole}
      paramOf={["credits"]}
      hint={t`The workspace reads it in its ledger, and it stands in the log of operators.`}
      onClose={onClose}
      onSave={async (reason) => {
        const { problem } = await act.run("POST", `/workspaces/${workspace.id}/grants`, { credits, reason, key });
        if (problem !== null) return problem;
        tell(null, t`${shown} credits are granted.`);
        onDone();
        return null;
      }}
    >
      {(problem) => <Field label={t`Credits`} inputMode="numeric" hint={isWhole ? t`The balance becomes ${after}.` : t`A whole number.`} value={amount} onChange={setAmount} autoFocus error={problem?.param === "credits" ? textOf(problem) : undefined} />}
    </ReasonDialog>
  );
}

function HoldDialog({ workspace, isHold, onClose, onDone }: DialogProps & { isHold: boolean }) {
  const { t } = useLingui();
  const tell = useTell();
  const act = useAct();
  return (
    <ReasonDialog
      title={isHold ? t`Hold ${workspace.name}` : t`Release ${workspace.name}`}
      action={isHold ? t`Hold` : t`Release`}
      look={isHold ? "danger" : "primary"}
      isPending={act.isRunning}
      onClose={onClose}
      onSave={async (reason) => {
        const { problem } = await act.run("POST", `/workspaces/${workspace.id}/${isHold ? "hold" : "release"}`, { reason });
        if (problem !== null) return problem;
        tell(null, isHold ? t`The workspace is held.` : t`The workspace goes on.`);
        onDone();
        return null;
      }}
    >
      <p>{isHold ? t`It sends nothing, and its keys and members are refused, until it is released. What waits is kept.` : t`It goes on where it stopped; what is due goes out.`}</p>
    </ReasonDialog>
  );
}
