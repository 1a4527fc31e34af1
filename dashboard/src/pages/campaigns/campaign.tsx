import { plural } from "@lingui/core/macro";
import { Trans, useLingui } from "@lingui/react/macro";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";
import { useChange, useData, useLive } from "@/api/hooks";
import { useSession } from "@/api/session";
import { graphql } from "@/gql";
import type { CampaignPageQuery } from "@/gql/graphql";
import { CampaignBadge } from "@/status";
import { Button, ButtonLink } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { Callout, CopyId, PageHead, Time, useNumbers } from "@/ui/show";
import { EmptyState, Loading, Skeleton, States, useProblemText } from "@/ui/states";
import { Tabs } from "@/ui/tabs";
import { toast } from "@/ui/toast";
import { useWarningText } from "@/ui/warnings";
import { ApprovalCard } from "./approval";
import { Books } from "./books";
import { isEditable, isUnapproved } from "./decisions";
import { Events } from "./events";
import { Overview } from "./overview";
import { Recipients } from "./recipients";

export const CampaignFull = graphql(`
  fragment CampaignFull on Campaign {
    id
    name
    body
    from
    status
    pauseReason
    metadata
    scheduledAt
    expiresAt
    ratePerMinute
    spreadHours
    quietHours
    sendAtLocal
    contactDailyCap
    contactWeeklyCap
    shortenLinks
    guardRails { maxCredits maxDrift expectedRecipients expectedCredits lifted tripped { guard measure limit expected found } }
    startedAt
    dispatchedAt
    completedAt
    canceledAt
    createdAt
    audience { lists { id name contactCount } segment { id name } contactIds }
    exclude { listIds segmentIds campaignIds messagedWithinDays }
    stats { recipients queued sending sent delivered failed skipped canceled replied optedOut creditsUsed clicks uniqueClicks conversions conversionRate revenue { currency conversions net refunded perRecipient } }
    failures { code message status count }
    warnings { code message }
    abTest { metric }
    tags
    archivedAt
    sequenceId
    version
    approval { state recipientCount requestedBy requestedAt decidedBy decidedAt comment }
  }
`);
const CampaignData = graphql(`
  query CampaignPage($id: ID!) {
    campaign(id: $id) { ...CampaignFull }
  }
`);
const CampaignLive = graphql(`
  subscription CampaignLive($id: ID!) {
    campaignProgress(id: $id) {
      id
      status
      pauseReason
      version
      approval { state recipientCount requestedBy requestedAt decidedBy decidedAt comment }
      guardRails { maxCredits maxDrift expectedRecipients expectedCredits lifted tripped { guard measure limit expected found } }
      startedAt
      dispatchedAt
      completedAt
      stats { recipients queued sending sent delivered failed skipped canceled replied optedOut creditsUsed clicks uniqueClicks conversions conversionRate revenue { currency conversions net refunded perRecipient } }
      failures { code message status count }
    }
  }
`);
const Pause = graphql(`
  mutation PagePause($id: ID!) {
    pauseCampaign(id: $id) {
      __typename
      ... on Campaign { id status pauseReason }
      ... on Error { code message }
    }
  }
`);
const Resume = graphql(`
  mutation PageResume($id: ID!) {
    resumeCampaign(id: $id) {
      __typename
      ... on Campaign { id status pauseReason }
      ... on Error { code message }
    }
  }
`);
const Cancel = graphql(`
  mutation PageCancel($id: ID!) {
    cancelCampaign(id: $id) {
      __typename
      ... on Campaign { id status canceledAt stats { queued canceled } }
      ... on Error { code message }
    }
  }
`);
const Clone = graphql(`
  mutation PageClone($id: ID!) {
    cloneCampaign(id: $id) {
      __typename
      ... on Campaign { id name status }
      ... on Error { code message }
    }
  }
`);
const Archive = graphql(`
  mutation PageArchive($id: ID!) {
    archiveCampaign(id: $id) {
      __typename
      ... on Campaign { id archivedAt }
      ... on Error { code message }
    }
  }
`);
const Unarchive = graphql(`
  mutation PageUnarchive($id: ID!) {
    unarchiveCampaign(id: $id) {
      __typename
      ... on Campaign { id archivedAt }
      ... on Error { code message }
    }
  }
`);
const Delete = graphql(`
  mutation PageDelete($id: ID!) {
    deleteCampaign(id: $id) {
      __typename
      ... on Deleted { deletedId }
      ... on Error { code message }
    }
  }
`);

export type Campaign = NonNullable<CampaignPageQuery["campaign"]>;

const ENDED = new Set(["COMPLETED", "CANCELED", "FAILED"]);
const RUNS = new Set(["SCHEDULED", "PREPARING", "SENDING", "PAUSED"]);

