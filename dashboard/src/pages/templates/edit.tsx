// One template or snippet: written, seen as it arrives, put away or deleted.
import { Trans, useLingui } from "@lingui/react/macro";
import { useRef, useState, type FormEvent, type ReactNode, type RefObject } from "react";
import { useChange, useData, useReadNow } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { graphql } from "@/gql";
import type { SnippetRowFragment, TemplateRowFragment } from "@/gql/graphql";
import { useMayWrite } from "@/pages/contacts/shared";
import { Button } from "@/ui/button";
import { Conflict, useVersioned } from "@/ui/conflict";
import { Confirm, Dialog } from "@/ui/dialog";
import { Field, TextArea } from "@/ui/fields";
import { Callout } from "@/ui/show";
import { EmptyState, States, useProblemText } from "@/ui/states";
import { useTell } from "@/ui/tell";
import { InsertRow } from "./insert";
import { TextPreview } from "./preview";
import { includeOf, MOST, readTags, snippetNameOf } from "./shared";

const OneTemplate = graphql(`
  query OneTemplate($id: ID!) { messageTemplate(id: $id) { ...TemplateRow } }
`);
const CreateTemplate = graphql(`
  mutation TemplateCreate($input: CreateMessageTemplateInput!) {
    createMessageTemplate(input: $input) {
      __typename
      ... on MessageTemplate { ...TemplateRow }
      ... on Error { code message param }
    }
  }
`);
const UpdateTemplate = graphql(`
  mutation TemplateUpdate($id: ID!, $input: UpdateMessageTemplateInput!) {
    updateMessageTemplate(id: $id, input: $input) {
      __typename
      ... on MessageTemplate { ...TemplateRow }
      ... on Error { code message param }
    }
  }
`);
const DeleteTemplate = graphql(`
  mutation TemplateDelete($id: ID!) {
    deleteMessageTemplate(id: $id) {
      __typename
      ... on Deleted { deletedId }
      ... on Error { code message }
    }
  }
`);
const OneSnippet = graphql(`
  query OneSnippet($id: ID!) { snippet(id: $id) { ...SnippetRow } }
`);
const CreateSnippet = graphql(`
  mutation SnippetCreate($input: CreateSnippetInput!) {
    createSnippet(input: $input) {
      __typename
      ... on Snippet { ...SnippetRow }
      ... on Error { code message param }
    }
  }
`);
const UpdateSnippet = graphql(`
  mutation SnippetUpdate($id: ID!, $input: UpdateSnippetInput!) {
    updateSnippet(id: $id, input: $input) {
      __typename
      ... on Snippet { ...SnippetRow }
      ... on Error { code message param }
    }
  }
`);
const DeleteSnippet = graphql(`
  mutation SnippetDelete($id: ID!) {
    deleteSnippet(id: $id) {
      __typename
      ... on Deleted { deletedId }
      ... on Error { code message }
    }
  }
`);

interface Props {
  /** Null for a new one. */
  id: string | null;
  onClose: () => void;
}

export function EditTemplate({ id, onClose }: Props) {
  const { t } = useLingui();
  const reading = useData(OneTemplate, { id: id ?? "" }, { pause: id === null });
  if (id === null) return <TemplateForm of={null} onClose={onClose} />;
  const found = reading.data?.messageTemplate;
  if (found != null) return <TemplateForm of={found} onClose={onClose} />;
  return (
    <Dialog isOpen isWide onClose={onClose} title={t`Template`}>
      <States of={reading}>{() => <EmptyState icon="search" title={t`There is no such template`} />}</States>
    </Dialog>
  );
}

export function EditSnippet({ id, onClose }: Props) {
  const { t } = useLingui();
  const reading = useData(OneSnippet, { id: id ?? "" }, { pause: id === null });
  if (id === null) return <SnippetForm of={null} onClose={onClose} />;
  const found = reading.data?.snippet;
  if (found != null) return <SnippetForm of={found} onClose={onClose} />;
  return (
    <Dialog isOpen isWide onClose={onClose} title={t`Snippet`}>
      <States of={reading}>{() => <EmptyState icon="search" title={t`There is no such snippet`} />}</States>
    </Dialog>
  );
}

