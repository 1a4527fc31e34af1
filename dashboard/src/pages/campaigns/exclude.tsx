import { useLingui } from "@lingui/react/macro";
import { useState } from "react";
import { useData } from "@/api/hooks";
import { graphql } from "@/gql";
import { Button } from "@/ui/button";
import { Checkbox, Field } from "@/ui/fields";
import { Card } from "@/ui/show";
import { States } from "@/ui/states";
import type { Draft, Left } from "./draft";

const Choices = graphql(`
  query ComposeExclusions {
    contactLists(first: 100) { nodes { id name } }
    segments(first: 50) { nodes { id name } }
    campaigns(first: 50, statuses: [PREPARING, SENDING, PAUSED, COMPLETED, CANCELED]) { nodes { id name } }
  }
`);

type Ids = "listIds" | "segmentIds" | "campaignIds";

interface Props {
  draft: Draft;
  onChange: (changes: Partial<Draft>) => void;
  /** The campaign itself, which cannot leave its own recipients out. */
  own: string | null;
}

/** Who of the audience gets nothing; the preview tells how many, and why. */
export function ExcludeCard(props: Props) {
  const { t } = useLingui();
  const { listIds, segmentIds, campaignIds, days } = props.draft.exclude;
  const [isOpen, setOpen] = useState(listIds.length + segmentIds.length + campaignIds.length > 0 || days !== "");
  return (
    <Card title={t`Leave out`}>
      {isOpen ? <Choose {...props} /> : <Button size="small" onPress={() => setOpen(true)}>{t`Choose who gets nothing`}</Button>}
    </Card>
  );
}

function Choose({ draft, onChange, own }: Props) {
  const { t } = useLingui();
  const reading = useData(Choices, {});
  const set = (changes: Partial<Left>) => onChange({ exclude: { ...draft.exclude, ...changes } });
  const toggle = (kind: Ids, id: string, isOut: boolean) => set({ [kind]: isOut ? [...draft.exclude[kind], id] : draft.exclude[kind].filter((each) => each !== id) });
  return (
    <States of={reading}>
      {({ contactLists, segments, campaigns }) => {
        const groups: { kind: Ids; label: string; nodes: readonly { id: string; name: string }[] }[] = [
          { kind: "listIds", label: t`Members of`, nodes: contactLists.nodes },
          { kind: "segmentIds", label: t`Who matches`, nodes: segments.nodes },
          { kind: "campaignIds", label: t`Who gets or got`, nodes: campaigns.nodes.filter(({ id }) => id !== own) },
        ];
        return (
          <div className="space-y-5">
            {groups
              .filter(({ nodes }) => nodes.length > 0)
              .map(({ kind, label, nodes }) => (
                <fieldset key={kind}>
                  <legend className="mb-2 text-sm font-medium">{label}</legend>
                  <div className="relative grid max-h-48 gap-2 overflow-y-auto p-0.5 sm:grid-cols-2">
                    {nodes.map(({ id, name }) => (
                      <Checkbox key={id} isSelected={draft.exclude[kind].includes(id)} onChange={(isOut) => toggle(kind, id, isOut)}>
                        {name}
                      </Checkbox>
                    ))}
                  </div>
                </fieldset>
              ))}
            <Field label={t`Who got any message in the last days`} hint={t`For example 3. Empty to leave nobody out for that.`} inputMode="numeric" className="max-w-sm" value={draft.exclude.days} onChange={(days) => set({ days })} />
          </div>
        );
      }}
    </States>
  );
}
