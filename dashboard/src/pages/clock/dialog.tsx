// The sandbox's clock: begun, moved on, and ended; with what ran while it moved.
import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { useEffect, useState, type FormEvent } from "react";
import { useChange, useData } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { graphql } from "@/gql";
import type { ClockStateFragment } from "@/gql/graphql";
import { instantOf, localOf } from "@/pages/campaigns/times";
import { eventName } from "@/pages/developers/names";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field } from "@/ui/fields";
import { Callout, Count, Time, useZone } from "@/ui/show";
import { useProblemText } from "@/ui/states";
import { useIsAdmin, useTell } from "@/ui/tell";
import { countsOf, firstTime } from "./ran";

const CreateClock = graphql(`
  mutation ClockCreate($input: CreateTestClockInput!) {
    createTestClock(input: $input) {
      __typename
      ... on TestClock { ...ClockState }
      ... on Error { code message param }
    }
  }
`);
const AdvanceClock = graphql(`
  mutation ClockAdvance($input: AdvanceTestClockInput!) {
    advanceTestClock(input: $input) {
      __typename
      ... on TestClock { ...ClockState }
      ... on Error { code message param }
    }
  }
`);
const EndClock = graphql(`
  mutation ClockEnd {
    deleteTestClock {
      __typename
      ... on Deleted { deletedId }
      ... on Error { code message }
    }
  }
`);
const Ran = graphql(`
  query ClockRan { events(first: 100) { nodes { id type createdAt } pageInfo { hasNextPage } } }
`);

const HOUR = 3600;
const DAY = 24 * HOUR;

interface Props {
  clock: ClockStateFragment | null;
  /** Has the time read again. */
  onMoved: () => void;
  onClose: () => void;
}

export function ClockDialog({ clock, onMoved, onClose }: Props) {
  const { t } = useLingui();
  const isAdmin = useIsAdmin();
  return (
    <Dialog isOpen onClose={onClose} title={t`Sandbox clock`}>
      <div className="space-y-5">
        {clock === null ? (
          <>
            <p className="text-muted">
              <Trans>Give the sandbox a time of its own and live a week in seconds: schedules, quiet hours, sequences and retries run in their order.</Trans>{" "}
              <HowItWorks />
            </p>
            {isAdmin ? <Begin onMoved={onMoved} /> : <OnlyAdmins />}
          </>
        ) : (
          <Moving clock={clock} onMoved={onMoved} />
        )}
      </div>
    </Dialog>
  );
}

function HowItWorks() {
  return (
    <a href="/docs/test-clock" target="_blank" rel="noreferrer">
      <Trans>How it works</Trans>
    </a>
  );
}

function OnlyAdmins() {
  const { t } = useLingui();
  return <Callout tone="info">{t`Owners and admins move the clock. You see where it stands.`}</Callout>;
}

function Begin({ onMoved }: { onMoved: () => void }) {
  const { t } = useLingui();
  const zone = useZone();
  const tell = useTell();
  const textOf = useProblemText();
  const create = useChange(CreateClock);
  const [at, setAt] = useState(() => localOf(firstTime(Date.now()), zone));
  const [problem, setProblem] = useState<Problem | null>(null);
  const now = instantOf(at, zone);
  const begin = async (event?: FormEvent) => {
    event?.preventDefault();
    if (now === null || create.isRunning) return;
    const { problem: found } = await create.run({ input: { now } });
    setProblem(found);
    if (found !== null) return;
    tell(null, t`The sandbox lives in its own time now.`);
    onMoved();
  };
  const isOfTime = problem?.param === "now";
  return (
    <form className="space-y-4" onSubmit={(event) => void begin(event)}>
      {problem !== null && !isOfTime && <Callout tone="danger">{textOf(problem)}</Callout>}
      <Field label={t`It begins at (${zone})`} hint={t`At least an hour from now.`} type={"datetime-local" as "text"} value={at} onChange={setAt} error={isOfTime ? textOf(problem!) : undefined} />
      <Button type="submit" look="primary" icon="play" isPending={create.isRunning} isDisabled={now === null}>{t`Begin`}</Button>
    </form>
  );
}

function Moving({ clock, onMoved }: { clock: ClockStateFragment; onMoved: () => void }) {
  const { t } = useLingui();
  const isAdmin = useIsAdmin();
  const { status, now, advancingTo, failure } = clock;
  const moves = status === "ADVANCING";
  // Where it stood before it was moved here: what happened since then ran in this step.
  const [from, setFrom] = useState<string | null>(null);
  return (
    <>
      <div>
        <p className="text-2xl font-semibold tracking-tight tabular">
          <Time at={now} style="full" />
        </p>
        <p role="status" className="text-sm text-muted">
          {moves && advancingTo != null ? (
            <Trans>
              It moves on to <Time at={advancingTo} style="full" />.
            </Trans>
          ) : moves ? (
            <Trans>It moves on.</Trans>
          ) : (
            <Trans>It stands. What is due at this time is done.</Trans>
          )}
        </p>
      </div>
      {status === "FAILED" && <Callout tone="danger">{t`Something could not be done (${failure ?? "?"}). Move the clock again to try once more.`}</Callout>}
      {isAdmin ? <Advance now={now} moves={moves} onMoved={onMoved} onBegin={setFrom} /> : <OnlyAdmins />}
      {from !== null && <WhatRan key={`${now} ${status}`} from={from} to={now} moves={moves} />}
      {isAdmin && <End onMoved={onMoved} />}
    </>
  );
}

