// The editor of a sequence: its steps in their order, how people enter and leave. Nothing is sent until it is published.
import { Trans, useLingui } from "@lingui/react/macro";
import { Link, useBlocker, useNavigate, useParams } from "@tanstack/react-router";
import { useEffect, useMemo, useRef, useState } from "react";
import { useChange, useData, useReadNow } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { graphql } from "@/gql";
import type { SequenceFullFragment } from "@/gql/graphql";
import type { Fields } from "@/pages/contacts/filter";
import { Button } from "@/ui/button";
import { Conflict, useVersioned } from "@/ui/conflict";
import { Confirm } from "@/ui/dialog";
import { Field } from "@/ui/fields";
import { Callout, Card, PageHead, useZone } from "@/ui/show";
import { States, useProblemText } from "@/ui/states";
import { useTell } from "@/ui/tell";
import { draftOf, faultsOf, fieldOf, inputOf, isAnchored, MOST_STEPS, moved, newStep, without, type Fault, type SequenceDraft, type StepDraft } from "./draft";
import { NoSequence } from "./sequence";
import { SequenceBadge, useMayWrite } from "./shared";
import { StepCard } from "./stepcard";
import { WaysForm } from "./ways";

const EditData = graphql(`
  query SequenceEditor($id: ID!) {
    sequence(id: $id) { ...SequenceFull }
    segmentFields { field type ops values }
    workspace { id defaultSender }
  }
`);
const Now = graphql(`
  query SequenceNow($id: ID!) { sequence(id: $id) { ...SequenceFull } }
`);
const Update = graphql(`
  mutation PageUpdateSequence($id: ID!, $input: UpdateSequenceInput!) {
    updateSequence(id: $id, input: $input) {
      __typename
      ... on Sequence { ...SequenceFull }
      ... on Error { code message param }
    }
  }
`);
const Publish = graphql(`
  mutation EditorPublishSequence($id: ID!) {
    publishSequence(id: $id) {
      __typename
      ... on Sequence { ...SequenceFull }
      ... on Error { code message param }
    }
  }
`);

const CLOSED_MS = 400;

// A published version is kept for good, and names nobody.
const PERSONAL = new Set(["phone", "email", "first_name", "last_name"]);

export function EditSequencePage() {
  const { t } = useLingui();
  const { id } = useParams({ from: "/shell/sequences/$id/edit" });
  const mayWrite = useMayWrite();
  const reading = useData(EditData, { id });
  return (
    <States of={reading} title={t`Edit sequence`}>
      {({ sequence, segmentFields, workspace }) =>
        sequence == null ? (
          <NoSequence />
        ) : mayWrite && sequence.status !== "ARCHIVED" ? (
          <Editor key={id} sequence={sequence} fields={segmentFields.filter(({ field }) => !PERSONAL.has(field))} defaultSender={workspace.defaultSender} />
        ) : (
          <>
            <PageHead above={<Back sequence={sequence} />} title={t`Edit sequence`} />
            <Callout tone="info">{mayWrite ? t`It is archived: nothing of it changes any more.` : t`Your role may look at sequences, but not change any.`}</Callout>
          </>
        )
      }
    </States>
  );
}

function Back({ sequence: { id, name } }: { sequence: SequenceFullFragment }) {
  return (
    <Link to="/sequences/$id" params={{ id }} className="mb-1 inline-block max-w-full truncate text-sm">
      {name}
    </Link>
  );
}

export interface Told {
  /** What to say at a field, by its name: `name`, `7.body`. */
  at: (field: string) => string | undefined;
}

function useFaultTexts(): Record<Fault, string> {
  const { t } = useLingui();
  return {
    name: t`Give it a name.`,
    body: t`Write the message.`,
    long: t`A message has at most 1600 characters.`,
    key: t`Up to 40 of a to z, 0 to 9, - and _, such as day_1.`,
    twice: t`An earlier step has this name.`,
    amount: t`A whole number, a year at most.`,
    order: t`Only a step before this one can be asked for.`,
    filter: t`Fill in each condition, or take it away.`,
    goal: t`Fill in each condition, or take it away.`,
    anchor: t`Choose the date that steps count from.`,
  };
}

interface EditorProps {
  sequence: SequenceFullFragment;
  fields: Fields;
  defaultSender: string;
}

