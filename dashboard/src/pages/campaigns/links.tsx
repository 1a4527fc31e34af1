import { Trans, useLingui } from "@lingui/react/macro";
import { useData } from "@/api/hooks";
import { graphql } from "@/gql";
import { Field, Switch } from "@/ui/fields";
import { Card, Count } from "@/ui/show";
import type { Campaign } from "./campaign";
import type { Draft, UtmName } from "./draft";

const LinksData = graphql(`
  query CampaignLinks($id: ID!) {
    campaignLinks(id: $id) { variant url position clicks uniqueClicks }
  }
`);

const LIVE_MS = 5000;
const SHOWN: readonly UtmName[] = ["source", "medium", "campaign"];

/** Whether the links of the text are shortened, and what is added to them. */
export function LinksCard({ draft, onChange }: { draft: Draft; onChange: (changes: Partial<Draft>) => void }) {
  const { t } = useLingui();
  return (
    <Card title={t`Links`}>
      <div className="space-y-5">
        <Switch isSelected={draft.shortenLinks} onChange={(shortenLinks) => onChange({ shortenLinks })} hint={t`Each recipient gets short links of their own, so that you see who followed them.`}>
          {t`Shorten links and count clicks`}
        </Switch>
        {draft.shortenLinks && (
          <div className="flex flex-wrap items-end gap-4">
            {SHOWN.map((name) => (
              <Field key={name} label={`utm_${name}`} className="w-44" maxLength={100} value={draft.utm[name]} onChange={(value) => onChange({ utm: { ...draft.utm, [name]: value } })} />
            ))}
          </div>
        )}
      </div>
    </Card>
  );
}

/** The clicks on each link of the text, over all recipients. */
export function Links({ campaign: { id, status } }: { campaign: Campaign }) {
  const { t } = useLingui();
  const { data } = useData(LinksData, { id }, status === "SENDING" || status === "COMPLETED" ? { every: LIVE_MS } : {});
  const links = data?.campaignLinks ?? [];
  if (links.length === 0) return null;
  return (
    <Card title={t`Links`}>
      <div className="overflow-x-auto" tabIndex={0} role="region" aria-label={t`Links`}>
        <table className="w-full text-left">
          <thead className="text-sm text-muted">
            <tr>
              <th scope="col" className="py-2 pr-4 font-medium">{t`Address`}</th>
              <th scope="col" className="px-4 py-2 text-right font-medium">{t`Clicks`}</th>
              <th scope="col" className="py-2 pl-4 text-right font-medium">{t`Unique clicks`}</th>
            </tr>
          </thead>
          <tbody>
            {links.map(({ variant, url, position, clicks, uniqueClicks }) => (
              <tr key={`${variant ?? ""} ${position}`}>
                <th scope="row" className="border-t border-line py-2.5 pr-4 font-normal break-all">{variant == null ? url : `${variant}: ${url}`}</th>
                <td className="border-t border-line px-4 py-2.5 text-right"><Count value={clicks} /></td>
                <td className="border-t border-line py-2.5 pl-4 text-right"><Count value={uniqueClicks} /></td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className="mt-3 text-sm text-muted">
        <Trans>Clicks of programs, such as previews and scanners, are not counted.</Trans>
      </p>
    </Card>
  );
}
