// The steps of a sequence, one below the other, with what came of each; beside them how people enter and leave.
import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { Link, useNavigate } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useData } from "@/api/hooks";
import { graphql } from "@/gql";
import type { SequenceFullFragment, SequenceStepStatsFieldsFragment } from "@/gql/graphql";
import { ButtonLink } from "@/ui/button";
import { Select } from "@/ui/fields";
import { Icon } from "@/ui/icons";
import { Badge, Card, Count, Facts, Time, useNumbers } from "@/ui/show";
import { EmptyState, States } from "@/ui/states";
import { useFilterText } from "./filtertext";
import { useMayWrite, useNames, useSpan } from "./shared";

export const SequenceStepStatsFields = graphql(`
  fragment SequenceStepStatsFields on SequenceStepStats {
    sequenceVersion
    key
    position
    campaignId
    waiting
    entered
    skipped
    skippedByReason { reason contacts }
    left
    queued
    sent
    delivered
    failed
    canceled
    clicked
    replied
    optedOut
    creditsUsed
  }
`);
const StatsData = graphql(`
  query SequencePageStats($id: ID!) {
    sequenceStats(id: $id) { steps { ...SequenceStepStatsFields } }
  }
`);

// What a version said stands in the campaigns as which its steps send.
const BodyData = graphql(`
  query SequenceStepBodies($ids: [ID!]!) {
    nodes(ids: $ids) {
      __typename
      ... on Campaign { id body }
    }
  }
`);

const AGAIN_MS = 5000;
const NEXT = "-";

type Step = SequenceFullFragment["steps"][number];
type Stats = SequenceStepStatsFieldsFragment;

export function Steps({ sequence, version }: { sequence: SequenceFullFragment; version: string | undefined }) {
  const reading = useData(StatsData, { id: sequence.id }, { every: AGAIN_MS });
  return (
    <div className="grid items-start gap-6 lg:grid-cols-[minmax(0,1fr)_20rem]">
      <States of={reading}>{({ sequenceStats }) => <StepList sequence={sequence} stats={sequenceStats.steps} version={version} />}</States>
      <div className="space-y-5">
        <PeopleCard sequence={sequence} />
        <WaysCard sequence={sequence} />
      </div>
    </div>
  );
}

function StepList({ sequence, stats, version }: { sequence: SequenceFullFragment; stats: readonly Stats[]; version: string | undefined }) {
  const { t } = useLingui();
  const navigate = useNavigate();
  const mayWrite = useMayWrite();
  const { id, steps, publishedVersion, hasChanges } = sequence;
  const versions = [...new Set(stats.map(({ sequenceVersion }) => sequenceVersion))];
  const asked = Number(version);
  const shown = version === NEXT && hasChanges ? null : versions.includes(asked) ? asked : (publishedVersion ?? null);
  const ofVersion = stats.filter(({ sequenceVersion }) => sequenceVersion === shown).toSorted((one, other) => one.position - other.position);
  const isAsItStands = shown === null || (shown === publishedVersion && !hasChanges);
  const rows: { key: string; step: Step | undefined; stats: Stats | undefined }[] = isAsItStands
    ? steps.map((step) => ({ key: step.key, step, stats: ofVersion.find(({ key }) => key === step.key) }))
    : ofVersion.map((each) => ({ key: each.key, step: undefined, stats: each }));
  const ids = ofVersion.map(({ campaignId }) => campaignId);
  const { data } = useData(BodyData, { ids }, { pause: isAsItStands || ids.length === 0 });
  const bodies = new Map((data?.nodes ?? []).map((node) => (node?.__typename === "Campaign" ? [node.id, node.body] : ["", ""])));
  const labels = versions.map((each) => ({ value: String(each), label: each === publishedVersion ? t`Version ${each}, the last published` : t`Version ${each}` }));
  const choices = hasChanges ? [{ value: NEXT, label: t`As it stands, not published` }, ...labels] : labels;
  if (steps.length === 0 && versions.length === 0)
    return (
      <Card>
        <EmptyState icon="sequence" title={t`No steps yet`} action={mayWrite ? <ButtonLink look="primary" to="/sequences/$id/edit" params={{ id }}>{t`Write the steps`}</ButtonLink> : undefined}>
          <Trans>A step is a wait and a message.</Trans>
        </EmptyState>
      </Card>
    );
  return (
    <div className="min-w-0">
      {choices.length > 1 && (
        <Select
          label={t`Version`}
          className="mb-4 max-w-sm"
          choices={choices}
          value={shown === null ? NEXT : String(shown)}
          onChange={(next) => void navigate({ to: "/sequences/$id", params: { id }, search: { version: next }, replace: true, resetScroll: false })}
        />
      )}
      <ol aria-label={t`Steps`} className="relative space-y-4 before:absolute before:top-4 before:bottom-4 before:left-4.5 before:w-px before:bg-line-strong">
        {rows.map(({ key, step, stats: each }, index) => (
          <StepRow key={key} number={index + 1} name={key} step={step} body={step?.body ?? bodies.get(each?.campaignId ?? "")} stats={each} />
        ))}
      </ol>
    </div>
  );
}