function Editor({ sequence, fields, defaultSender }: EditorProps) {
  const { t } = useLingui();
  const zone = useZone();
  const tell = useTell();
  const textOf = useProblemText();
  const navigate = useNavigate();
  const readNow = useReadNow();
  const update = useChange(Update);
  const publish = useChange(Publish);
  const texts = useFaultTexts();
  const { id, status } = sequence;
  const { base, theirs, isConflict, settle } = useVersioned(sequence, async () => (await readNow(Now, { id }))?.sequence ?? null);
  const [draft, setDraft] = useState<SequenceDraft>(() => draftOf(sequence, zone));
  const [kept, setKept] = useState(() => JSON.stringify(inputOf(draft, fields, zone)));
  const [isTried, setTried] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [isPublishing, setPublishing] = useState(false);
  const faults = useMemo(() => faultsOf(draft, fields), [draft, fields]);
  const isChanged = JSON.stringify(inputOf(draft, fields, zone)) !== kept;
  const refused = problem === null ? null : fieldOf(problem.param, draft);
  const page = useRef<HTMLDivElement>(null);
  const leave = useBlocker({ shouldBlockFn: () => isChanged, enableBeforeUnload: () => isChanged, withResolver: true });
  const told: Told = { at: (field) => (isTried && faults[field] !== undefined ? texts[faults[field]] : refused === field ? textOf(problem!) : undefined) };
  const change = (changes: Partial<SequenceDraft>) => {
    setDraft((before) => ({ ...before, ...changes }));
    setProblem(null);
  };

  /** Show the first field that says what is wrong with it. */
  const showFault = () =>
    requestAnimationFrame(() => {
      const field = page.current?.querySelector<HTMLElement>("[aria-invalid=true], [data-invalid] button, [role=alert]");
      field?.scrollIntoView({ block: "center" });
      field?.focus({ preventScroll: true });
    });
  const save = async (version = base.version): Promise<boolean> => {
    setTried(true);
    setProblem(null);
    if (Object.keys(faults).length > 0) {
      showFault();
      return false;
    }
    const { done, problem: found } = await update.run({ id, input: { ...inputOf(draft, fields, zone), version } });
    if (await isConflict(found)) return false;
    setProblem(found);
    if (done === null) {
      showFault();
      return false;
    }
    settle(done);
    setKept(JSON.stringify(inputOf(draft, fields, zone)));
    return true;
  };
  const saveAndSay = async (version?: string) => {
    if (await save(version)) tell(null, t`Saved. Nothing goes out until you publish it.`);
  };
  const askToPublish = () => {
    setTried(true);
    if (Object.keys(faults).length > 0) showFault();
    else setPublishing(true);
  };
  const publishIt = async () => {
    if (isChanged && !(await save())) return;
    const { problem: found } = await publish.run({ id });
    setProblem(found);
    // The question is closed by then, and has given the focus back.
    if (found !== null) return void setTimeout(showFault, CLOSED_MS);
    tell(null, t`Published. People can enter.`);
    await navigate({ to: "/sequences/$id", params: { id } });
  };
  const isPending = update.isRunning || publish.isRunning;
  const known = refused === null || refused === "steps" || !/^(name|goal|anchorAt|entry|from|\d+\.)/.test(refused);
  return (
    <div ref={page}>
      <PageHead
        above={<Back sequence={sequence} />}
        title={t`Edit sequence`}
        lead={
          <span className="flex flex-wrap items-center gap-x-3 gap-y-1" role="status">
            <SequenceBadge status={status} />
            {isChanged ? t`Not saved yet` : t`Saved`}
          </span>
        }
        actions={
          <>
            <Button isPending={isPending} isDisabled={!isChanged} onPress={() => void saveAndSay()}>{t`Save`}</Button>
            <Button look="primary" isPending={isPending} isDisabled={draft.steps.length === 0 || (!isChanged && status !== "DRAFT" && !base.hasChanges)} onPress={askToPublish}>{t`Publish`}</Button>
          </>
        }
      />
      <div className="mb-5 space-y-3 empty:hidden">
        {theirs !== null && (
          <Conflict
            differences={[
              { label: t`Name`, mine: draft.name, theirs: theirs.name },
              { label: t`Steps`, mine: draft.steps.map(({ key }) => key).join(", "), theirs: theirs.steps.map(({ key }) => key).join(", ") },
            ].filter(({ mine, theirs: other }) => mine !== other)}
            isPending={isPending}
            onMine={() => void saveAndSay(theirs.version)}
            onTheirs={() => {
              const next = draftOf(theirs, zone);
              setDraft(next);
              setKept(JSON.stringify(inputOf(next, fields, zone)));
              settle(theirs);
            }}
          />
        )}
        {problem !== null && known && <Callout tone="danger">{textOf(problem)}</Callout>}
      </div>
      <div className="grid items-start gap-6 lg:grid-cols-[minmax(0,1fr)_22rem]">
        <div className="min-w-0 space-y-5">
          <Card>
            <Field label={t`Name`} hint={t`For your team only.`} value={draft.name} onChange={(name) => change({ name })} maxLength={200} error={told.at("name")} />
          </Card>
          <StepEditor draft={draft} fields={fields} told={told} onChange={(steps) => change({ steps })} />
        </div>
        <WaysForm draft={draft} fields={fields} told={told} onChange={change} defaultSender={defaultSender} isAnchored={isAnchored(draft)} />
      </div>
      <Confirm isOpen={isPublishing} onClose={() => setPublishing(false)} title={t`Publish “${draft.name}”?`} action={t`Publish`} isPending={isPending} onConfirm={publishIt}>
        <p>
          {status === "DRAFT" ? <Trans>From now on, people enter and get its messages.</Trans> : <Trans>Who enters from now on gets it as it stands. Who is inside stays on the version that they entered.</Trans>}
        </p>
      </Confirm>
      <Confirm
        isOpen={leave.status === "blocked"}
        onClose={() => {
          if (leave.status === "blocked") leave.reset();
        }}
        title={t`Leave without saving?`}
        action={t`Leave`}
        onConfirm={() => {
          if (leave.status === "blocked") leave.proceed();
        }}
      >
        <p>
          <Trans>What you changed here since it was last saved is lost.</Trans>
        </p>
      </Confirm>
    </div>
  );
}

