// The proof that all people of a file or a service agreed to texts: where, when and to what.
import { useLingui } from "@lingui/react/macro";
import { Field, TextArea } from "./fields";
import { useZone } from "./show";

export interface Evidence {
  source: string;
  at: string;
  text: string;
}

/** Whether there is a time or a wording without the place. */
export const lacksSource = ({ source, at, text }: Evidence) => source.trim() === "" && (at !== "" || text.trim() !== "");

interface Props {
  value: Evidence;
  onChange: (changes: Partial<Evidence>) => void;
  /** What the time is, where it is left empty. */
  timeHint: string;
  errorOf?: (name: keyof Evidence) => string | undefined;
}

export function EvidenceFields({ value, onChange, timeHint, errorOf = () => undefined }: Props) {
  const { t } = useLingui();
  const zone = useZone();
  return (
    <>
      <Field label={t`Where all of them agreed`} hint={t`Such as web_form, checkout or webinar. Kept with each of them as the proof.`} value={value.source} onChange={(source) => onChange({ source })} error={errorOf("source") ?? (lacksSource(value) ? t`Say where they agreed.` : undefined)} />
      <Field label={t`When they agreed (${zone})`} hint={timeHint} type={"datetime-local" as "text"} value={value.at} onChange={(at) => onChange({ at })} error={errorOf("at")} />
      <TextArea label={t`What they agreed to, word for word`} value={value.text} onChange={(text) => onChange({ text })} rows={3} error={errorOf("text")} />
    </>
  );
}
