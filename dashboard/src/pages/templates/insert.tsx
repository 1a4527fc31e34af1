// What is put into a text at its cursor: variables and snippets.
import { useLingui } from "@lingui/react/macro";
import type { RefObject } from "react";
import { useData } from "@/api/hooks";
import { insertAt } from "@/pages/campaigns/draft";
import { Button } from "@/ui/button";
import { Select } from "@/ui/fields";
import { includeOf, SnippetNames } from "./shared";
import { useVariables } from "./variables";

interface Props {
  /** What the field of the text is in. */
  box: RefObject<HTMLElement | null>;
  body: string;
  onChange: (body: string) => void;
}

/** Return what inserts a text at the cursor of a field, which gets the focus again. */
export function useInsert({ box, body, onChange }: Props) {
  return (added: string) => {
    const area = box.current?.querySelector("textarea");
    if (!area) return;
    const { text, cursor } = insertAt(body, area.selectionStart, area.selectionEnd, added);
    onChange(text);
    requestAnimationFrame(() => {
      area.focus();
      area.setSelectionRange(cursor, cursor);
    });
  };
}

export function InsertRow({ hasSnippets, hasMail = true, ...of }: Props & { hasSnippets: boolean; hasMail?: boolean }) {
  const { t } = useLingui();
  const variables = useVariables().filter((each) => hasMail || each !== "{email}");
  const insert = useInsert(of);
  return (
    <div className="flex flex-wrap items-center gap-2">
      <span className="text-sm text-muted">{t`Insert`}</span>
      {variables.map((each) => (
        <Button key={each} size="small" className="font-mono" onPress={() => insert(each)}>
          {each}
        </Button>
      ))}
      {hasSnippets && <SnippetSelect {...of} />}
    </div>
  );
}

/** The workspace's snippets, if there are any, to insert one of. */
export function SnippetSelect(of: Props) {
  const { t } = useLingui();
  const insert = useInsert(of);
  const snippets = useData(SnippetNames, {}).data?.snippets.nodes ?? [];
  if (snippets.length === 0) return null;
  return (
    <Select
      className="w-32"
      label={t`Insert a snippet`}
      hideLabel
      placeholder={t`Snippets`}
      choices={snippets.map(({ name, body }) => ({ value: name, label: name, hint: body.slice(0, 60) }))}
      value={null}
      onChange={(name) => insert(includeOf(name))}
    />
  );
}
