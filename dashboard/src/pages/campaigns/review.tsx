import { Trans, useLingui } from "@lingui/react/macro";
import { useNavigate } from "@tanstack/react-router";
import { useCallback, useEffect, useRef, useState } from "react";
import { useChange, type Outcome, type Reading } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { useSession } from "@/api/session";
import { graphql } from "@/gql";
import type { PreflightMutation, PreflightMutationVariables } from "@/gql/graphql";
import { Button } from "@/ui/button";
import { TYPED_ABOVE } from "@/ui/confirm";
import { Dialog } from "@/ui/dialog";
import { Field, Select } from "@/ui/fields";
import { Callout, Time, useNumbers, useZone } from "@/ui/show";
import { States, useProblemText } from "@/ui/states";
import { toast } from "@/ui/toast";
import { useWarningText } from "@/ui/warnings";
import { inputOf, type Draft } from "./draft";
import { Reach } from "./preview";

const Preflight = graphql(`
  mutation Preflight($input: PreviewCampaignInput!) {
    preflightCampaign(input: $input) {
      __typename
      ... on CampaignPreflight {
        id
        from
        audienceCount
        recipientCount
        skippedCount
        skipped { code message recipientCount }
        credits { total minimum maximum }
        cost { lowest expected highest }
        characters { character replacement }
        suggestedBody
        segmentsSaved
        missingVariables { name recipientCount }
        samples { contactId to body encoding segments }
        estimatedSeconds
        endsAt
        balance
        balanceAfter
        exact
        approvalRequired
        warnings { code message }
        refusal { code message }
      }
      ... on Error { code message param }
    }
  }
`);
const Launch = graphql(`
  mutation Launch($id: ID!, $preflight: ID, $maxCredits: Int, $maxDrift: Float) {
    launchCampaign(id: $id, preflight: $preflight, maxCredits: $maxCredits, maxDrift: $maxDrift) {
      __typename
      ... on Campaign { id name status scheduledAt stats { recipients } }
      ... on PaymentRequiredError { required available }
      ... on Error { code message param }
    }
  }
`);

type Numbers = NonNullable<Outcome<PreflightMutation>["done"]>;

/** What the campaign is expected to be, kept by the service under an id; read once, and again when asked. */
function usePreflight(input: PreflightMutationVariables["input"]): Reading<Numbers> {
  const { run, isRunning } = useChange(Preflight);
  const [found, setFound] = useState<Outcome<PreflightMutation> | null>(null);
  const asked = useRef(input);
  const retry = useCallback(() => void run({ input: asked.current }).then(setFound), [run]);
  useEffect(retry, [retry]);
  return { data: found?.done ?? undefined, problem: found?.problem ?? null, isLoading: isRunning, retry };
}

// Shares that a campaign may move by, in percent.
const DRIFTS = ["5", "10", "25"] as const;
const NO_DRIFT = "-";

