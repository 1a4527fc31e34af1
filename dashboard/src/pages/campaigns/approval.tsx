// A campaign that goes to many waits for a second person: who asked, who may decide, and what was decided.
import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { useState } from "react";
import { useChange, useData } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { useSession } from "@/api/session";
import { graphql } from "@/gql";
import { Button } from "@/ui/button";
import { TextArea } from "@/ui/fields";
import { Badge, Callout, Card, Time, useNumbers } from "@/ui/show";
import { useProblemText } from "@/ui/states";
import { useIsAdmin, useTell } from "@/ui/tell";
import type { Campaign } from "./campaign";
import { historyOf, whyNot } from "./decisions";

const ApprovalPeople = graphql(`
  query ApprovalPeople($id: ID!) {
    members { id name email }
    campaign(id: $id) { id events { id type data createdAt } }
  }
`);
const ApprovalKey = graphql(`
  query ApprovalKey($id: ID!) { apiKey(id: $id) { id name createdBy } }
`);
const AudienceNow = graphql(`
  query ApprovalAudience($input: PreviewCampaignInput!) { campaignPreview(input: $input) { audienceCount } }
`);
const Approve = graphql(`
  mutation PageApprove($id: ID!, $input: DecideApprovalInput!) {
    approveCampaign(id: $id, input: $input) {
      __typename
      ... on Campaign { ...CampaignFull }
      ... on Error { code message param }
    }
  }
`);
const Reject = graphql(`
  mutation PageReject($id: ID!, $input: DecideApprovalInput!) {
    rejectCampaign(id: $id, input: $input) {
      __typename
      ... on Campaign { ...CampaignFull }
      ... on Error { code message param }
    }
  }
`);
const AskAgain = graphql(`
  mutation PageAskAgain($id: ID!) {
    requestCampaignApproval(id: $id) {
      __typename
      ... on Campaign { ...CampaignFull }
      ... on Error { code message }
    }
  }
`);

const MOST = 500;

type Approval = NonNullable<Campaign["approval"]>;

/** Return what names who asked or decided: a member, a key, or an id of somebody who has left. */
function usePeople(id: string, approval: Approval) {
  const { t } = useLingui();
  const { user } = useSession();
  const isAdmin = useIsAdmin();
  const reading = useData(ApprovalPeople, { id });
  const keyId = approval.requestedBy?.startsWith("key_") ? approval.requestedBy : null;
  const key = useData(ApprovalKey, { id: keyId ?? "" }, { pause: keyId === null || !isAdmin }).data?.apiKey;
  const members = reading.data?.members ?? [];
  const nameOf = (who: string | null | undefined): string => {
    if (who == null) return t`Somebody`;
    if (who === user.id) return t`You`;
    if (who.startsWith("key_")) return key != null && key.id === who ? t`The API key “${key.name}”` : t`An API key`;
    const member = members.find((each) => each.id === who);
    return member === undefined ? t`Somebody who has left` : member.name || member.email;
  };
  return { nameOf, keyOwner: key?.createdBy ?? null, events: reading.data?.campaign?.events ?? [] };
}

export function ApprovalCard({ campaign, approval }: { campaign: Campaign; approval: Approval }) {
  const { t } = useLingui();
  const { nameOf, keyOwner, events } = usePeople(campaign.id, approval);
  const { state, requestedBy, requestedAt, decidedBy, decidedAt, comment, recipientCount } = approval;
  const isOver = campaign.status === "CANCELED";
  const badges = {
    required: <Badge tone="warn" icon="clock">{t`Waits for approval`}</Badge>,
    approved: <Badge tone="good" icon="check">{t`Approved`}</Badge>,
    rejected: <Badge tone="danger" icon="close">{t`Rejected`}</Badge>,
  } as const;
  const asker = nameOf(requestedBy);
  const decider = nameOf(decidedBy);
  return (
    <Card title={t`Approval`} tools={isOver && state === "required" ? undefined : badges[state as "required"]} className="mb-5">
      <div className="space-y-4">
        <p>
          <Trans>
            {asker} asked for it, <Time at={requestedAt} style="full" />:
          </Trans>{" "}
          <Plural value={recipientCount} one="it goes to # recipient." other="it goes to # recipients." />
        </p>
        {decidedAt != null && (
          <p>
            {state === "approved" ? (
              <Trans>
                {decider} approved it, <Time at={decidedAt} style="full" />.
              </Trans>
            ) : (
              <Trans>
                {decider} rejected it, <Time at={decidedAt} style="full" />.
              </Trans>
            )}
          </p>
        )}
        {comment != null && <blockquote className="border-l-2 border-line-strong pl-3 break-words whitespace-pre-wrap text-muted">{comment}</blockquote>}
        {state === "required" && campaign.status === "PAUSED" && <Decide campaign={campaign} requestedBy={requestedBy ?? null} keyOwner={keyOwner} />}
        {state === "rejected" && campaign.status === "PAUSED" && <Again campaign={campaign} />}
        <History events={events} nameOf={nameOf} />
      </div>
    </Card>
  );
}

