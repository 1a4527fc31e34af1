// How people enter a sequence and leave it, and what holds for all its steps.
import { useLingui } from "@lingui/react/macro";
import { useData } from "@/api/hooks";
import { graphql } from "@/gql";
import { GroupEditor } from "@/pages/contacts/conditions";
import { newGroup, newHasTag, type Fields, type Group } from "@/pages/contacts/filter";
import { TagsField } from "@/pages/contacts/tags";
import { Button } from "@/ui/button";
import { Checkbox, Field, Select, Switch } from "@/ui/fields";
import { Card, useZone } from "@/ui/show";
import type { SequenceDraft } from "./draft";
import type { Told } from "./edit";
import { useNames } from "./shared";

const Choices = graphql(`
  query SequenceChoices {
    contactLists(first: 100) { nodes { id name } }
    joinKeywords(first: 100) { nodes { id word } }
    senders(first: 50) { nodes { id value } }
  }
`);

const OWN = "-";
type Ids = "listIds" | "keywordIds" | "events";

interface Props {
  draft: SequenceDraft;
  fields: Fields;
  told: Told;
  onChange: (changes: Partial<SequenceDraft>) => void;
  defaultSender: string;
  /** Whether a step counts from a date. */
  isAnchored: boolean;
}

export function WaysForm(props: Props) {
  const { t } = useLingui();
  const { draft, onChange, fields, told, isAnchored } = props;
  const zone = useZone();
  const { data } = useData(Choices, {});
  const goal = draft.goal;
  return (
    <div className="min-w-0 space-y-5">
      <EntryCard {...props} lists={data?.contactLists.nodes ?? []} keywords={(data?.joinKeywords.nodes ?? []).map(({ id, word }) => ({ id, name: word }))} />
      <Card title={t`Who leaves early`}>
        <div className="space-y-4">
          <Switch isSelected={draft.leaveOnReply} onChange={(leaveOnReply) => onChange({ leaveOnReply })} hint={t`A person goes on from there.`}>
            {t`Who replies`}
          </Switch>
          <p className="text-sm text-muted">{t`Who opts out leaves in any case.`}</p>
          {goal === null ? (
            <Button size="small" icon="plus" onPress={() => onChange({ goal: newGroup("all", [newHasTag("")]) })}>{t`Add a goal`}</Button>
          ) : (
            <fieldset>
              <legend className="mb-2 text-sm font-medium">{t`Goal: who meets this is done`}</legend>
              <GroupEditor item={goal} fields={fields} onChange={(next) => onChange({ goal: next as Group })} />
              {told.at("goal") !== undefined && (
                <p role="alert" tabIndex={-1} className="mt-1 text-sm font-medium text-danger">
                  {told.at("goal")}
                </p>
              )}
              <Button size="small" look="quiet" className="mt-2" onPress={() => onChange({ goal: null })}>{t`Remove the goal`}</Button>
            </fieldset>
          )}
        </div>
      </Card>
      <Card title={t`For all steps`}>
        <div className="space-y-4">
          {(isAnchored || draft.anchor !== "") && (
            <Field
              label={t`Date of the sequence (${zone})`}
              hint={t`Such as the start of a webinar. Left empty, each contact brings its own.`}
              type={"datetime-local" as "text"}
              value={draft.anchor}
              onChange={(anchor) => onChange({ anchor })}
              error={told.at("anchorAt")}
            />
          )}
          <SenderChoice {...props} senders={(data?.senders.nodes ?? []).map(({ value }) => value)} />
          <Switch isSelected={draft.quietHours} onChange={(quietHours) => onChange({ quietHours })} hint={t`Where it is night for a recipient, the message waits for the morning there.`}>
            {t`Keep quiet hours`}
          </Switch>
        </div>
      </Card>
    </div>
  );
}

function SenderChoice({ draft: { from }, told, onChange, defaultSender, senders }: Props & { senders: readonly string[] }) {
  const { t } = useLingui();
  const others = [...new Set([...senders, ...(from === "" ? [] : [from])])].filter((value) => value !== defaultSender);
  if (others.length === 0) return null;
  return (
    <Select
      label={t`Sender`}
      choices={[{ value: OWN, label: defaultSender, hint: t`The workspace's own` }, ...others.map((value) => ({ value, label: value }))]}
      value={from === "" || from === defaultSender ? OWN : from}
      onChange={(next) => onChange({ from: next === OWN ? "" : next })}
      error={told.at("from")}
    />
  );
}

interface Named {
  id: string;
  name: string;
}

function EntryCard({ draft, told, onChange, lists, keywords }: Props & { lists: readonly Named[]; keywords: readonly Named[] }) {
  const { t } = useLingui();
  const { events } = useNames();
  const toggle = (kind: Ids, id: string, isIn: boolean) => onChange({ [kind]: isIn ? [...draft[kind], id] : draft[kind].filter((each) => each !== id) });
  const groups: { kind: Ids; label: string; nodes: readonly Named[] }[] = [
    { kind: "listIds", label: t`Who is put on a list`, nodes: lists },
    { kind: "keywordIds", label: t`Who texts a keyword`, nodes: keywords },
    { kind: "events", label: t`Who does something`, nodes: Object.entries(events).map(([id, name]) => ({ id, name })) },
  ];
  return (
    <Card title={t`Who enters`}>
      <div className="space-y-5">
        <p className="text-sm text-muted">{t`From the moment it is published. Contacts can also be added by hand and by a call.`}</p>
        {groups.map(({ kind, label, nodes }) => {
          // What was chosen stays to be seen, also where it is not among the newest.
          const known = new Set(nodes.map(({ id }) => id));
          const shown = [...nodes, ...draft[kind].filter((id) => !known.has(id)).map((id) => ({ id, name: id }))];
          return shown.length === 0 ? null : (
            <fieldset key={kind}>
              <legend className="mb-2 text-sm font-medium">{label}</legend>
              <div className="relative grid max-h-48 gap-2 overflow-y-auto p-0.5">
                {shown.map(({ id, name }) => (
                  <Checkbox key={id} isSelected={draft[kind].includes(id)} onChange={(isIn) => toggle(kind, id, isIn)}>
                    <span className="wrap-anywhere">{name}</span>
                  </Checkbox>
                ))}
              </div>
            </fieldset>
          );
        })}
        <TagsField label={t`Who gets a tag`} tags={draft.tags} onChange={(tags) => onChange({ tags })} />
        {told.at("entry") !== undefined && (
          <p role="alert" tabIndex={-1} className="text-sm font-medium text-danger">
            {told.at("entry")}
          </p>
        )}
        <Checkbox isSelected={draft.mayReenter} onChange={(mayReenter) => onChange({ mayReenter })}>{t`May enter again after the end`}</Checkbox>
      </div>
    </Card>
  );
}
