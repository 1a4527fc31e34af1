import { Trans, useLingui } from "@lingui/react/macro";
import { lazy, Suspense, useRef, useState } from "react";
import { newKey, useData } from "@/api/hooks";
import { graphql } from "@/gql";
import { unitsOf } from "@/pages/campaigns/draft";
import { SnippetSelect } from "@/pages/templates/insert";
import { TemplateTools } from "@/pages/templates/tools";
import { useSettled } from "@/settled";
import { Button } from "@/ui/button";
import { Select, TextArea } from "@/ui/fields";
import { SegmentMeter } from "@/ui/phone";
import { Callout } from "@/ui/show";

const AnswerPreview = graphql(`
  query AnswerPreview($input: PreviewMessageInput!) {
    messagePreview(input: $input) { body encoding segments credits parts warnings { code message } refusal { code message } }
  }
`);
export const CannedRow = graphql(`
  fragment CannedRow on CannedAnswer { id name body updatedAt version }
`);
export const CannedList = graphql(`
  query CannedList { cannedAnswers(first: 100) { nodes { ...CannedRow } } }
`);
const Canned = lazy(() => import("./canned").then(({ CannedDialog }) => ({ default: CannedDialog })));

const MOST = 1600;

interface Props {
  to: string;
  variables: Record<string, string>;
  onSend: (body: string, key: string) => void;
}

export function AnswerBox({ to, variables, onSend }: Props) {
  const { t } = useLingui();
  const box = useRef<HTMLDivElement>(null);
  const [body, setBody] = useState("");
  const [isManaging, setManaging] = useState(false);
  const { data } = useData(CannedList, {});
  const settled = useSettled(body);
  const hasText = body.trim() !== "";
  const { data: read } = useData(AnswerPreview, { input: { to, body: settled, variables: variables as never } }, { pause: settled.trim() === "" });
  const preview = hasText ? read?.messagePreview : undefined;
  const canned = data?.cannedAnswers.nodes ?? [];
  const send = () => {
    if (!hasText) return;
    onSend(body, newKey());
    setBody("");
  };
  return (
    <div id="answer" ref={box} className="border-t border-line p-3">
      <TextArea
        label={t`Answer`}
        value={body}
        onChange={setBody}
        maxLength={MOST}
        rows={2}
        placeholder={t`Write an answer`}
        tools={<span className="text-sm text-muted tabular">{`${body.length}/${MOST}`}</span>}
        onKeyDown={(event) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
            event.preventDefault();
            send();
          } else if (event.key === "Escape") (document.activeElement as HTMLElement | null)?.blur();
        }}
      />
      {preview?.segments != null && (
        <div className="mt-2">
          <SegmentMeter segments={preview.segments} encoding={preview.encoding ?? "GSM7"} units={unitsOf(preview.parts.join(""), preview.encoding ?? "GSM7")} />
        </div>
      )}
      {preview?.refusal != null && (
        <div className="mt-2">
          <Callout tone="warn">{preview.refusal.message}</Callout>
        </div>
      )}
      <div className="mt-2 flex flex-wrap items-center gap-2">
        <TemplateTools body={body} onChange={setBody} />
        <SnippetSelect box={box} body={body} onChange={setBody} />
      </div>
      <div className="mt-2 flex flex-wrap items-center gap-2">
        {canned.length > 0 && (
          <Select
            className="w-full min-w-0 sm:w-48"
            label={t`Insert a canned answer`}
            hideLabel
            placeholder={t`Canned answers`}
            choices={canned.map((each) => ({ value: each.id, label: each.name, hint: each.body.slice(0, 60) }))}
            value={null}
            onChange={(id) => {
              const text = canned.find((each) => each.id === id)?.body ?? "";
              setBody((before) => (before.trim() === "" ? text : `${before.trimEnd()} ${text}`));
            }}
          />
        )}
        <Button size="small" look="quiet" onPress={() => setManaging(true)}>
          {canned.length > 0 ? t`Edit canned answers` : t`Make a canned answer`}
        </Button>
        <span className="ml-auto hidden text-xs text-muted sm:block">
          <Trans>Ctrl + Enter sends</Trans>
        </span>
        <Button look="primary" isDisabled={!hasText} onPress={send} className="max-sm:ml-auto">
          {t`Send answer`}
        </Button>
      </div>
      {isManaging && (
        <Suspense>
          <Canned onClose={() => setManaging(false)} />
        </Suspense>
      )}
    </div>
  );
}
