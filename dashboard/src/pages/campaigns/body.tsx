import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { useRef } from "react";
import { InsertRow } from "@/pages/templates/insert";
import { MOST } from "@/pages/templates/shared";
import { TemplateTools } from "@/pages/templates/tools";
import { useFirstName } from "@/pages/templates/variables";
import { Button } from "@/ui/button";
import { TextArea } from "@/ui/fields";
import { Icon } from "@/ui/icons";
import { Callout, Card } from "@/ui/show";
import { useWarningText } from "@/ui/warnings";
import type { Draft } from "./draft";
import type { Preview } from "./preview";

interface Props {
  draft: Draft;
  onChange: (changes: Partial<Draft>) => void;
  preview: Preview;
}

export function BodyCard({ draft, onChange, preview }: Props) {
  const { t } = useLingui();
  const warningText = useWarningText();
  const field = useRef<HTMLDivElement>(null);
  const put = (body: string) => onChange({ body });
  const used = draft.body.length;
  const name = useFirstName();
  const example = t`Hi ${name}, doors open at 8pm. Reply STOP to opt out.`;
  return (
    <Card title={t`Text`}>
      <div ref={field}>
        <TextArea
          label={t`What people read`}
          value={draft.body}
          onChange={put}
          maxLength={MOST}
          rows={6}
          placeholder={example}
          tools={<span className="text-sm text-muted tabular">{`${used}/${MOST}`}</span>}
        />
      </div>
      <div className="mt-3 space-y-3">
        <InsertRow box={field} body={draft.body} onChange={put} hasSnippets />
        <TemplateTools body={draft.body} onChange={put} />
      </div>
      <div className="mt-4 space-y-3">
        <Forcing draft={draft} onChange={onChange} preview={preview} />
        {preview.missing.map(({ name, recipientCount }) => {
          const fallback = `{${name}|there}`;
          return (
            <Callout key={name} tone="warn">
              <Plural value={recipientCount} one={`# recipient has no ${name}.`} other={`# recipients have no ${name}.`} /> <Trans>Give the variable a fallback, as in {fallback}.</Trans>
            </Callout>
          );
        })}
        {preview.warnings.filter(({ code }) => code !== FORCED || preview.characters.length === 0).map(({ code, message }) => (
          <Callout key={code + message} tone="warn">
            {warningText({ code, message })}
          </Callout>
        ))}
      </div>
    </Card>
  );
}

// What `Forcing` says already, with the characters and what mends it.
const FORCED = "ucs2_single_character";

/** Characters that make the text dearer, each with its plain stand-in. */
function Forcing({ draft, onChange, preview }: Props) {
  const { t } = useLingui();
  const { characters, suggestedBody, segmentsSaved } = preview;
  if (characters.length === 0) return null;
  const visible = (character: string) => (/^\s$|\p{Cf}/u.test(character) ? `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}` : character);
  return (
    <Callout
      tone={segmentsSaved > 0 ? "warn" : "info"}
      action={
        suggestedBody !== null && (
          <Button size="small" icon="wand" onPress={() => onChange({ body: suggestedBody })}>
            {t`Use plain characters`}
          </Button>
        )
      }
    >
      <p>
        <Plural value={characters.length} one="This character makes the text go out as Unicode, in which fewer fit into a segment:" other="These # characters make the text go out as Unicode, in which fewer fit into a segment:" />
      </p>
      <ul className="mt-2 flex flex-wrap gap-1.5">
        {characters.map(({ character, replacement }) => (
          <li key={character}>
            {replacement == null ? (
              <span className="inline-flex items-center rounded-md border border-current px-2 py-0.5 font-mono" title={t`There is no plain stand-in.`}>
                {visible(character)}
              </span>
            ) : (
              <Button size="small" className="font-mono" aria-label={t`Replace ${visible(character)} by ${replacement}`} onPress={() => onChange({ body: draft.body.replaceAll(character, replacement) })}>
                {visible(character)} <Icon name="right" className="size-3.5" /> {replacement === "" ? "∅" : replacement}
              </Button>
            )}
          </li>
        ))}
      </ul>
      {segmentsSaved > 0 && (
        <p className="mt-2">
          <Plural value={segmentsSaved} one="Plain characters save # segment." other="Plain characters save # segments over all recipients." />
        </p>
      )}
    </Callout>
  );
}
