import { Trans, useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { useLive } from "@/api/hooks";
import { graphql } from "@/gql";
import type { CampaignStatus, RunningCampaignFragment } from "@/gql/graphql";
import { CampaignBadge } from "@/status";
import { Share } from "@/ui/charts";
import { Card, Time, useNumbers } from "@/ui/show";

export const RunningCampaign = graphql(`
  fragment RunningCampaign on Campaign {
    id
    name
    status
    pauseReason
    stats { recipients queued sending sent delivered failed skipped canceled replied optedOut creditsUsed }
  }
`);
const Progress = graphql(`
  subscription HomeProgress($id: ID!) {
    campaignProgress(id: $id) { ...RunningCampaign }
  }
`);

interface Scheduled {
  id: string;
  name: string;
  status: CampaignStatus;
  scheduledAt: string | null;
}

export function Running({ sending, scheduled }: { sending: readonly RunningCampaignFragment[]; scheduled: readonly Scheduled[] }) {
  const { t } = useLingui();
  return (
    <Card title={t`Campaigns under way`}>
      {sending.length === 0 && scheduled.length === 0 && (
        <p className="text-muted">
          <Trans>None right now. What is sending or scheduled shows here, live.</Trans>
        </p>
      )}
      <ul className="space-y-4">
        {sending.map((each) => (
          <RunningRow key={each.id} campaign={each} />
        ))}
        {scheduled.map(({ id, name, status, scheduledAt }) => (
          <li key={id} className="flex items-center justify-between gap-3">
            <span className="min-w-0">
              <CampaignLink id={id} name={name} />
              {scheduledAt !== null && (
                <span className="block text-sm text-muted">
                  <Time at={scheduledAt} />
                </span>
              )}
            </span>
            <CampaignBadge status={status} />
          </li>
        ))}
      </ul>
    </Card>
  );
}

export function CampaignLink({ id, name }: { id: string; name: string }) {
  return (
    <Link to="/campaigns/$id" params={{ id }} className="block truncate font-medium text-text no-underline hover:underline">
      {name}
    </Link>
  );
}

function RunningRow({ campaign }: { campaign: RunningCampaignFragment }) {
  const { t } = useLingui();
  const { whole, percent } = useNumbers();
  useLive(Progress, { id: campaign.id });
  const { stats } = campaign;
  const ended = stats.delivered + stats.failed + stats.skipped + stats.canceled + stats.sent;
  const parts = [
    { name: t`Delivered`, value: stats.delivered, dot: "bg-brand" },
    { name: t`Sent`, value: stats.sent + stats.sending, dot: "bg-info" },
    { name: t`Failed`, value: stats.failed, dot: "bg-danger" },
    { name: t`Skipped`, value: stats.skipped + stats.canceled, dot: "bg-line-strong" },
    { name: t`Waiting`, value: stats.queued, dot: "bg-line" },
  ];
  const done = whole(ended);
  const all = whole(stats.recipients);
  return (
    <li>
      <div className="mb-1.5 flex items-center justify-between gap-3">
        <CampaignLink id={campaign.id} name={campaign.name} />
        <CampaignBadge status={campaign.status} />
      </div>
      <Share parts={parts} label={campaign.name} />
      <p className="mt-1 text-sm text-muted tabular">
        {stats.recipients === 0 ? t`Nothing has gone out yet` : `${t`${done} of ${all}`} · ${percent(ended / stats.recipients)}`}
      </p>
    </li>
  );
}
