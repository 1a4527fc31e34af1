// Tags: shown on contacts, chosen from those there are, added to a contact and removed.
import { useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useChange, useData } from "@/api/hooks";
import { graphql } from "@/gql";
import { Button } from "@/ui/button";
import { Field, Select } from "@/ui/fields";
import { Badge, Card, useNumbers } from "@/ui/show";
import { tagOf } from "./selection";
import { SearchField, useMayWrite, useTell } from "./shared";

export const TagChoices = graphql(`
  query TagChoices($q: String) {
    tags(q: $q, first: 100) { nodes { id name contactCount } totalCount }
  }
`);
const Change = graphql(`
  mutation PageTagContact($id: ID!, $input: ChangeTagsInput!) {
    tagContact(id: $id, input: $input) {
      __typename
      ... on Contact { id tags updatedAt version }
      ... on Error { code message param }
    }
  }
`);

const NOTHING = { nodes: [], totalCount: 0 };
const MOST_PROPOSED = 8;

/** The newest 100 tags that begin with a text, and how many there are. */
function useTags(q: string) {
  const { data } = useData(TagChoices, q === "" ? {} : { q });
  return data?.tags ?? NOTHING;
}

/** A few tags in a row of a table; the rest are a number. */
export function TagRow({ tags, most = 3 }: { tags: readonly string[]; most?: number }) {
  const more = tags.length - most;
  return (
    <span className="flex max-w-64 flex-wrap gap-1">
      {tags.slice(0, most).map((tag) => (
        <Link key={tag} to="/contacts" search={{ tag }} className="no-underline hover:underline">
          <Badge>
            <span className="max-w-32 truncate">{tag}</span>
          </Badge>
        </Link>
      ))}
      {more > 0 && <Badge>+{more}</Badge>}
    </span>
  );
}

// No tag has a comma.
const ANY = ",";

/** The tag that contacts must have; any if none is chosen. */
export function TagFilter(choosing: Pick<Parameters<typeof TagChoice>[0], "value" | "onChange">) {
  const { t } = useLingui();
  return <TagChoice label={t`Tag`} none={t`Any tag`} {...choosing} />;
}

/** A tag to choose, with how many contacts have each. */
export function TagChoice({ label, none, className = "", value, onChange }: { label: string; none: string; className?: string; value: string | undefined; onChange: (tag: string | undefined) => void }) {
  const { t } = useLingui();
  const { whole } = useNumbers();
  const [q, setQ] = useState("");
  const { totalCount } = useTags("");
  const { nodes } = useTags(q);
  const choices = [
    { value: ANY, label: none },
    ...nodes.map(({ name, contactCount }) => ({ value: name, label: `${name} (${whole(contactCount)})` })),
    ...(value !== undefined && !nodes.some(({ name }) => name === value) ? [{ value, label: value }] : []),
  ];
  return (
    <>
      <Select label={label} className={className} choices={choices} value={value ?? ANY} onChange={(next) => onChange(next === ANY ? undefined : next)} />
      {totalCount > 100 && <SearchField label={t`Tags that begin with`} value={q} onChange={setQ} />}
    </>
  );
}

/** A field for a tag, with those there are that begin with what is typed. */
function TagField({ label, value, onChange, onPick, without }: { label: string; value: string; onChange: (text: string) => void; onPick: (tag: string) => void; without: readonly string[] }) {
  const { t } = useLingui();
  const { whole } = useNumbers();
  const typed = tagOf(value);
  const isWrong = value.trim() !== "" && typed === null;
  const proposed = useTags(typed ?? "").nodes.filter(({ name }) => !without.includes(name)).slice(0, MOST_PROPOSED);
  return (
    <div className="space-y-2">
      <form
        className="flex items-end gap-2"
        onSubmit={(event) => {
          event.preventDefault();
          if (typed !== null) onPick(typed);
        }}
      >
        <Field label={label} className="min-w-0 flex-1" value={value} onChange={onChange} autoComplete="off" error={isWrong ? t`A tag has at most 40 letters, and no comma.` : undefined} />
        <Button type="submit" isDisabled={typed === null} className={isWrong ? "mb-6" : ""}>{t`Add tag`}</Button>
      </form>
      {proposed.length > 0 && (
        <div role="group" aria-label={t`Add one of these tags`} className="flex flex-wrap gap-1.5">
          {proposed.map(({ id, name, contactCount }) => (
            <Button key={id} size="small" icon="plus" className="max-w-full" onPress={() => onPick(name)}>
              <span className="truncate">{name}</span> <span className="text-muted tabular">{whole(contactCount)}</span>
            </Button>
          ))}
        </div>
      )}
    </div>
  );
}

/** Tags with a button each that takes it away. */
function Chips({ tags, onRemove }: { tags: readonly string[]; onRemove: ((tag: string) => void) | undefined }) {
  const { t } = useLingui();
  return (
    <ul aria-label={t`Tags`} className="flex flex-wrap gap-2">
      {tags.map((tag) => (
        <li key={tag} className="flex max-w-full items-center rounded-full bg-sunken pl-3 text-sm">
          <span className={`truncate py-1 ${onRemove === undefined ? "pr-3" : ""}`}>{tag}</span>
          {onRemove !== undefined && <Button look="quiet" size="small" icon="close" className="rounded-full" aria-label={t`Remove the tag “${tag}”`} onPress={() => onRemove(tag)} />}
        </li>
      ))}
    </ul>
  );
}

/** Several tags to choose. */
export function TagsField({ label, tags, onChange }: { label: string; tags: readonly string[]; onChange: (tags: string[]) => void }) {
  const [text, setText] = useState("");
  const add = (tag: string) => {
    setText("");
    onChange([...new Set([...tags, tag])]);
  };
  return (
    <div className="space-y-3">
      {tags.length > 0 && <Chips tags={tags} onRemove={(tag) => onChange(tags.filter((each) => each !== tag))} />}
      <TagField label={label} value={text} onChange={setText} onPick={add} without={tags} />
    </div>
  );
}

/** The tags of a contact, on its page. */
export function Tags({ contact: { id, tags } }: { contact: { id: string; tags: readonly string[] } }) {
  const { t } = useLingui();
  const tell = useTell();
  const mayWrite = useMayWrite();
  const change = useChange(Change);
  const [text, setText] = useState("");
  const add = async (tag: string) => {
    if (tell((await change.run({ id, input: { add: [tag], remove: [] } })).problem, t`The tag is added.`)) setText("");
  };
  const remove = async (tag: string) => void tell((await change.run({ id, input: { add: [], remove: [tag] } })).problem, t`The tag is removed.`);
  return (
    <Card title={t`Tags`}>
      <div className="space-y-4">
        {tags.length === 0 ? <p className="text-muted">{t`No tags yet.`}</p> : <Chips tags={tags} onRemove={mayWrite ? (tag) => void remove(tag) : undefined} />}
        {mayWrite && <TagField label={t`New tag`} value={text} onChange={setText} onPick={(tag) => void add(tag)} without={tags} />}
      </div>
    </Card>
  );
}