function TemplateForm({ of, onClose }: { of: TemplateRowFragment | null; onClose: () => void }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const tell = useTell();
  const mayWrite = useMayWrite();
  const readNow = useReadNow();
  const create = useChange(CreateTemplate);
  const update = useChange(UpdateTemplate);
  const remove = useChange(DeleteTemplate);
  const [name, setName] = useState(of?.name ?? "");
  const [body, setBody] = useState(of?.body ?? "");
  const [tags, setTags] = useState(of?.tags.join(", ") ?? "");
  const [problem, setProblem] = useState<Problem | null>(null);
  const [isAsked, setAsked] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const { base, theirs, isConflict, settle } = useVersioned(of, async () => (of === null ? null : ((await readNow(OneTemplate, { id: of.id }))?.messageTemplate ?? null)));
  const errorOf = (param: string) => (problem?.param?.split("[")[0] === param ? textOf(problem) : undefined);
  const put = async (changes: object, version: string | undefined, text: string) => {
    const { done, problem: found } = of === null || version === undefined ? await create.run({ input: changes as never }) : await update.run({ id: of.id, input: { ...changes, version } });
    const isTheirs = await isConflict(found);
    setProblem(isTheirs ? null : found);
    if (done !== null && tell(null, text)) onClose();
  };
  const save = (version = base?.version) => put({ name: name.trim(), body, tags: readTags(tags) }, version, t`Saved.`);
  const canSave = name.trim() !== "" && body.trim() !== "";
  const isAway = of?.archivedAt != null;
  return (
    <Form
      title={of === null ? t`New template` : of.name}
      onClose={onClose}
      onSave={() => void save()}
      canSave={canSave}
      isPending={create.isRunning || update.isRunning}
      mayWrite={mayWrite}
      tools={
        of !== null && (
          <>
            <Button onPress={() => void put({ archived: !isAway }, base?.version, isAway ? t`Back among the templates.` : t`Archived.`)}>{isAway ? t`Take out of the archive` : t`Archive`}</Button>
            <Button look="danger" onPress={() => setAsked(true)}>{t`Delete`}</Button>
          </>
        )
      }
      body={body}
    >
      {problem !== null && !["name", "body", "tags"].includes(problem.param?.split("[")[0] ?? "") && <Callout tone="danger">{textOf(problem)}</Callout>}
      {theirs !== null && (
        <Conflict
          differences={[
            { label: t`Name`, mine: name, theirs: theirs.name },
            { label: t`Text`, mine: body, theirs: theirs.body },
            { label: t`Tags`, mine: tags, theirs: theirs.tags.join(", ") },
          ].filter(({ mine, theirs: other }) => mine !== other)}
          isPending={update.isRunning}
          onMine={() => void save(theirs.version)}
          onTheirs={() => {
            setName(theirs.name);
            setBody(theirs.body);
            setTags(theirs.tags.join(", "));
            settle(theirs);
          }}
        />
      )}
      <Field label={t`Name`} value={name} onChange={setName} maxLength={200} isReadOnly={!mayWrite} error={errorOf("name")} autoFocus={of === null} />
      <BodyField box={box} body={body} onChange={setBody} isReadOnly={!mayWrite} error={errorOf("body")} hasSnippets />
      <Field label={t`Tags`} hint={t`To find it by; several by a comma.`} value={tags} onChange={setTags} isReadOnly={!mayWrite} error={errorOf("tags")} />
      <Confirm
        isOpen={isAsked}
        onClose={() => setAsked(false)}
        title={t`Delete “${of?.name ?? ""}”?`}
        action={t`Delete`}
        isPending={remove.isRunning}
        onConfirm={async () => {
          if (of !== null && tell((await remove.run({ id: of.id })).problem, t`Deleted.`)) onClose();
        }}
      >
        <p>
          <Trans>What was made with it keeps its text. This cannot be undone.</Trans>
        </p>
      </Confirm>
    </Form>
  );
}