interface StepEditorProps {
  draft: SequenceDraft;
  fields: Fields;
  told: Told;
  onChange: (steps: readonly StepDraft[]) => void;
}

/** The steps to write; one that is moved keeps the focus, and its place is said. */
function StepEditor({ draft: { steps }, fields, told, onChange }: StepEditorProps) {
  const { t } = useLingui();
  const list = useRef<HTMLOListElement>(null);
  const [said, setSaid] = useState("");
  const [wanted, setWanted] = useState<{ uid: number; part: "up" | "down" | "body" } | null>(null);
  useEffect(() => {
    if (wanted === null) return;
    const card = list.current?.querySelector(`[data-uid="${wanted.uid}"]`);
    const button = card?.querySelector<HTMLElement>(`[data-move="${wanted.part}"]`);
    const isUsable = button != null && !button.hasAttribute("disabled");
    (wanted.part === "body" ? card?.querySelector("textarea") : isUsable ? button : card?.querySelector<HTMLElement>("[data-move]:not([disabled])"))?.focus();
    setWanted(null);
  }, [wanted]);
  const move = (step: StepDraft, by: -1 | 1) => {
    const next = moved(steps, step.uid, by);
    const place = next.indexOf(step) + 1;
    const { key } = step;
    onChange(next);
    setWanted({ uid: step.uid, part: by < 0 ? "up" : "down" });
    setSaid(t`${key} is step ${place} now.`);
  };
  const add = () => {
    const step = newStep(steps);
    onChange([...steps, step]);
    setWanted({ uid: step.uid, part: "body" });
  };
  return (
    <section aria-label={t`Steps`}>
      <ol ref={list} className="space-y-5">
        {steps.map((step, index) => (
          <li key={step.uid} data-uid={step.uid}>
            <StepCard
              step={step}
              number={index + 1}
              earlier={steps.slice(0, index)}
              all={steps}
              fields={fields}
              told={told}
              isLast={index === steps.length - 1}
              onChange={(next) => onChange(steps.map((each) => (each.uid === next.uid ? next : each)))}
              onMove={(by) => move(step, by)}
              onRemove={() => onChange(without(steps, step.uid))}
            />
          </li>
        ))}
      </ol>
      <p role="status" className="sr-only">
        {said}
      </p>
      <div className={steps.length > 0 ? "mt-5" : ""}>
        <Button icon="plus" isDisabled={steps.length >= MOST_STEPS} onPress={add}>{t`Add a step`}</Button>
      </div>
    </section>
  );
}
