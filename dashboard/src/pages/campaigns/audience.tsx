import { plural } from "@lingui/core/macro";
import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { useState } from "react";
import { useChange, useData } from "@/api/hooks";
import { graphql } from "@/gql";
import { Button, ButtonLink } from "@/ui/button";
import { Checkbox, Field, Select } from "@/ui/fields";
import { Callout, Card, Count } from "@/ui/show";
import { States } from "@/ui/states";
import { useTell } from "@/ui/tell";
import { useMayWrite } from "@/pages/contacts/shared";
import type { Draft } from "./draft";

const Audiences = graphql(`
  query ComposeAudiences {
    contactLists(first: 100) { nodes { id name contactCount } }
    segments(first: 50) { nodes { id name contactCount } }
    reachable: contacts(filter: { optInStatus: OPTED_IN }, first: 1) { totalCount }
  }
`);
const CreateEveryone = graphql(`
  mutation ComposeCreateEveryone($name: String!, $filter: JSONObject!) {
    createSegment(name: $name, filter: $filter) {
      __typename
      ... on Segment { id name contactCount }
      ... on Error { code message param }
    }
  }
`);
const OPTED_IN = { all: [{ field: "opt_in_status", op: "eq", value: "opted_in" }] };

const NONE = "-";
const SEARCHED_ABOVE = 8;

export function AudienceCard({ draft, onChange }: { draft: Draft; onChange: (changes: Partial<Draft>) => void }) {
  const { t } = useLingui();
  const reading = useData(Audiences, {});
  const mayWrite = useMayWrite();
  const tell = useTell();
  const everyone = useChange(CreateEveryone);
  const [wanted, setWanted] = useState("");
  const toggle = (id: string, isIn: boolean) => onChange({ listIds: isIn ? [...draft.listIds, id] : draft.listIds.filter((each) => each !== id) });
  // A segment of its own, so that it can be chosen again, and changed.
  const chooseEveryone = async () => {
    const { done, problem } = await everyone.run({ name: t`Everyone who agreed`, filter: OPTED_IN });
    if (tell(problem, t`Chosen, and kept as a segment.`)) onChange({ segmentId: done!.id });
  };
  return (
    <Card title={t`Audience`}>
      <States of={reading}>
        {({ contactLists, segments, reachable }) => {
          const lists = contactLists.nodes;
          const isNobody = lists.length === 0 && segments.nodes.length === 0;
          const shown = lists.filter(({ id, name }) => draft.listIds.includes(id) || name.toLowerCase().includes(wanted.trim().toLowerCase()));
          return (
            <div className="space-y-5">
              {isNobody && (
                <Callout tone="info" action={mayWrite && <ButtonLink size="small" to="/imports/new">{t`Import contacts`}</ButtonLink>}>
                  <Trans>There is no list yet. Make one of contacts who agreed to be texted, and it can be chosen here.</Trans>
                </Callout>
              )}
              {lists.length > 0 && (
                <fieldset>
                  <legend className="mb-2 text-sm font-medium">{t`Lists`}</legend>
                  {lists.length > SEARCHED_ABOVE && <Field label={t`Find a list`} value={wanted} onChange={setWanted} className="mb-3 max-w-sm" />}
                  <div className="relative grid max-h-72 gap-2 overflow-y-auto p-0.5 sm:grid-cols-2">
                    {shown.map(({ id, name, contactCount }) => (
                      <Checkbox key={id} isSelected={draft.listIds.includes(id)} onChange={(isIn) => toggle(id, isIn)}>
                        {name} <span className="text-muted">· <Count value={contactCount} /></span>
                      </Checkbox>
                    ))}
                  </div>
                </fieldset>
              )}
              {segments.nodes.length > 0 && (
                <Select
                  label={t`Segment`}
                  className="max-w-sm"
                  choices={[{ value: NONE, label: t`None` }, ...segments.nodes.map(({ id, name, contactCount }) => ({ value: id, label: name, hint: t`${plural(contactCount, { one: "# contact now", other: "# contacts now" })}` }))]}
                  value={draft.segmentId ?? NONE}
                  onChange={(id) => onChange({ segmentId: id === NONE ? null : id })}
                />
              )}
              {mayWrite && segments.nodes.length === 0 && reachable.totalCount > 0 && (
                <Button size="small" icon="segment" className="max-w-full text-left whitespace-normal!" isPending={everyone.isRunning} onPress={() => void chooseEveryone()}>
                  <Plural value={reachable.totalCount} one="Choose everyone who agreed: # contact" other="Choose everyone who agreed: # contacts" />
                </Button>
              )}
            </div>
          );
        }}
      </States>
    </Card>
  );
}
