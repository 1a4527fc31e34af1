import { Trans, useLingui } from "@lingui/react/macro";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { useChange, useData } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { useSession } from "@/api/session";
import { graphql } from "@/gql";
import { Button } from "@/ui/button";
import { TYPED_ABOVE } from "@/ui/confirm";
import { Dialog } from "@/ui/dialog";
import { Field } from "@/ui/fields";
import { Callout, Time, useNumbers, useZone } from "@/ui/show";
import { States, useProblemText } from "@/ui/states";
import { toast } from "@/ui/toast";
import { inputOf, type Draft } from "./draft";
import { Reach } from "./preview";

const ReviewPreview = graphql(`
  query ReviewPreview($input: PreviewCampaignInput!) {
    campaignPreview(input: $input) {
      from
      audienceCount
      recipientCount
      skippedCount
      skipped { code message recipientCount }
      credits { total minimum maximum }
      characters { character replacement }
      suggestedBody
      segmentsSaved
      missingVariables { name recipientCount }
      samples { contactId to body encoding segments }
      estimatedSeconds
      balance
      balanceAfter
      exact
      warnings { code message }
      refusal { code message }
    }
  }
`);
const Launch = graphql(`
  mutation Launch($id: ID!) {
    launchCampaign(id: $id) {
      __typename
      ... on Campaign { id name status scheduledAt stats { recipients } }
      ... on PaymentRequiredError { required available }
      ... on Error { code message param }
    }
  }
`);

export function Review({ id, draft, onClose }: { id: string; draft: Draft; onClose: () => void }) {
  const { t } = useLingui();
  const { livemode } = useSession();
  const zone = useZone();
  const textOf = useProblemText();
  const navigate = useNavigate();
  const { whole } = useNumbers();
  const reading = useData(ReviewPreview, { input: inputOf(draft, zone) });
  const launch = useChange(Launch);
  const [typed, setTyped] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const numbers = reading.data?.campaignPreview;
  useEffect(() => setTyped(""), [numbers?.recipientCount]);
  const isTyped = numbers !== undefined && numbers.recipientCount > TYPED_ABOVE[livemode ? "live" : "sandbox"];
  const canLaunch = numbers !== undefined && numbers.refusal == null && numbers.recipientCount > 0 && (!isTyped || typed.replace(/\D/g, "") === String(numbers.recipientCount));
  const { scheduledAt } = inputOf(draft, zone);
  const go = async () => {
    const { done, problem: found } = await launch.run({ id });
    setProblem(found);
    if (done === null) return;
    toast({ text: done.status === "SCHEDULED" ? t`“${done.name}” is scheduled.` : t`“${done.name}” is on its way.` });
    onClose();
    await navigate({ to: "/campaigns/$id", params: { id } });
  };
  const count = numbers === undefined ? "" : whole(numbers.recipientCount);
  const action = scheduledAt == null ? (livemode ? t`Launch to ${count} people` : t`Launch in the sandbox`) : t`Schedule`;
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
        {({ campaignPreview }) => (
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
                <p className="mt-2 rounded-2xl rounded-bl-md bg-brand-soft px-4 py-3 leading-snug break-words whitespace-pre-wrap">{campaignPreview.samples[0]?.body ?? draft.body}</p>
                <p className="mt-3 text-sm text-muted">
                  {t`From ${campaignPreview.from}`}
                  {scheduledAt != null && (
                    <>
                      {" · "}
                      <Time at={scheduledAt} style="full" />
                    </>
                  )}
                </p>
              </div>
              <Reach numbers={campaignPreview} />
            </div>
            {campaignPreview.warnings.map(({ code, message }) => (
              <Callout key={code + message} tone="warn">
                {message}
              </Callout>
            ))}
            {isTyped && <Field label={t`Type ${count} to confirm how many people get it`} value={typed} onChange={setTyped} inputMode="numeric" autoComplete="off" className="max-w-sm" />}
          </div>
        )}
      </States>
    </Dialog>
  );
}