interface RowProps {
  number: number;
  name: string;
  /** The step as it stands; undefined for what an older version had. */
  step: Step | undefined;
  body: string | undefined;
  stats: Stats | undefined;
}

function StepRow({ number, name, step, body, stats }: RowProps) {
  const { t } = useLingui();
  const when = useWhen();
  const conditions = useConditions();
  return (
    <li className="relative pl-12" data-step={name}>
      <span className="absolute top-3 left-0 flex size-9 items-center justify-center rounded-full border border-line-strong bg-raised font-semibold" aria-hidden="true">
        {number}
      </span>
      <Card className="max-sm:p-4">
        <header className="flex flex-wrap items-baseline justify-between gap-x-4 gap-y-1">
          <h2 className="min-w-0 font-semibold wrap-anywhere">{name}</h2>
          {stats !== undefined && (
            <Link to="/campaigns/$id" params={{ id: stats.campaignId }} search={{ tab: "recipients" }} className="text-sm">
              {t`Its messages`}
            </Link>
          )}
        </header>
        {step !== undefined && (
          <>
            <p className="mt-1 flex items-start gap-1.5 text-sm text-muted">
              <Icon name="clock" className="mt-0.5 size-4" />
              <span>{when(step, number === 1)}</span>
            </p>
            {step.onlyIf != null && (
              <p className="mt-1 flex items-start gap-1.5 text-sm text-muted">
                <Icon name="segment" className="mt-0.5 size-4" />
                <span className="min-w-0 wrap-anywhere">{conditions(step)}</span>
              </p>
            )}
          </>
        )}
        {body !== undefined && <p className="mt-3 max-w-prose rounded-2xl rounded-tl-sm bg-sunken px-4 py-2.5 wrap-anywhere whitespace-pre-wrap">{body}</p>}
        {step?.shortenLinks === true && (
          <p className="mt-2">
            <Badge>{t`Short links`}</Badge>
          </p>
        )}
        {stats !== undefined && <StepNumbers stats={stats} />}
      </Card>
    </li>
  );
}

function StepNumbers({ stats }: { stats: Stats }) {
  const { t } = useLingui();
  const { whole } = useNumbers();
  const { reasonOf } = useNames();
  const given = stats.sent + stats.delivered;
  const numbers: readonly (readonly [string, string, number])[] = [
    ["waiting", t`Waiting`, stats.waiting],
    ["entered", t`Reached`, stats.entered],
    ["sent", t`Sent`, given],
    ["delivered", t`Delivered`, stats.delivered],
    ["clicked", t`Clicked`, stats.clicked],
    ["replied", t`Replied`, stats.replied],
    ["left", t`Left here`, stats.left],
    ...(stats.queued > 0 ? [["queued", t`On its way`, stats.queued] as const] : []),
    ...(stats.failed > 0 ? [["failed", t`Failed`, stats.failed] as const] : []),
    ...(stats.skipped > 0 ? [["skipped", t`Skipped`, stats.skipped] as const] : []),
    ...(stats.optedOut > 0 ? [["optedOut", t`Opted out`, stats.optedOut] as const] : []),
  ];
  const why = stats.skippedByReason.map(({ reason, contacts }) => `${reasonOf(reason)} ${whole(contacts)}`).join(" · ");
  return (
    <>
      <dl className="mt-4 grid grid-cols-[repeat(auto-fill,minmax(4.75rem,1fr))] gap-x-3 gap-y-2 border-t border-line pt-3">
        {numbers.map(([id, label, value]) => (
          <div key={id} data-count={id}>
            <dt className="text-sm text-muted">{label}</dt>
            <dd className="font-semibold">
              <Count value={value} />
            </dd>
          </div>
        ))}
      </dl>
      {why !== "" && <p className="mt-2 text-sm text-muted">{t`Skipped: ${why}`}</p>}
    </>
  );
}

