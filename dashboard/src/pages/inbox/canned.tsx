import { Trans, useLingui } from "@lingui/react/macro";
import { useState } from "react";
import { useChange, useData, useReadNow } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { graphql } from "@/gql";
import type { CannedRowFragment } from "@/gql/graphql";
import { useFirstName } from "@/pages/templates/variables";
import { Button } from "@/ui/button";
import { Conflict, useVersioned } from "@/ui/conflict";
import { Dialog } from "@/ui/dialog";
import { Field, TextArea } from "@/ui/fields";
import { Callout } from "@/ui/show";
import { EmptyState, States, useProblemText } from "@/ui/states";
import { toast } from "@/ui/toast";
import { CannedList } from "./answer";

const Create = graphql(`
  mutation InboxCreateCanned($input: CreateCannedAnswerInput!) {
    createCannedAnswer(input: $input) {
      __typename
      ... on CannedAnswer { ...CannedRow }
      ... on Error { code message param }
    }
  }
`);
const Update = graphql(`
  mutation InboxUpdateCanned($id: ID!, $input: UpdateCannedAnswerInput!) {
    updateCannedAnswer(id: $id, input: $input) {
      __typename
      ... on CannedAnswer { ...CannedRow }
      ... on Error { code message param }
    }
  }
`);
const Delete = graphql(`
  mutation InboxDeleteCanned($id: ID!) {
    deleteCannedAnswer(id: $id) {
      __typename
      ... on Error { code message }
    }
  }
`);

const Now = graphql(`
  query InboxCannedNow($id: ID!) { cannedAnswer(id: $id) { ...CannedRow } }
`);

const MOST = 1600;

/** The texts that are answered often: one is written at a time, the others are a list. */
export function CannedDialog({ onClose }: { onClose: () => void }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const reading = useData(CannedList, {});
  const remove = useChange(Delete);
  const [edited, setEdited] = useState<CannedRowFragment | "new" | null>(null);
  const [asked, setAsked] = useState<string | null>(null);
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t`Canned answers`}
      actions={edited === null ? <Button look="primary" icon="plus" onPress={() => setEdited("new")}>{t`New canned answer`}</Button> : undefined}
    >
      {edited !== null ? (
        <Form key={edited === "new" ? "new" : edited.id} of={edited === "new" ? null : edited} onDone={() => setEdited(null)} />
      ) : (
        <States of={reading}>
          {({ cannedAnswers: { nodes } }) =>
            nodes.length === 0 ? (
              <EmptyState icon="message" title={t`No canned answer yet`}>
                <Trans>Write once what is asked often. Fields such as the first name are filled in when it is sent.</Trans>
              </EmptyState>
            ) : (
              <ul className="divide-y divide-line">
                {nodes.map((each) => (
                  <li key={each.id} className="flex flex-wrap items-start gap-2 py-3">
                    <div className="min-w-0 flex-1 basis-48">
                      <h3 className="font-medium break-words">{each.name}</h3>
                      <p className="text-sm break-words whitespace-pre-wrap text-muted">{each.body}</p>
                    </div>
                    <Button size="small" aria-label={t`Edit ${each.name}`} onPress={() => setEdited(each)}>{t`Edit`}</Button>
                    {asked === each.id ? (
                      <Button
                        size="small"
                        look="danger"
                        isPending={remove.isRunning}
                        onPress={async () => {
                          const { problem } = await remove.run({ id: each.id });
                          setAsked(null);
                          if (problem !== null) toast({ text: textOf(problem), tone: "danger" });
                        }}
                      >
                        {t`Delete for good`}
                      </Button>
                    ) : (
                      <Button size="small" look="quiet" aria-label={t`Delete ${each.name}`} onPress={() => setAsked(each.id)}>{t`Delete`}</Button>
                    )}
                  </li>
                ))}
              </ul>
            )
          }
        </States>
      )}
    </Dialog>
  );
}

function Form({ of, onDone }: { of: CannedRowFragment | null; onDone: () => void }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const create = useChange(Create);
  const update = useChange(Update);
  const [name, setName] = useState(of?.name ?? "");
  const [body, setBody] = useState(of?.body ?? "");
  const [problem, setProblem] = useState<Problem | null>(null);
  const readNow = useReadNow();
  const { base, theirs, isConflict, settle } = useVersioned(of, async () => (of === null ? null : ((await readNow(Now, { id: of.id }))?.cannedAnswer ?? null)));
  const example = useFirstName();
  const save = async (version = base?.version) => {
    const input = { name: name.trim(), body };
    const { problem: found } = of === null || version === undefined ? await create.run({ input }) : await update.run({ id: of.id, input: { ...input, version } });
    const isTheirs = await isConflict(found);
    setProblem(isTheirs ? null : found);
    if (found === null) onDone();
  };
  const errorOf = (param: string) => (problem?.param === param ? textOf(problem) : undefined);
  return (
    <div className="space-y-4">
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
      <Field label={t`Name`} value={name} onChange={setName} error={errorOf("name")} autoFocus />
      <TextArea label={t`Text`} hint={t`${example} becomes the contact's first name.`} value={body} onChange={setBody} maxLength={MOST} rows={5} error={errorOf("body")} />
      <div className="flex justify-end gap-2">
        <Button onPress={onDone}>{t`Back`}</Button>
        <Button look="primary" isDisabled={name.trim() === "" || body.trim() === ""} isPending={create.isRunning || update.isRunning} onPress={() => void save()}>
          {t`Save`}
        </Button>
      </div>
    </div>
  );
}
