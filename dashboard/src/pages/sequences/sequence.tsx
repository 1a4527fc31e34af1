import { Trans, useLingui } from "@lingui/react/macro";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { useChange, useData } from "@/api/hooks";
import { graphql } from "@/gql";
import type { SequenceFullFragment } from "@/gql/graphql";
import { Button, ButtonLink } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { Callout, CopyId, PageHead, Time } from "@/ui/show";
import { EmptyState, Loading, Skeleton, States } from "@/ui/states";
import { Tabs } from "@/ui/tabs";
import { useTell } from "@/ui/tell";
import { People } from "./people";
import { SequenceBadge, useMayWrite } from "./shared";
import { Steps } from "./steps";

const SequenceData = graphql(`
  query SequencePage($id: ID!) {
    sequence(id: $id) { ...SequenceFull }
  }
`);
const Publish = graphql(`
  mutation PagePublishSequence($id: ID!) {
    publishSequence(id: $id) {
      __typename
      ... on Sequence { ...SequenceFull }
      ... on Error { code message param }
    }
  }
`);
const Pause = graphql(`
  mutation PagePauseSequence($id: ID!) {
    pauseSequence(id: $id) {
      __typename
      ... on Sequence { id status }
      ... on Error { code message }
    }
  }
`);
const Resume = graphql(`
  mutation PageResumeSequence($id: ID!) {
    resumeSequence(id: $id) {
      __typename
      ... on Sequence { id status }
      ... on Error { code message }
    }
  }
`);
const Archive = graphql(`
  mutation PageArchiveSequence($id: ID!) {
    archiveSequence(id: $id) {
      __typename
      ... on Sequence { id status archivedAt }
      ... on Error { code message }
    }
  }
`);
const Delete = graphql(`
  mutation PageDeleteSequence($id: ID!) {
    deleteSequence(id: $id) {
      __typename
      ... on Deleted { deletedId }
      ... on Error { code message }
    }
  }
`);

const AGAIN_MS = 5000;

export function SequencePage() {
  const { t } = useLingui();
  const { id } = useParams({ from: "/shell/sequences/$id" });
  const reading = useData(SequenceData, { id }, { every: AGAIN_MS });
  return (
    <States of={reading} title={t`Sequence`} loading={<SequenceLoading />}>
      {({ sequence }) => (sequence == null ? <NoSequence /> : <Shown sequence={sequence} />)}
    </States>
  );
}

function SequenceLoading() {
  return (
    <Loading>
      <Skeleton className="mb-6 h-10 w-72" />
      <Skeleton className="mb-6 h-28 w-full" />
      <Skeleton className="h-80 w-full" />
    </Loading>
  );
}

export function NoSequence() {
  const { t } = useLingui();
  return (
    <EmptyState isPage icon="search" title={t`There is no such sequence`} action={<ButtonLink to="/sequences">{t`All sequences`}</ButtonLink>}>
      <Trans>It may be of another workspace, or of the other mode.</Trans>
    </EmptyState>
  );
}

function Shown({ sequence }: { sequence: SequenceFullFragment }) {
  const { t } = useLingui();
  const navigate = useNavigate();
  const { tab = "steps", state, version } = useSearch({ from: "/shell/sequences/$id" });
  const { id, name, status, stats, publishedVersion, publishedAt, createdAt } = sequence;
  const tabs = [
    { value: "steps", label: t`Steps`, count: sequence.steps.length },
    { value: "people", label: t`People`, count: stats.entered },
  ];
  return (
    <>
      <PageHead
        above={
          <Link to="/sequences" className="mb-1 inline-block text-sm">
            {t`Sequences`}
          </Link>
        }
        title={name}
        lead={
          <span className="flex flex-wrap items-center gap-x-3 gap-y-1">
            <SequenceBadge status={status} />
            <span>
              {publishedAt == null ? (
                <Trans>
                  Made <Time at={createdAt} />
                </Trans>
              ) : (
                <Trans>
                  Version {publishedVersion}, published <Time at={publishedAt} />
                </Trans>
              )}
            </span>
            <CopyId id={id} short />
          </span>
        }
        actions={<Actions sequence={sequence} />}
      />
      <Held sequence={sequence} />
      <Tabs label={t`Parts`} tabs={tabs} value={tab} onChange={(next) => void navigate({ to: "/sequences/$id", params: { id }, search: next === "steps" ? {} : { tab: next as "people" }, resetScroll: false })} />
      {tab === "steps" && <Steps sequence={sequence} version={version} />}
      {tab === "people" && <People sequence={sequence} state={state} />}
    </>
  );
}