/** Return what says when a step is taken. */
function useWhen() {
  const { t } = useLingui();
  const span = useSpan();
  return ({ waitMinutes, anchorMinutes, sendAtLocal }: Step, isFirst: boolean): string => {
    const time = span(anchorMinutes ?? waitMinutes);
    let text: string;
    if (anchorMinutes != null) text = anchorMinutes === 0 ? t`At the date of the sequence` : anchorMinutes < 0 ? t`${time} before the date of the sequence` : t`${time} after the date of the sequence`;
    else if (waitMinutes === 0) text = isFirst ? t`At once, when somebody enters` : t`At once after the step before`;
    else text = isFirst ? t`${time} after somebody enters` : t`${time} after the step before`;
    return sendAtLocal == null ? text : t`${text}, at ${sendAtLocal} by the recipient's clock`;
  };
}

/** Return what says whom a step is for. */
function useConditions() {
  const { t } = useLingui();
  const filterText = useFilterText();
  return ({ onlyIf, otherwise }: Step): string => {
    if (onlyIf == null) return "";
    const { clicked, notClicked, replied, notReplied, filter } = onlyIf;
    const parts = [
      clicked != null && t`clicked a link of ${clicked}`,
      notClicked != null && t`clicked no link of ${notClicked}`,
      replied != null && t`replied to ${replied}`,
      notReplied != null && t`did not reply to ${notReplied}`,
      filter != null && filterText(filter as Record<string, unknown>),
    ].filter((each): each is string => typeof each === "string");
    const asked = parts.join("; ");
    return otherwise === "LEAVE" ? t`Only who: ${asked}. Others leave the sequence.` : t`Only who: ${asked}. Others skip it.`;
  };
}

function PeopleCard({ sequence: { id, stats } }: { sequence: SequenceFullFragment }) {
  const { t } = useLingui();
  const { reasonOf } = useNames();
  const count = (value: number, state: "ACTIVE" | "COMPLETED" | "LEFT") => (
    <Link key={state} to="/sequences/$id" params={{ id }} search={{ tab: "people", state }}>
      <Count value={value} />
    </Link>
  );
  return (
    <Card title={t`People`}>
      <Facts
        items={[
          [t`Entered`, <Count key="entered" value={stats.entered} />],
          [t`Inside`, count(stats.inside, "ACTIVE")],
          [t`Finished`, count(stats.completed, "COMPLETED")],
          [t`Left`, count(stats.left, "LEFT")],
          ...stats.leftByReason.map(({ reason, contacts }): readonly [ReactNode, ReactNode] => [<span key={reason} className="pl-3">{reasonOf(reason)}</span>, <Count key={reason} value={contacts} />]),
        ]}
      />
    </Card>
  );
}

const WaysData = graphql(`
  query SequenceWays($keywords: Int) {
    contactLists(first: 100) { nodes { id name } }
    joinKeywords(first: $keywords) { nodes { id word } }
  }
`);

function WaysCard({ sequence }: { sequence: SequenceFullFragment }) {
  const { t } = useLingui();
  const { eventOf } = useNames();
  const filterText = useFilterText();
  const { data } = useData(WaysData, { keywords: 100 });
  const { entry, goal, leaveOnReply, mayReenter, quietHours, anchorAt, from } = sequence;
  const nameOf = (nodes: readonly { id: string; name: string }[], ids: readonly string[] | null | undefined) => (ids ?? []).map((id) => nodes.find((each) => each.id === id)?.name ?? id).join(", ");
  const lists = nameOf(data?.contactLists.nodes ?? [], entry?.listIds);
  const keywords = nameOf((data?.joinKeywords.nodes ?? []).map(({ id, word }) => ({ id, name: word })), entry?.keywordIds);
  const tags = (entry?.tags ?? []).join(", ");
  const events = (entry?.events ?? []).map(eventOf).join(", ");
  const isByCallsAlone = [lists, keywords, tags, events].every((each) => each === "");
  return (
    <Card title={t`In and out`}>
      <Facts
        items={[
          isByCallsAlone && [t`Enters`, t`By hand or by a call`],
          lists !== "" && [t`Joins a list`, lists],
          keywords !== "" && [t`Texts a keyword`, keywords],
          tags !== "" && [t`Gets a tag`, tags],
          events !== "" && [t`Does something`, events],
          [t`Enters again`, mayReenter ? t`Yes, after the end` : t`No, once ever`],
          [t`A reply`, leaveOnReply ? t`Ends it for them` : t`Changes nothing`],
          goal != null && [t`Goal`, filterText(goal as Record<string, unknown>)],
          anchorAt != null && [t`Date of the sequence`, <Time key="anchor" at={anchorAt} style="full" />],
          [t`Quiet hours`, quietHours ? t`Observed` : t`Not observed`],
          from != null && [t`Sender`, from],
        ]}
      />
      <p className="mt-3 text-sm text-muted">
        <Plural value={sequence.steps.length} one="# message to each at most." other="# messages to each at most." />
      </p>
    </Card>
  );
}