function SnippetForm({ of, onClose }: { of: SnippetRowFragment | null; onClose: () => void }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const tell = useTell();
  const mayWrite = useMayWrite();
  const readNow = useReadNow();
  const create = useChange(CreateSnippet);
  const update = useChange(UpdateSnippet);
  const remove = useChange(DeleteSnippet);
  const [name, setName] = useState(of?.name ?? "");
  const [body, setBody] = useState(of?.body ?? "");
  const [problem, setProblem] = useState<Problem | null>(null);
  const [isAsked, setAsked] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const { base, theirs, isConflict, settle } = useVersioned(of, async () => (of === null ? null : ((await readNow(OneSnippet, { id: of.id }))?.snippet ?? null)));
  const errorOf = (param: string) => (problem?.param === param ? textOf(problem) : undefined);
  const save = async (version = base?.version) => {
    const input = { name, body };
    const { done, problem: found } = of === null || version === undefined ? await create.run({ input }) : await update.run({ id: of.id, input: { ...input, version } });
    const isTheirs = await isConflict(found);
    setProblem(isTheirs ? null : found);
    if (done !== null && tell(null, t`Saved.`)) onClose();
  };
  const isRenamed = of !== null && name !== of.name;
  const included = includeOf(name === "" ? "signature" : name);
  return (
    <Form
      title={of === null ? t`New snippet` : includeOf(of.name)}
      onClose={onClose}
      onSave={() => void save()}
      canSave={name !== "" && body.trim() !== ""}
      isPending={create.isRunning || update.isRunning}
      mayWrite={mayWrite}
      tools={of !== null && <Button look="danger" onPress={() => setAsked(true)}>{t`Delete`}</Button>}
      body={body}
    >
      {problem !== null && problem.param !== "name" && problem.param !== "body" && <Callout tone="danger">{textOf(problem)}</Callout>}
      {theirs !== null && (
        <Conflict
          differences={[
            { label: t`Name`, mine: name, theirs: theirs.name },
            { label: t`Text`, mine: body, theirs: theirs.body },
          ].filter(({ mine, theirs: other }) => mine !== other)}
          isPending={update.isRunning}
          onMine={() => void save(theirs.version)}
          onTheirs={() => {
            setName(theirs.name);
            setBody(theirs.body);
            settle(theirs);
          }}
        />
      )}
      <Field label={t`Name`} hint={t`Messages include it as ${included}.`} value={name} onChange={(next) => setName(snippetNameOf(next))} isReadOnly={!mayWrite} error={errorOf("name")} autoFocus={of === null} />
      {isRenamed && <Callout tone="warn">{t`Templates that include it by its old name are refused until they are changed.`}</Callout>}
      <BodyField box={box} body={body} onChange={setBody} isReadOnly={!mayWrite} error={errorOf("body")} />
      <Confirm
        isOpen={isAsked}
        onClose={() => setAsked(false)}
        title={t`Delete “${of?.name ?? ""}”?`}
        action={t`Delete`}
        isPending={remove.isRunning}
        onConfirm={async () => {
          if (of !== null && tell((await remove.run({ id: of.id })).problem, t`Deleted.`)) onClose();
        }}
      >
        <p>
          <Trans>What was made with it keeps its text. Templates that include it are refused until they are changed.</Trans>
        </p>
      </Confirm>
    </Form>
  );
}

interface FormProps {
  title: string;
  onClose: () => void;
  onSave: () => void;
  canSave: boolean;
  isPending: boolean;
  mayWrite: boolean;
  /** What else can be done with what is there already. */
  tools: ReactNode;
  body: string;
  children: ReactNode;
}

function Form({ title, onClose, onSave, canSave, isPending, mayWrite, tools, body, children }: FormProps) {
  const { t } = useLingui();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (canSave && mayWrite) onSave();
  };
  return (
    <Dialog
      isOpen
      isWide
      onClose={onClose}
      title={title}
      actions={
        mayWrite ? (
          <>
            {tools}
            <Button look="primary" isDisabled={!canSave} isPending={isPending} onPress={onSave}>{t`Save`}</Button>
          </>
        ) : undefined
      }
    >
      <div className="grid gap-6 sm:grid-cols-[minmax(0,1fr)_15rem]">
        <form className="min-w-0 space-y-4" onSubmit={submit}>
          {!mayWrite && <Callout tone="info">{t`Your role may look at templates, but not change any.`}</Callout>}
          {children}
        </form>
        <TextPreview body={body} />
      </div>
    </Dialog>
  );
}

interface BodyProps {
  box: RefObject<HTMLDivElement | null>;
  body: string;
  onChange: (body: string) => void;
  isReadOnly: boolean;
  error: string | undefined;
  hasSnippets?: boolean;
}

function BodyField({ box, body, onChange, isReadOnly, error, hasSnippets = false }: BodyProps) {
  const { t } = useLingui();
  const used = body.length;
  return (
    <div ref={box}>
      <TextArea label={t`Text`} value={body} onChange={onChange} maxLength={MOST} rows={6} isReadOnly={isReadOnly} error={error} tools={<span className="text-sm text-muted tabular">{`${used}/${MOST}`}</span>} />
      {!isReadOnly && (
        <div className="mt-2">
          <InsertRow box={box} body={body} onChange={onChange} hasSnippets={hasSnippets} />
        </div>
      )}
    </div>
  );
}
