// The templates to begin a text with, and the form that keeps a text as one.
import { Trans, useLingui } from "@lingui/react/macro";
import { useState, type FormEvent } from "react";
import { useChange, useFeed } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { graphql } from "@/gql";
import { Button, ButtonLink } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field } from "@/ui/fields";
import { SearchField } from "@/ui/searchfield";
import { Callout } from "@/ui/show";
import { EmptyState, FilteredEmpty, Loading, ProblemState, useProblemText } from "@/ui/states";
import { useTell } from "@/ui/tell";
import { readTags } from "./shared";

const TemplateChoices = graphql(`
  query TemplateChoices($q: String, $first: Int, $after: String) {
    messageTemplates(q: $q, archived: false, first: $first, after: $after) {
      nodes { ...TemplateRow }
      pageInfo { hasNextPage endCursor }
      totalCount
    }
  }
`);
const KeepAsTemplate = graphql(`
  mutation KeepAsTemplate($input: CreateMessageTemplateInput!) {
    createMessageTemplate(input: $input) {
      __typename
      ... on MessageTemplate { ...TemplateRow }
      ... on Error { code message param }
    }
  }
`);

export function PickTemplate({ hasText, onPick, onClose }: { hasText: boolean; onPick: (body: string) => void; onClose: () => void }) {
  const { t } = useLingui();
  const [q, setQ] = useState("");
  const feed = useFeed(TemplateChoices, (q === "" ? {} : { q }) as never, ({ messageTemplates }) => messageTemplates);
  const isFirst = q === "" && feed.rows?.length === 0;
  return (
    <Dialog isOpen isWide onClose={onClose} title={t`Use a template`}>
      {!isFirst && <SearchField label={t`Search`} className="mb-3" placeholder={t`Name of the template`} maxLength={200} value={q} onChange={setQ} />}
      {hasText && !isFirst && <p className="mb-2 text-sm text-muted">{t`It takes the place of what you have written.`}</p>}
      {feed.rows === undefined ? (
        feed.problem === null ? (
          <Loading />
        ) : (
          <ProblemState problem={feed.problem} onRetry={feed.retry} />
        )
      ) : isFirst ? (
        <EmptyState icon="template" title={t`Write a good text once`} action={<ButtonLink to="/templates">{t`Templates`}</ButtonLink>}>
          <Trans>Campaigns, single messages, answers and steps of sequences can begin with it. What was sent keeps its text when the template changes.</Trans>
        </EmptyState>
      ) : feed.rows.length === 0 ? (
        <FilteredEmpty onClear={() => setQ("")} />
      ) : (
        <ul aria-label={t`Templates`} className="divide-y divide-line">
          {feed.rows.map(({ id, name, body, tags }) => (
            <li key={id} className="flex flex-wrap items-start gap-3 py-3">
              <div className="min-w-0 flex-1 basis-56">
                <h3 className="font-medium break-words">{name}</h3>
                <p className="line-clamp-4 text-sm break-words whitespace-pre-wrap text-muted">{body}</p>
                {tags.length > 0 && <p className="text-sm text-muted">{tags.map((each) => `#${each}`).join(" ")}</p>}
              </div>
              <Button size="small" aria-label={t`Use ${name}`} onPress={() => onPick(body)}>{t`Use`}</Button>
            </li>
          ))}
        </ul>
      )}
      {feed.hasMore && (
        <div className="mt-4 text-center">
          <Button onPress={feed.loadMore} isPending={feed.isLoading}>{t`Show more`}</Button>
        </div>
      )}
    </Dialog>
  );
}

export function KeepTemplate({ body, onClose }: { body: string; onClose: () => void }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const tell = useTell();
  const create = useChange(KeepAsTemplate);
  const [name, setName] = useState("");
  const [tags, setTags] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const errorOf = (param: string) => (problem?.param?.split("[")[0] === param ? textOf(problem) : undefined);
  const isUnplaced = problem !== null && errorOf("name") === undefined && errorOf("tags") === undefined;
  const save = async (event?: FormEvent) => {
    event?.preventDefault();
    if (name.trim() === "" || create.isRunning) return;
    const { problem: found } = await create.run({ input: { name: name.trim(), body, tags: readTags(tags) } });
    setProblem(found);
    if (found === null && tell(null, t`Kept as a template.`)) onClose();
  };
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t`Save as template`}
      actions={
        <>
          <Button onPress={onClose}>{t`Not now`}</Button>
          <Button look="primary" isDisabled={name.trim() === ""} isPending={create.isRunning} onPress={() => void save()}>{t`Save`}</Button>
        </>
      }
    >
      <form className="space-y-4" onSubmit={(event) => void save(event)}>
        {isUnplaced && <Callout tone="danger">{textOf(problem)}</Callout>}
        <Field label={t`Name`} value={name} onChange={setName} maxLength={200} error={errorOf("name")} autoFocus />
        <Field label={t`Tags`} hint={t`To find it by; several by a comma.`} value={tags} onChange={setTags} error={errorOf("tags")} />
        <p className="rounded-xl bg-sunken px-4 py-3 text-sm break-words whitespace-pre-wrap">{body}</p>
      </form>
    </Dialog>
  );
}
