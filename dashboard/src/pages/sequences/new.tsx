import { useLingui } from "@lingui/react/macro";
import { Link, useNavigate } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { newKey, useChange } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { graphql } from "@/gql";
import { Button } from "@/ui/button";
import { Field, Select } from "@/ui/fields";
import { Callout, Card, PageHead } from "@/ui/show";
import { useProblemText } from "@/ui/states";
import { useMayWrite, useTemplates } from "./shared";
import { TEMPLATES } from "./routes";

const Create = graphql(`
  mutation PageCreateSequence($input: CreateSequenceInput!, $key: String) {
    createSequence(input: $input, idempotencyKey: $key) {
      __typename
      ... on Sequence { ...SequenceFull }
      ... on Error { code message param }
    }
  }
`);

const BLANK = "-";

export function NewSequencePage() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const textOf = useProblemText();
  const mayWrite = useMayWrite();
  const create = useChange(Create);
  const templates = useTemplates();
  const [template, setTemplate] = useState<string>(TEMPLATES[0]);
  const [name, setName] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const chosen = templates.find(({ value }) => (value ?? BLANK) === template)!;
  const called = name.trim() === "" ? chosen.name : name.trim();
  // Asked for again, the same thing is made once.
  const key = useMemo(newKey, [called, template]);
  const isOfName = problem?.param === "name";
  const make = async () => {
    const { done, problem: found } = await create.run({ input: { name: called, ...(chosen.value === null ? {} : { template: chosen.value }) }, key });
    setProblem(found);
    if (done !== null) await navigate({ to: "/sequences/$id/edit", params: { id: done.id } });
  };
  return (
    <>
      <PageHead
        above={
          <Link to="/sequences" className="mb-1 inline-block text-sm">
            {t`Sequences`}
          </Link>
        }
        title={t`New sequence`}
        lead={t`Nothing is sent until you publish it.`}
      />
      {!mayWrite ? (
        <Callout tone="info">{t`Your role may look at sequences, but not make any.`}</Callout>
      ) : (
        <Card className="max-w-2xl">
          <form
            className="space-y-5"
            onSubmit={(event) => {
              event.preventDefault();
              void make();
            }}
          >
            <Field label={t`Name`} hint={t`For your team only. Left empty, it is called as the template.`} value={name} onChange={setName} maxLength={200} error={isOfName ? textOf(problem!) : undefined} />
            <Select label={t`Begin with`} hint={chosen.about} choices={templates.map(({ value, name: label, about }) => ({ value: value ?? BLANK, label, hint: about }))} value={template} onChange={setTemplate} />
            {problem !== null && !isOfName && <Callout tone="danger">{textOf(problem)}</Callout>}
            <div className="flex justify-end">
              <Button type="submit" look="primary" isPending={create.isRunning}>{t`Write the steps`}</Button>
            </div>
          </form>
        </Card>
      )}
    </>
  );
}