function Advance({ now, moves, onMoved, onBegin }: { now: string; moves: boolean; onMoved: () => void; onBegin: (from: string) => void }) {
  const { t } = useLingui();
  const zone = useZone();
  const textOf = useProblemText();
  const advance = useChange(AdvanceClock);
  const [at, setAt] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const to = instantOf(at, zone);
  const isBusy = moves || advance.isRunning;
  const go = async (input: { to: string } | { bySeconds: number }) => {
    if (isBusy) return;
    onBegin(now);
    const { problem: found } = await advance.run({ input });
    setProblem(found);
    if (found === null) setAt("");
    onMoved();
  };
  const steps = [
    { label: t`1 hour`, seconds: HOUR },
    { label: t`1 day`, seconds: DAY },
    { label: t`1 week`, seconds: 7 * DAY },
  ];
  const isOfTime = problem?.param === "to";
  return (
    <div className="space-y-4">
      {problem !== null && !isOfTime && <Callout tone="danger">{textOf(problem)}</Callout>}
      <div role="group" aria-label={t`Move on by`} className="flex flex-wrap items-center gap-2">
        <span className="text-sm text-muted">{t`Move on by`}</span>
        {steps.map(({ label, seconds }) => (
          <Button key={seconds} size="small" isDisabled={isBusy} onPress={() => void go({ bySeconds: seconds })}>
            {label}
          </Button>
        ))}
      </div>
      <form
        className="flex flex-wrap items-end gap-2"
        onSubmit={(event) => {
          event.preventDefault();
          if (to !== null) void go({ to });
        }}
      >
        <Field label={t`or to a time (${zone})`} type={"datetime-local" as "text"} className="min-w-0 flex-1 basis-56" value={at} onChange={setAt} error={isOfTime ? textOf(problem!) : undefined} />
        <Button type="submit" isDisabled={isBusy || to === null}>{t`Move on`}</Button>
      </form>
    </div>
  );
}

/** What happened while the clock moved, by its events, the most frequent first. */
function WhatRan({ from, to, moves }: { from: string; to: string; moves: boolean }) {
  const { t } = useLingui();
  const reading = useData(Ran, {});
  const { retry } = reading;
  useEffect(retry, [moves, retry]);
  const found = reading.data?.events;
  if (found === undefined) return null;
  const counts = countsOf(found.nodes, from, to);
  const isMore = found.pageInfo.hasNextPage && found.nodes.every(({ createdAt }) => createdAt > from);
  return (
    <section aria-label={t`What ran`} aria-live="polite">
      <h3 className="mb-1 text-sm font-medium">{t`What ran`}</h3>
      {counts.length === 0 ? (
        <p className="text-sm text-muted">{moves ? t`Nothing yet.` : t`Nothing was due.`}</p>
      ) : (
        <ul className="divide-y divide-line text-sm">
          {counts.map(({ type, count }) => (
            <li key={type} className="flex justify-between gap-4 py-1.5">
              <span className="font-mono">{eventName(type)}</span>
              <Count value={count} />
            </li>
          ))}
        </ul>
      )}
      {isMore && (
        <p className="mt-1 text-sm text-muted">
          <Plural value={found.nodes.length} one="The last # event; there were more." other="The last # events; there were more." />
        </p>
      )}
    </section>
  );
}

/** Ending is asked once more in its place: what waits keeps a time that is then far away. */
function End({ onMoved }: { onMoved: () => void }) {
  const { t } = useLingui();
  const tell = useTell();
  const end = useChange(EndClock);
  const [isAsked, setAsked] = useState(false);
  if (!isAsked)
    return (
      <div className="border-t border-line pt-4">
        <Button size="small" look="quiet" onPress={() => setAsked(true)}>{t`Return to real time`}</Button>
      </div>
    );
  return (
    <Callout
      tone="warn"
      action={
        <div className="flex flex-wrap gap-2">
          <Button size="small" onPress={() => setAsked(false)}>{t`Not now`}</Button>
          <Button
            size="small"
            look="danger"
            isPending={end.isRunning}
            onPress={async () => {
              if (tell((await end.run({})).problem, t`The sandbox is back in real time.`)) onMoved();
            }}
          >{t`Return to real time`}</Button>
        </div>
      }
    >
      <Trans>What waits keeps its time, and runs when the real time has come to it.</Trans>
    </Callout>
  );
}
