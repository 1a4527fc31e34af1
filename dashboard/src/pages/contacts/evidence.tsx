// The evidence of consent, as people who keep it have it: where, when, in which words.
import { Trans, useLingui } from "@lingui/react/macro";
import { useState } from "react";
import type { OptInInput } from "@/gql/graphql";
import type { Problem } from "@/api/problems";
import { instantOf } from "@/pages/campaigns/times";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field, TextArea } from "@/ui/fields";
import { Callout, useZone } from "@/ui/show";
import { useProblemText } from "@/ui/states";

interface Props {
  isOpen: boolean;
  onClose: () => void;
  title: string;
  action: string;
  /** Whether the person had said STOP, so that only newer evidence counts. */
  isRenewal: boolean;
  isPending: boolean;
  onSave: (optIn: OptInInput) => Promise<Problem | null>;
}

export function EvidenceDialog({ isOpen, onClose, title, action, isRenewal, isPending, onSave }: Props) {
  const { t } = useLingui();
  const zone = useZone();
  const textOf = useProblemText();
  const [source, setSource] = useState("");
  const [text, setText] = useState("");
  const [ip, setIp] = useState("");
  const [at, setAt] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const save = async () => {
    const when = at === "" ? new Date().toISOString() : instantOf(at, zone);
    const optIn: OptInInput = { source: source.trim(), renewed: isRenewal, ...(when === null ? {} : { at: when }) };
    if (text.trim() !== "") optIn.text = text.trim();
    if (ip.trim() !== "") optIn.ip = ip.trim();
    const found = await onSave(optIn);
    setProblem(found);
    if (found === null) onClose();
  };
  return (
    <Dialog
      isOpen={isOpen}
      onClose={onClose}
      title={title}
      actions={
        <>
          <Button onPress={onClose}>{t`Not now`}</Button>
          <Button look="primary" isDisabled={source.trim() === ""} isPending={isPending} onPress={save}>
            {action}
          </Button>
        </>
      }
    >
      <div className="space-y-4">
        {isRenewal && (
          <Callout tone="warn">
            <Trans>This person asked for no more messages. Go on only if they have agreed again since, and keep the proof.</Trans>
          </Callout>
        )}
        <Field label={t`Where they agreed`} hint={t`Such as web_form, checkout or event.`} value={source} onChange={setSource} isRequired autoFocus />
        <TextArea label={t`What they agreed to, word for word`} value={text} onChange={setText} rows={3} />
        <div className="grid gap-4 sm:grid-cols-2">
          <Field label={t`When (${zone})`} hint={t`Now, where it is left empty.`} type="datetime-local" value={at} onChange={setAt} />
          <Field label={t`IP address`} value={ip} onChange={setIp} />
        </div>
        {problem !== null && <Callout tone="danger">{textOf(problem)}</Callout>}
      </div>
    </Dialog>
  );
}
