import { useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { useEffect } from "react";
import { useData } from "@/api/hooks";
import { graphql } from "@/gql";
import { classes } from "@/ui/classes";
import { Card, CopyId, Time } from "@/ui/show";
import { EmptyState, States } from "@/ui/states";

const EventsData = graphql(`
  query CampaignEvents($id: ID!) {
    campaign(id: $id) { id events { id type createdAt } }
  }
`);

/** What happened to the campaign as webhooks were told, the newest first; `status` is what it is in now. */
export function Events({ id, status }: { id: string; status: string }) {
  const { t } = useLingui();
  const reading = useData(EventsData, { id });
  const { retry } = reading;
  // Each change of its state is an event.
  useEffect(retry, [status, retry]);
  const names: Record<string, string> = {
    CAMPAIGN_STARTED: t`It began`,
    CAMPAIGN_DISPATCHED: t`All its messages are queued`,
    CAMPAIGN_COMPLETED: t`It is completed`,
    CAMPAIGN_PAUSED: t`It was paused`,
    CAMPAIGN_RESUMED: t`It was resumed`,
    CAMPAIGN_CANCELED: t`It was canceled`,
    CAMPAIGN_APPROVAL_REQUESTED: t`It waits for approval`,
    CAMPAIGN_APPROVED: t`It was approved`,
    CAMPAIGN_REJECTED: t`It was rejected`,
    CAMPAIGN_TESTED: t`Its texts were tested`,
    CAMPAIGN_WINNER_CHOSEN: t`The text that won was chosen`,
  };
  return (
    <States of={reading}>
      {({ campaign }) =>
        campaign == null || campaign.events.length === 0 ? (
          <EmptyState icon="clock" title={t`Nothing has happened yet`}>
            {t`Its events show here from its start.`}
          </EmptyState>
        ) : (
          <Card>
            <ol aria-label={t`Events`} className="ml-1.5 border-l border-line">
              {campaign.events.map(({ id: event, type, createdAt }, index) => (
                <li key={event} className="relative pb-4 pl-5 last:pb-0">
                  <span className={classes("absolute top-1.5 -left-[0.34rem] size-2.5 rounded-full", index === 0 ? "bg-brand" : "bg-line-strong")} aria-hidden="true" />
                  <div className="flex flex-wrap items-baseline justify-between gap-x-4">
                    <Link to="/developers" search={{ tab: "events", event }} className="font-medium">
                      {names[type] ?? type}
                    </Link>
                    <span className="text-sm text-muted">
                      <Time at={createdAt} style="full" />
                    </span>
                  </div>
                  <CopyId id={event} />
                </li>
              ))}
            </ol>
          </Card>
        )
      }
    </States>
  );
}