export function CampaignPage() {
  const { t } = useLingui();
  const { id } = useParams({ from: "/shell/campaigns/$id" });
  const reading = useData(CampaignData, { id });
  return (
    <States of={reading} title={t`Campaign`} loading={<CampaignLoading />}>
      {({ campaign }) =>
        campaign == null ? (
          <EmptyState isPage icon="search" title={t`There is no such campaign`} action={<ButtonLink to="/campaigns">{t`All campaigns`}</ButtonLink>}>
            <Trans>It may be of another workspace, or of the other mode.</Trans>
          </EmptyState>
        ) : (
          <Shown campaign={campaign} />
        )
      }
    </States>
  );
}

function CampaignLoading() {
  return (
    <Loading>
      <Skeleton className="mb-6 h-10 w-72" />
      <Skeleton className="mb-6 h-28 w-full" />
      <Skeleton className="h-80 w-full" />
    </Loading>
  );
}

function Shown({ campaign }: { campaign: Campaign }) {
  const { t } = useLingui();
  const navigate = useNavigate();
  const { tab = "overview", status } = useSearch({ from: "/shell/campaigns/$id" });
  const { id, stats } = campaign;
  // Replies and late reports come after its end, too.
  useLive(CampaignLive, { id }, { pause: campaign.status === "DRAFT" });
  const tabs = [
    { value: "overview", label: t`Overview` },
    { value: "recipients", label: t`Recipients`, count: stats.recipients },
    { value: "replies", label: t`Replies`, count: stats.replied },
    { value: "books", label: t`Books` },
    { value: "events", label: t`Events` },
  ];
  return (
    <>
      <PageHead
        above={
          <Link to="/campaigns" className="mb-1 inline-block text-sm">
            {t`Campaigns`}
          </Link>
        }
        title={campaign.name}
        lead={
          <span className="flex flex-wrap items-center gap-x-3 gap-y-1">
            <CampaignBadge status={campaign.status} />
            <When campaign={campaign} />
            <CopyId id={id} short />
          </span>
        }
        actions={
          <>
            {campaign.startedAt != null && <ButtonLink to="/exports/new" search={{ kind: "campaign_results", campaign: id }}>{t`Export`}</ButtonLink>}
            <Actions campaign={campaign} />
          </>
        }
      />
      <Held campaign={campaign} />
      {campaign.approval != null && <ApprovalCard campaign={campaign} approval={campaign.approval} />}
      <Tabs label={t`Parts`} tabs={tabs} value={tab} onChange={(next) => void navigate({ to: "/campaigns/$id", params: { id }, search: next === "overview" ? {} : { tab: next as "books" }, resetScroll: false })} />
      {tab === "overview" && <Overview campaign={campaign} />}
      {tab === "recipients" && <Recipients id={id} status={status} />}
      {tab === "replies" && <Recipients id={id} status="REPLIED" isFixed />}
      {tab === "books" && <Books id={id} />}
      {tab === "events" && <Events id={id} status={campaign.status} />}
    </>
  );
}

function When({ campaign }: { campaign: Campaign }) {
  const { completedAt, startedAt, scheduledAt, createdAt } = campaign;
  if (completedAt != null)
    return (
      <span>
        <Trans>
          Ended <Time at={completedAt} />
        </Trans>
      </span>
    );
  if (startedAt != null)
    return (
      <span>
        <Trans>
          Began <Time at={startedAt} />
        </Trans>
      </span>
    );
  if (scheduledAt != null)
    return (
      <span>
        <Trans>
          Begins <Time at={scheduledAt} />
        </Trans>
      </span>
    );
  return (
    <span>
      <Trans>
        Made <Time at={createdAt} />
      </Trans>
    </span>
  );
}

/** What moved beyond a guard rail, in words. */
function useMoved(rails: Campaign["guardRails"]): string {
  const { t } = useLingui();
  const { whole } = useNumbers();
  const tripped = rails?.tripped;
  if (tripped == null) return t`It moved beyond what was reviewed. Resume it to send it all the same.`;
  const expected = whole(tripped.expected ?? 0);
  const limit = whole(tripped.limit);
  if (tripped.guard === "max_credits") return t`${plural(tripped.found, { one: `It would cost # credit, and may cost ${limit} at most. Resume it to send it all the same.`, other: `It would cost # credits, and may cost ${limit} at most. Resume it to send it all the same.` })}`;
  return tripped.measure === "credits"
    ? t`${plural(tripped.found, { one: `It would cost # credit, where ${expected} were expected. Resume it to send it all the same.`, other: `It would cost # credits, where ${expected} were expected. Resume it to send it all the same.` })}`
    : t`${plural(tripped.found, { one: `It has # recipient, where ${expected} were expected. Resume it to send it all the same.`, other: `It has # recipients, where ${expected} were expected. Resume it to send it all the same.` })}`;
}

