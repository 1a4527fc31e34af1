// Which events of a webhook's types it is sent: those of some campaigns, or with some metadata.
import { useLingui } from "@lingui/react/macro";
import { useData } from "@/api/hooks";
import { graphql } from "@/gql";
import { Checkbox, TextArea } from "@/ui/fields";
import { States } from "@/ui/states";

const Campaigns = graphql(`
  query WebhookCampaigns { campaigns(first: 50, statuses: [DRAFT, SCHEDULED, PREPARING, SENDING, PAUSED, COMPLETED, CANCELED, FAILED]) { nodes { id name } } }
`);

export interface FilterDraft {
  campaignIds: readonly string[];
  /** Metadata as it is typed, a value a line. */
  metadata: string;
}

interface Props {
  draft: FilterDraft;
  onChange: (draft: FilterDraft) => void;
  error?: string | undefined;
  /** What the field of metadata says of itself where it cannot be read. */
  metadataError?: string | undefined;
}

export function FilterFields({ draft, onChange, error, metadataError }: Props) {
  const { t } = useLingui();
  const reading = useData(Campaigns, {});
  const { campaignIds, metadata } = draft;
  const toggle = (id: string, isIn: boolean) => onChange({ ...draft, campaignIds: isIn ? [...campaignIds, id] : campaignIds.filter((each) => each !== id) });
  return (
    <fieldset className="space-y-4">
      <legend className="text-sm font-medium">{t`Only events about`}</legend>
      <p className="text-sm text-muted">{t`An event is sent if it matches all that you choose here. Nothing chosen sends all of them.`}</p>
      <States of={reading}>
        {({ campaigns }) => {
          // What the filter has stays to be seen, also of a campaign that is old by now.
          const known = new Set(campaigns.nodes.map(({ id }) => id));
          const nodes = [...campaigns.nodes, ...campaignIds.filter((id) => !known.has(id)).map((id) => ({ id, name: id }))];
          return nodes.length === 0 ? null : (
            <fieldset>
              <legend className="mb-2 text-sm font-medium">{t`Campaigns`}</legend>
              <div className="relative grid max-h-48 gap-2 overflow-y-auto p-0.5">
                {nodes.map(({ id, name }) => (
                  <Checkbox key={id} isSelected={campaignIds.includes(id)} onChange={(isIn) => toggle(id, isIn)}>
                    <span className="wrap-anywhere">{name}</span>
                  </Checkbox>
                ))}
              </div>
              {error !== undefined && <p className="mt-1 text-sm font-medium text-danger" role="alert">{error}</p>}
            </fieldset>
          );
        }}
      </States>
      <TextArea label={t`Metadata`} rows={3} className="[&_textarea]:font-mono [&_textarea]:text-sm" hint={t`One value a line, such as cohort=spring: what a message or campaign was given.`} value={metadata} onChange={(next) => onChange({ ...draft, metadata: next })} error={metadataError} />
    </fieldset>
  );
}
