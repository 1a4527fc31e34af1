import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { useState } from "react";
import { useData } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { graphql } from "@/gql";
import type { CampaignPreviewQuery, MessagePreviewQuery } from "@/gql/graphql";
import { useSettled } from "@/settled";
import { Button } from "@/ui/button";
import { numbersOf } from "@/ui/formats";
import { AnswerAs } from "@/ui/handset";
import { PhonePreview, SegmentMeter } from "@/ui/phone";
import { Callout, Card, Count, Credits, Facts } from "@/ui/show";
import { Skeleton, useProblemText } from "@/ui/states";
import { useConversation } from "./conversation";
import { hasAudience, inputOf, unitsOf, type Draft } from "./draft";
import { useZone } from "@/ui/show";

const CampaignPreview = graphql(`
  query CampaignPreview($input: PreviewCampaignInput!) {
    campaignPreview(input: $input) {
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
const MessagePreview = graphql(`
  query MessagePreview($input: PreviewMessageInput!) {
    messagePreview(input: $input) {
      from
      body
      encoding
      segments
      parts
      characters { character replacement }
      suggestedBody
      segmentsSaved
      warnings { code message }
      refusal { code message }
    }
  }
`);

// Anybody's number in the sandbox, for a text that has no audience yet.
const STAND_IN = "+14155550123";

export type CampaignNumbers = Omit<CampaignPreviewQuery["campaignPreview"], "__typename">;

export interface Preview {
  campaign: CampaignNumbers | null;
  message: MessagePreviewQuery["messagePreview"] | null;
  characters: readonly { character: string; replacement?: string | null }[];
  suggestedBody: string | null;
  segmentsSaved: number;
  missing: readonly { name: string; recipientCount: number }[];
  warnings: readonly { code: string; message: string }[];
  problem: Problem | null;
  isStale: boolean;
  sample: number;
  showSample: (sample: number) => void;
  retry: () => void;
}

/** The last answer there was, while the next is on its way. */
function useLast<Value>(value: Value | null | undefined, isDropped: boolean): Value | null {
  const [last, setLast] = useState<Value | null>(null);
  if (isDropped && last !== null) setLast(null);
  else if (value != null && value !== last) setLast(value);
  return isDropped ? null : (value ?? last);
}

/** Ask what the draft would be: who gets it and what it costs, and how one of its messages looks on the air. */
export function usePreview(draft: Draft): Preview {
  const zone = useZone();
  const [sample, showSample] = useState(0);
  const input = useSettled(JSON.stringify(inputOf(draft, zone)));
  const now = JSON.parse(input) as ReturnType<typeof inputOf>;
  const text = now.body ?? "";
  const hasText = text.trim() !== "";
  const isForMany = hasText && ((now.audience.listIds?.length ?? 0) > 0 || now.audience.segmentId != null);
  const many = useData(CampaignPreview, { input: now }, { pause: !isForMany });
  const campaign = useLast(many.data?.campaignPreview, !isForMany);
  const chosen = campaign?.samples[Math.min(sample, campaign.samples.length - 1)];
  const one = useData(
    MessagePreview,
    { input: { to: chosen?.to ?? STAND_IN, body: chosen?.body ?? text, from: now.from ?? null, ...(chosen === undefined ? { variables: { firstName: "Ana", lastName: "Silva", email: "ana@cohortlabs.example" }, shortenLinks: now.shortenLinks ?? null } : {}) } },
    { pause: !hasText },
  );
  const message = useLast(one.data?.messagePreview, !hasText);
  const about = campaign ?? message;
  return {
    campaign,
    message,
    // Of several variants, these are about the longest, which need not be the text of the campaign.
    characters: now.abTest == null ? (about?.characters ?? []) : [],
    suggestedBody: now.abTest == null ? (about?.suggestedBody ?? null) : null,
    segmentsSaved: now.abTest == null ? (about?.segmentsSaved ?? 0) : 0,
    missing: campaign?.missingVariables ?? [],
    warnings: (campaign ?? message)?.warnings ?? [],
    problem: many.problem ?? one.problem,
    isStale: many.isLoading || one.isLoading || input !== JSON.stringify(inputOf(draft, zone)),
    sample: Math.min(sample, Math.max(0, (campaign?.samples.length ?? 1) - 1)),
    showSample,
    retry: () => {
      many.retry();
      one.retry();
    },
  };
}

export function PreviewColumn({ draft, preview, defaultSender }: { draft: Draft; preview: Preview; defaultSender: string }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const { campaign, message, problem, isStale, sample, showSample } = preview;
  const samples = campaign?.samples ?? [];
  const shown = samples[sample];
  const parts = draft.body.trim() === "" ? [] : (message?.parts ?? []);
  const body = draft.body.trim() === "" ? "" : (message?.body ?? shown?.body ?? draft.body);
  const place = sample + 1;
  const phone = shown?.to ?? STAND_IN;
  const earlier = useConversation(phone);
  return (
    <aside aria-label={t`Preview`} className="space-y-4 lg:sticky lg:top-20">
      <PhonePreview from={message?.from ?? defaultSender} parts={parts} body={body} isStale={isStale} earlier={earlier} foot={<AnswerAs phone={phone} />} />
      {samples.length > 1 && (
        <div className="flex items-center justify-center gap-2 text-sm text-muted">
          <Button size="icon" look="quiet" icon="left" aria-label={t`Recipient before`} isDisabled={sample === 0} onPress={() => showSample(sample - 1)} />
          <span className="tabular">{t`${place} of ${samples.length} samples`}</span>
          <Button size="icon" look="quiet" icon="right" aria-label={t`Next recipient`} isDisabled={sample >= samples.length - 1} onPress={() => showSample(sample + 1)} />
        </div>
      )}
      {message !== null && message.segments != null && <SegmentMeter segments={message.segments} encoding={message.encoding ?? "GSM7"} units={unitsOf(parts.join(""), message.encoding ?? "GSM7")} />}
      {problem !== null && (
        <Callout tone="danger" action={<Button size="small" icon="refresh" onPress={preview.retry}>{t`Try again`}</Button>}>
          {textOf(problem)}
        </Callout>
      )}
      <Card title={t`Cost and reach`}>
        {!hasAudience(draft) ? (
          <p className="text-muted">
            <Trans>Choose an audience to see who gets it and what it costs.</Trans>
          </p>
        ) : campaign === null ? (
          draft.body.trim() === "" ? (
            <p className="text-muted">
              <Trans>Write a text to see what it costs.</Trans>
            </p>
          ) : (
            <Skeleton className="h-32 w-full" />
          )
        ) : (
          <Reach numbers={campaign} />
        )}
      </Card>
    </aside>
  );
}

export function useDuration() {
  const { i18n } = useLingui();
  return (seconds: number): string => {
    const [value, unit] = seconds < 90 ? [seconds, "second"] : seconds < 5400 ? [seconds / 60, "minute"] : seconds < 172_800 ? [seconds / 3600, "hour"] : [seconds / 86_400, "day"];
    return numbersOf(i18n.locale, { style: "unit", unit, unitDisplay: "long", maximumFractionDigits: value < 10 && unit !== "second" ? 1 : 0 }).format(Math.max(1, value));
  };
}

export function Reach({ numbers }: { numbers: CampaignNumbers }) {
  const { t } = useLingui();
  const duration = useDuration();
  const { credits, skipped, exact } = numbers;
  return (
    <div className="space-y-3">
      <Facts
        items={[
          [t`Recipients`, <Count key="r" value={numbers.recipientCount} />],
          [t`Credits`, <Credits key="c" value={credits.total} />],
          credits.minimum !== credits.maximum && [t`Each`, <span key="e">{t`${credits.minimum} to ${credits.maximum}`}</span>],
          [t`Balance after`, <Count key="b" value={numbers.balanceAfter} />],
          [t`Takes about`, duration(numbers.estimatedSeconds)],
        ]}
      />
      {!exact && <p className="text-sm text-muted">{t`Estimated from a sample of the recipients.`}</p>}
      {numbers.skippedCount > 0 && (
        <div>
          <h3 className="text-sm font-medium">
            <Plural value={numbers.skippedCount} one="# is skipped" other="# are skipped" />
          </h3>
          <ul className="mt-1 space-y-1 text-sm text-muted">
            {skipped.map(({ code, message, recipientCount }) => (
              <li key={code} className="flex justify-between gap-3">
                <span>{message}</span>
                <Count value={recipientCount} />
              </li>
            ))}
          </ul>
        </div>
      )}
      {numbers.refusal != null && <Callout tone="danger">{numbers.refusal.message}</Callout>}
    </div>
  );
}