/** Whom it goes to now, where that has changed since it was asked for: lists and segments live on meanwhile. */
function Drift({ campaign: { body, audience, approval } }: { campaign: Campaign }) {
  const { t } = useLingui();
  const { whole } = useNumbers();
  const input = { body, audience: { listIds: audience.lists.map(({ id }) => id), segmentId: audience.segment?.id ?? null, contactIds: audience.contactIds } };
  const now = useData(AudienceNow, { input }).data?.campaignPreview.audienceCount;
  const before = approval?.recipientCount;
  if (now === undefined || before === undefined || now === before) return null;
  const nowCount = whole(now);
  const beforeCount = whole(before);
  return (
    <Callout tone="warn">
      {now > before
        ? t`Its audience has grown since: ${nowCount} people now, ${beforeCount} when it was asked for. Approved, it goes to no more than were asked for: with more at its start, it waits once more.`
        : t`Its audience has shrunk since: ${nowCount} people now, ${beforeCount} when it was asked for.`}
    </Callout>
  );
}

function Decide({ campaign, requestedBy, keyOwner }: { campaign: Campaign; requestedBy: string | null; keyOwner: string | null }) {
  const { t } = useLingui();
  const { user } = useSession();
  const isAdmin = useIsAdmin();
  const textOf = useProblemText();
  const tell = useTell();
  const approve = useChange(Approve);
  const reject = useChange(Reject);
  const [comment, setComment] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const why = whyNot({ state: "required", requestedBy }, { userId: user.id, isAdmin, keyOwner });
  const whys = {
    role: t`A second owner or admin decides about it.`,
    own: t`You launched or changed it last. So that two people have seen it, another owner or admin decides.`,
    own_key: t`A key of yours launched or changed it last. So that two people have seen it, another owner or admin decides.`,
  } as const;
  if (why !== null)
    return (
      <div className="space-y-3">
        <Drift campaign={campaign} />
        <Callout tone="info">{whys[why]}</Callout>
      </div>
    );
  const decide = async (isApproved: boolean) => {
    const decision = { id: campaign.id, input: { version: campaign.version, comment: comment.trim() === "" ? null : comment.trim() } };
    const { problem: found } = isApproved ? await approve.run(decision) : await reject.run(decision);
    setProblem(found);
    if (found === null) tell(null, isApproved ? t`Approved. It goes out as planned.` : t`Rejected. Nothing goes out.`);
  };
  const isBusy = approve.isRunning || reject.isRunning;
  const isOfComment = problem?.param === "comment";
  return (
    <div className="space-y-3">
      <Drift campaign={campaign} />
      {problem !== null && !isOfComment && <Callout tone="danger">{problem.code === "version_conflict" ? t`Somebody changed it meanwhile. Read it again, then decide.` : textOf(problem)}</Callout>}
      <TextArea label={t`Comment`} hint={t`Who asked reads it. To reject, say why.`} rows={2} value={comment} onChange={setComment} maxLength={MOST} error={isOfComment ? textOf(problem!) : undefined} />
      <div className="flex flex-wrap gap-2">
        <Button look="primary" icon="check" isPending={approve.isRunning} isDisabled={isBusy} onPress={() => void decide(true)}>{t`Approve`}</Button>
        <Button look="danger" isPending={reject.isRunning} isDisabled={isBusy || comment.trim() === ""} onPress={() => void decide(false)}>{t`Reject`}</Button>
      </div>
    </div>
  );
}

/** What can be done with a campaign that was rejected. */
function Again({ campaign: { id } }: { campaign: Campaign }) {
  const { t } = useLingui();
  const tell = useTell();
  const ask = useChange(AskAgain);
  const isReader = useSession().membership?.role === "READ_ONLY";
  if (isReader) return null;
  return (
    <div className="flex flex-wrap items-center gap-3">
      <Button icon="refresh" isPending={ask.isRunning} onPress={async () => void tell((await ask.run({ id })).problem, t`Asked again.`)}>{t`Ask again`}</Button>
      <p className="text-sm text-muted">
        <Trans>Nothing goes out until it is approved. Change it, or cancel it.</Trans>
      </p>
    </div>
  );
}

function History({ events, nameOf }: { events: Parameters<typeof historyOf>[0]; nameOf: (who: string | null) => string }) {
  const { t } = useLingui();
  const history = historyOf(events);
  // The last of them stands above already.
  if (history.length < 2) return null;
  const whats = { asked: t`asked for approval`, approved: t`approved`, rejected: t`rejected` } as const;
  return (
    <details className="text-sm">
      <summary className="cursor-pointer text-muted">{t`History`}</summary>
      <ol aria-label={t`History`} className="mt-2 space-y-1.5">
        {history.map(({ what, at, who, comment }) => (
          <li key={at + what} className="flex flex-wrap justify-between gap-x-4">
            <span className="min-w-0 break-words">
              <span className="font-medium">{nameOf(who)}</span> {whats[what]}
              {what !== "asked" && comment !== null && <span className="text-muted">: {comment}</span>}
            </span>
            <span className="text-muted">
              <Time at={at} style="full" />
            </span>
          </li>
        ))}
      </ol>
    </details>
  );
}