export function Review({ id, draft, onClose }: { id: string; draft: Draft; onClose: () => void }) {
  const { t } = useLingui();
  const { livemode } = useSession();
  const zone = useZone();
  const textOf = useProblemText();
  const warningText = useWarningText();
  const navigate = useNavigate();
  const { whole } = useNumbers();
  const reading = usePreflight(inputOf(draft, zone));
  const launch = useChange(Launch);
  const [typed, setTyped] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const numbers = reading.data;
  const [most, setMost] = useState("");
  const [drift, setDrift] = useState(NO_DRIFT);
  const isMostWrong = most.trim() !== "" && !/^[0-9]{1,9}$/.test(most.trim());
  useEffect(() => setTyped(""), [numbers?.recipientCount]);
  const isTyped = numbers !== undefined && numbers.recipientCount > TYPED_ABOVE[livemode ? "live" : "sandbox"];
  const canLaunch = numbers !== undefined && numbers.refusal == null && numbers.recipientCount > 0 && !isMostWrong && (!isTyped || typed.replace(/\D/g, "") === String(numbers.recipientCount));
  const { scheduledAt } = inputOf(draft, zone);
  const go = async () => {
    const { done, problem: found } = await launch.run({
      id,
      preflight: numbers?.id ?? null,
      maxCredits: most.trim() === "" ? null : Number(most),
      maxDrift: drift === NO_DRIFT ? null : Number(drift) / 100,
    });
    setProblem(found);
    if (done === null) return;
    toast({ text: done.status === "PAUSED" ? t`“${done.name}” waits for approval.` : done.status === "SCHEDULED" ? t`“${done.name}” is scheduled.` : t`“${done.name}” is on its way.` });
    onClose();
    await navigate({ to: "/campaigns/$id", params: { id } });
  };
  const count = numbers === undefined ? "" : whole(numbers.recipientCount);
  const action = numbers?.approvalRequired === true ? t`Ask for approval` : scheduledAt == null ? (livemode ? t`Launch to ${count} people` : t`Launch in the sandbox`) : t`Schedule`;
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t`Review “${draft.name}”`}
      isWide
      actions={
        <>
          <Button onPress={onClose}>{t`Write on`}</Button>
          <Button look="primary" isDisabled={!canLaunch} isPending={launch.isRunning} onPress={go}>
            {action}
          </Button>
        </>
      }
    >
      <States of={reading}>
        {(found) => (
          <div className="space-y-5">
            {problem !== null && <Callout tone="danger">{textOf(problem)}</Callout>}
            {!livemode && (
              <Callout tone="info">
                <Trans>In the sandbox: no real phone is reached, and nothing is charged.</Trans>
              </Callout>
            )}
            <div className="grid gap-6 sm:grid-cols-2">
              <div>
                <h3 className="text-sm font-medium text-muted">{t`As the first recipient reads it`}</h3>
                <p className="mt-2 rounded-2xl rounded-bl-md bg-brand-soft px-4 py-3 leading-snug break-words whitespace-pre-wrap">{found.samples[0]?.body ?? draft.body}</p>
                <p className="mt-3 text-sm text-muted">
                  {t`From ${found.from}`}
                  {scheduledAt != null && (
                    <>
                      {" · "}
                      <Time at={scheduledAt} style="full" />
                    </>
                  )}
                </p>
              </div>
              <Reach numbers={found} />
            </div>
            {found.approvalRequired && (
              <Callout tone="info">
                <Trans>It needs the approval of a second person: it waits until another owner or admin approves it.</Trans>
              </Callout>
            )}
            {found.warnings.map(({ code, message }) => (
              <Callout key={code + message} tone="warn">
                {warningText({ code, message })}
              </Callout>
            ))}
            {found.cost.lowest !== found.cost.highest && <p className="text-sm text-muted">{t`It likely costs ${whole(found.cost.lowest)} to ${whole(found.cost.highest)} credits.`}</p>}
            <p className="text-sm text-muted">
              <Trans>
                Its last message leaves about <Time at={found.endsAt} style="full" />.
              </Trans>
            </p>
            <fieldset className="space-y-3">
              <legend className="text-sm font-medium">{t`Pause it at its start, instead of sending`}</legend>
              <div className="flex flex-wrap items-start gap-4">
                <Field label={t`if it costs more credits than`} hint={t`Empty: no limit.`} inputMode="numeric" className="w-56" value={most} onChange={setMost} error={isMostWrong ? t`Write a whole number.` : undefined} />
                <Select label={t`if recipients or cost have moved by`} className="w-64" choices={[{ value: NO_DRIFT, label: t`Any share` }, ...DRIFTS.map((each) => ({ value: each as string, label: t`More than ${each} %` }))]} value={drift} onChange={setDrift} />
              </div>
            </fieldset>
            {isTyped && <Field label={t`Type ${count} to confirm how many people get it`} value={typed} onChange={setTyped} inputMode="numeric" autoComplete="off" className="max-w-sm" />}
          </div>
        )}
      </States>
    </Dialog>
  );
}
