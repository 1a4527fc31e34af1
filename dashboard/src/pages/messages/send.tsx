import { Trans, useLingui } from "@lingui/react/macro";
import { useRef, useState } from "react";
import { useChange, useData } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { useSession } from "@/api/session";
import { graphql } from "@/gql";
import { useOnce } from "@/once";
import { unitsOf } from "@/pages/campaigns/draft";
import { instantOf } from "@/pages/campaigns/times";
import { SnippetSelect } from "@/pages/templates/insert";
import { TemplateTools } from "@/pages/templates/tools";
import { useSettled } from "@/settled";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field, Segmented, TextArea } from "@/ui/fields";
import { PhonePreview, SegmentMeter } from "@/ui/phone";
import { Callout, Credits, useZone } from "@/ui/show";
import { useProblemText } from "@/ui/states";
import { toast } from "@/ui/toast";
import { useWarningText } from "@/ui/warnings";

const Preview = graphql(`
  query SingleMessagePreview($input: PreviewMessageInput!) {
    messagePreview(input: $input) {
      from
      body
      encoding
      segments
      credits
      parts
      suggestedBody
      segmentsSaved
      missingVariables
      warnings { code message }
      refusal { code message }
    }
  }
`);
const Send = graphql(`
  mutation SendOneMessage($input: SendMessageInput!, $key: String) {
    sendMessage(input: $input, idempotencyKey: $key) {
      __typename
      ... on Message { id to status }
      ... on Error { code message param }
    }
  }
`);

const MOST = 1600;
const SANDBOX_PHONE = "+14155550123";

export function SendDialog({ to: given, onClose, onSent }: { to: string | undefined; onClose: () => void; onSent: (id: string) => void }) {
  const { t } = useLingui();
  const warningText = useWarningText();
  const { livemode } = useSession();
  const zone = useZone();
  const textOf = useProblemText();
  const once = useOnce();
  const send = useChange(Send);
  const [to, setTo] = useState(given ?? (livemode ? "" : SANDBOX_PHONE));
  const [from, setFrom] = useState("");
  const box = useRef<HTMLDivElement>(null);
  const [body, setBody] = useState("");
  const [when, setWhen] = useState<"now" | "later">("now");
  const [at, setAt] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const scheduledAt = when === "later" ? instantOf(at, zone) : null;
  const input = { to: to.trim(), body, ...(from.trim() === "" ? {} : { from: from.trim() }), ...(scheduledAt === null ? {} : { scheduledAt }) };
  const now = JSON.stringify(input);
  const settled = useSettled(now);
  const hasAll = input.to !== "" && body.trim() !== "";
  const reading = useData(Preview, { input: JSON.parse(settled) as typeof input }, { pause: !hasAll });
  const preview = hasAll ? reading.data?.messagePreview : undefined;
  const errorOf = (name: string) => (problem?.param === name ? textOf(problem) : undefined);
  const isUnplaced = problem !== null && !["to", "body", "from", "scheduledAt", "scheduled_at"].includes(problem.param ?? "");
  const go = async () => {
    const { done, problem: found } = await send.run({ input, key: once.keyOf(input) });
    once.settle(found);
    setProblem(found);
    if (done === null) return;
    toast({ text: when === "later" ? t`The message is scheduled.` : t`The message is on its way.` });
    onSent(done.id);
  };
  return (
    <Dialog
      isOpen
      isWide
      onClose={onClose}
      title={t`Send a message`}
      actions={
        <>
          <Button onPress={onClose}>{t`Not now`}</Button>
          <Button look="primary" isDisabled={!hasAll || (when === "later" && scheduledAt === null) || preview?.refusal != null} isPending={send.isRunning} onPress={go}>
            {when === "later" ? t`Schedule` : t`Send`}
          </Button>
        </>
      }
    >
      <div className="grid gap-6 sm:grid-cols-[minmax(0,1fr)_15rem]">
        <div className="min-w-0 space-y-4">
          {isUnplaced && <Callout tone="danger">{textOf(problem)}</Callout>}
          <Field label={t`To`} hint={t`A phone with its country code.`} value={to} onChange={setTo} error={errorOf("to")} inputMode="tel" autoFocus />
          <div ref={box}>
            <TextArea label={t`Text`} value={body} onChange={setBody} maxLength={MOST} rows={5} error={errorOf("body")} tools={<span className="text-sm text-muted tabular">{`${body.length}/${MOST}`}</span>} />
            <div className="mt-2 flex flex-wrap items-center gap-2">
              <TemplateTools body={body} onChange={setBody} />
              <SnippetSelect box={box} body={body} onChange={setBody} />
            </div>
          </div>
          {preview?.segments != null && <SegmentMeter segments={preview.segments} encoding={preview.encoding ?? "GSM7"} units={unitsOf(preview.parts.join(""), preview.encoding ?? "GSM7")} />}
          {preview?.suggestedBody != null && preview.segmentsSaved > 0 && (
            <Callout tone="warn" action={<Button size="small" icon="wand" onPress={() => setBody(preview.suggestedBody!)}>{t`Use plain characters`}</Button>}>
              <Trans>Some characters make the text go out as Unicode, in which fewer fit into a segment.</Trans>
            </Callout>
          )}
          {preview?.warnings.map(({ code, message }) => (
            <Callout key={code + message} tone="warn">
              {warningText({ code, message })}
            </Callout>
          ))}
          {preview?.refusal != null && <Callout tone="danger">{preview.refusal.message}</Callout>}
          {hasAll && reading.problem !== null && (
            <Callout tone="danger" action={<Button size="small" icon="refresh" onPress={reading.retry}>{t`Try again`}</Button>}>
              {textOf(reading.problem)}
            </Callout>
          )}
          <Field label={t`From`} hint={t`The workspace's sender where this is empty.`} value={from} onChange={setFrom} error={errorOf("from")} />
          <Segmented label={t`When`} choices={[{ value: "now", label: t`Now` }, { value: "later", label: t`Later` }]} value={when} onChange={setWhen} />
          {when === "later" && <Field label={t`Time in ${zone}`} type="datetime-local" value={at} onChange={setAt} error={errorOf("scheduledAt") ?? errorOf("scheduled_at")} />}
          {preview?.credits != null && (
            <p className="text-sm text-muted">
              <Trans>Costs</Trans> <Credits value={preview.credits} />
            </p>
          )}
        </div>
        <div className="hidden sm:block">
          <PhonePreview from={preview?.from ?? from} parts={preview?.parts ?? []} body={preview?.body ?? body} isStale={now !== settled || reading.isLoading} />
        </div>
      </div>
    </Dialog>
  );
}