/** What keeps people or messages from going on, or what was written and is not published yet. */
function Held({ sequence: { status, hasChanges } }: { sequence: SequenceFullFragment }) {
  return (
    <div className="mb-5 space-y-2 empty:hidden">
      {status === "PAUSED" && (
        <Callout tone="warn">
          <Trans>Somebody paused it. People still enter, and wait: no step is taken until it is resumed.</Trans>
        </Callout>
      )}
      {status === "ARCHIVED" && (
        <Callout tone="info">
          <Trans>It has ended for good: all have left, and nobody enters.</Trans>
        </Callout>
      )}
      {hasChanges && status !== "ARCHIVED" && (
        <Callout tone="info">
          <Trans>It was changed since it was published. Who enters now still gets what was published last.</Trans>
        </Callout>
      )}
    </div>
  );
}

function Actions({ sequence }: { sequence: SequenceFullFragment }) {
  const { t } = useLingui();
  const tell = useTell();
  const navigate = useNavigate();
  const mayWrite = useMayWrite();
  const publish = useChange(Publish);
  const pause = useChange(Pause);
  const resume = useChange(Resume);
  const archive = useChange(Archive);
  const remove = useChange(Delete);
  const [asked, setAsked] = useState<"publish" | "end" | null>(null);
  const { id, name, status, hasChanges, stats, steps } = sequence;
  if (!mayWrite) return null;
  const isDraft = status === "DRAFT";
  const close = () => setAsked(null);
  const inside = stats.inside;
  return (
    <>
      {status !== "ARCHIVED" && <ButtonLink to="/sequences/$id/edit" params={{ id }}>{t`Edit`}</ButtonLink>}
      {status === "ACTIVE" && <Button icon="pause" isPending={pause.isRunning} onPress={async () => tell((await pause.run({ id })).problem, t`Paused.`)}>{t`Pause`}</Button>}
      {status === "PAUSED" && <Button look="primary" icon="play" isPending={resume.isRunning} onPress={async () => tell((await resume.run({ id })).problem, t`It goes on.`)}>{t`Resume`}</Button>}
      {(status === "ACTIVE" || status === "PAUSED") && <Button look="danger" onPress={() => setAsked("end")}>{t`Archive`}</Button>}
      {isDraft && <Button look="danger" onPress={() => setAsked("end")}>{t`Delete`}</Button>}
      {(isDraft || hasChanges) && status !== "ARCHIVED" && (
        <Button
          look="primary"
          isDisabled={steps.length === 0}
          onPress={() => setAsked("publish")}
        >{t`Publish`}</Button>
      )}
      <Confirm
        isOpen={asked === "publish"}
        onClose={close}
        title={t`Publish “${name}”?`}
        action={t`Publish`}
        isPending={publish.isRunning}
        onConfirm={async () => {
          tell((await publish.run({ id })).problem, t`Published. People can enter.`);
        }}
      >
        <p>
          {isDraft ? <Trans>From now on, people enter and get its messages.</Trans> : <Trans>Who enters from now on gets it as it stands. Who is inside stays on the version that they entered.</Trans>}
        </p>
      </Confirm>
      <Confirm
        isOpen={asked === "end"}
        onClose={close}
        title={isDraft ? t`Delete this draft?` : t`Archive “${name}”?`}
        action={isDraft ? t`Delete` : t`Archive`}
        isPending={archive.isRunning || remove.isRunning}
        onConfirm={async () => {
          if (isDraft) {
            if (tell((await remove.run({ id })).problem, t`The draft is deleted.`)) await navigate({ to: "/sequences" });
          } else tell((await archive.run({ id })).problem, t`Archived. All have left.`);
        }}
      >
        <p>
          {isDraft ? (
            <Trans>It has not been sent to anybody.</Trans>
          ) : (
            <Trans>All {inside} who are inside leave, and what has not left for their phones is not sent. This cannot be undone.</Trans>
          )}
        </p>
      </Confirm>
    </>
  );
}