function Held({ campaign: { status, pauseReason, warnings, guardRails, sequenceId, approval } }: { campaign: Campaign }) {
  const { t } = useLingui();
  const warningText = useWarningText();
  const moved = useMoved(guardRails);
  const reasons: Record<string, string> = {
    manual: t`Somebody paused it. Nothing more goes out until it is resumed.`,
    insufficient_credits: t`The credits ran out. It can be resumed once there are more.`,
    daily_cap: t`The day's cap of credits was reached. It goes on tomorrow, or when the cap is raised and it is resumed.`,
    missed: t`Its time passed while it could not be sent. Look at it, then resume it.`,
    guard_rail: moved,
    approval_required: approval?.state === "rejected" ? t`It was rejected. It can still be changed, which asks again.` : t`A second owner or admin must approve it first. It can still be changed, which asks again.`,
    exclusion_missing: t`A list, segment or campaign that it leaves out was deleted. Resume it to go on without that.`,
  };
  const lines: ReactNode[] = [];
  if (sequenceId != null)
    lines.push(
      <Callout key="sequence" tone="info" action={<ButtonLink to="/sequences/$id" params={{ id: sequenceId }} size="small">{t`Open the sequence`}</ButtonLink>}>
        {t`These are the messages of a step of a sequence. They change with the sequence only.`}
      </Callout>,
    );
  if (status === "PAUSED")
    lines.push(
      <Callout key="paused" tone="warn" action={pauseReason === "insufficient_credits" ? <ButtonLink to="/credits" size="small">{t`Add credits`}</ButtonLink> : undefined}>
        {reasons[pauseReason ?? "manual"] ?? pauseReason}
      </Callout>,
    );
  if (RUNS.has(status)) lines.push(...warnings.map(({ code, message }) => <Callout key={code + message} tone="info">{warningText({ code, message })}</Callout>));
  return lines.length === 0 ? null : <div className="mb-5 space-y-2">{lines}</div>;
}

function Actions({ campaign }: { campaign: Campaign }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const navigate = useNavigate();
  const { membership } = useSession();
  const pause = useChange(Pause);
  const resume = useChange(Resume);
  const cancel = useChange(Cancel);
  const clone = useChange(Clone);
  const remove = useChange(Delete);
  const archive = useChange(Archive);
  const unarchive = useChange(Unarchive);
  const [isEnding, setEnding] = useState(false);
  const { id, status } = campaign;
  if (membership?.role === "READ_ONLY" || campaign.sequenceId != null) return null;
  const tell = (problem: Parameters<typeof textOf>[0] | null, text: string) => {
    toast(problem === null ? { text } : { text: textOf(problem), tone: "danger" });
    return problem === null;
  };
  return (
    <>
      {isEditable(campaign) && <ButtonLink to="/campaigns/new" search={{ id }}>{t`Edit`}</ButtonLink>}
      {(status === "SENDING" || status === "SCHEDULED") && (
        <Button icon="pause" isPending={pause.isRunning} onPress={async () => tell((await pause.run({ id })).problem, t`Paused.`)}>{t`Pause`}</Button>
      )}
      {status === "PAUSED" && !isUnapproved(campaign.approval) && (
        <Button look="primary" icon="play" isPending={resume.isRunning} onPress={async () => tell((await resume.run({ id })).problem, t`It goes on.`)}>{t`Resume`}</Button>
      )}
      <Button
        isPending={clone.isRunning}
        onPress={async () => {
          const { done, problem } = await clone.run({ id });
          if (tell(problem, t`A copy is open as a draft.`) && done !== null) await navigate({ to: "/campaigns/new", search: { id: done.id } });
        }}
      >{t`Copy`}</Button>
      {RUNS.has(status) && <Button look="danger" onPress={() => setEnding(true)}>{t`Cancel campaign`}</Button>}
      {ENDED.has(status) && campaign.archivedAt == null && (
        <Button isPending={archive.isRunning} onPress={async () => tell((await archive.run({ id })).problem, t`Archived.`)}>{t`Archive`}</Button>
      )}
      {campaign.archivedAt != null && (
        <Button isPending={unarchive.isRunning} onPress={async () => tell((await unarchive.run({ id })).problem, t`Back among the campaigns.`)}>{t`Take out of the archive`}</Button>
      )}
      {status === "DRAFT" && <Button look="danger" onPress={() => setEnding(true)}>{t`Delete`}</Button>}
      <Confirm
        isOpen={isEnding}
        onClose={() => setEnding(false)}
        title={status === "DRAFT" ? t`Delete this draft?` : t`Cancel “${campaign.name}”?`}
        action={status === "DRAFT" ? t`Delete` : t`Cancel campaign`}
        isPending={cancel.isRunning || remove.isRunning}
        onConfirm={async () => {
          if (status === "DRAFT") {
            if (tell((await remove.run({ id })).problem, t`The draft is deleted.`)) await navigate({ to: "/campaigns" });
          } else tell((await cancel.run({ id })).problem, t`Canceled. What had not left stays here.`);
        }}
      >
        <p>
          {status === "DRAFT" ? (
            <Trans>It has not been sent to anybody.</Trans>
          ) : (
            <Trans>What has left arrives; everything else is not sent, and its credits come back. This cannot be undone.</Trans>
          )}
        </p>
      </Confirm>
    </>
  );
}
