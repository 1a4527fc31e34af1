// What the pages of sequences share: what they read, what things are called, who may change them.
import { useLingui } from "@lingui/react/macro";
import { useSession } from "@/api/session";
import { graphql } from "@/gql";
import type { EnrollmentState, SequenceStatus, SequenceTemplate } from "@/gql/graphql";
import { numbersOf } from "@/ui/formats";
import { Badge, type Tone } from "@/ui/show";
import { splitMinutes } from "./spans";

export const SequenceFull = graphql(`
  fragment SequenceFull on Sequence {
    id
    name
    status
    publishedVersion
    hasChanges
    from
    goal
    leaveOnReply
    mayReenter
    quietHours
    anchorAt
    version
    publishedAt
    archivedAt
    createdAt
    steps {
      key
      body
      waitMinutes
      anchorMinutes
      sendAtLocal
      otherwise
      shortenLinks
      onlyIf { filter clicked notClicked replied notReplied }
    }
    entry { listIds keywordIds tags events }
    stats { entered inside completed left leftByReason { reason contacts } }
  }
`);

export const useMayWrite = () => {
  const { membership } = useSession();
  return membership !== null && membership.role !== "READ_ONLY";
};

const TONES: Record<SequenceStatus, Tone> = { DRAFT: "neutral", ACTIVE: "good", PAUSED: "warn", ARCHIVED: "neutral" };
const STATE_TONES: Record<EnrollmentState, Tone> = { ACTIVE: "brand", COMPLETED: "good", LEFT: "neutral" };

export function useNames() {
  const { t } = useLingui();
  const statuses: Record<SequenceStatus, string> = { DRAFT: t`Draft`, ACTIVE: t`Active`, PAUSED: t`Paused`, ARCHIVED: t`In the archive` };
  const states: Record<EnrollmentState, string> = { ACTIVE: t`Inside`, COMPLETED: t`Finished`, LEFT: t`Left` };
  const reasons: Record<string, string> = {
    replied: t`Replied`,
    opted_out: t`Opted out`,
    goal: t`Reached the goal`,
    condition: t`Did not meet a condition`,
    removed: t`Taken out`,
    archived: t`Sequence archived`,
    contact_deleted: t`Contact deleted`,
    condition_not_met: t`Condition not met`,
    step_missed: t`Its time had passed`,
  };
  const ways: Record<string, string> = { api: t`By a call`, list: t`A list`, keyword: t`A keyword`, tag: t`A tag`, event: t`Something they did` };
  const events: Record<string, string> = { "contact.opted_in": t`Opts in`, "message.clicked": t`Clicks a link`, "message.replied": t`Replies to a message` };
  const words = (code: string) => code.toLowerCase().replaceAll("_", " ");
  return {
    statuses,
    states,
    reasonOf: (reason: string) => reasons[reason.toLowerCase()] ?? words(reason),
    wayOf: (way: string) => ways[way] ?? way,
    eventOf: (event: string) => events[event] ?? event,
    events,
  };
}

export function SequenceBadge({ status }: { status: SequenceStatus }) {
  return <Badge tone={TONES[status]}>{useNames().statuses[status]}</Badge>;
}

export function StateBadge({ state }: { state: EnrollmentState }) {
  return <Badge tone={STATE_TONES[state]}>{useNames().states[state]}</Badge>;
}

export function useTemplates(): { value: SequenceTemplate | null; name: string; about: string }[] {
  const { t } = useLingui();
  return [
    { value: "WELCOME", name: t`Welcome`, about: t`Three messages to somebody who has joined: a hello, the best place to start, a question.` },
    { value: "CHALLENGE", name: t`Challenge`, about: t`A task a day for five days, each at nine in the morning where they live.` },
    { value: "WEBINAR_REMINDER", name: t`Webinar reminder`, about: t`The day before, the hour before, five minutes before, and the replay the day after.` },
    { value: null, name: t`From scratch`, about: t`Write each step yourself.` },
  ];
}

/** Return what says a time span in the reader's language. */
export function useSpan() {
  const { i18n } = useLingui();
  return (minutes: number) => {
    const { amount, unit } = splitMinutes(Math.abs(minutes));
    return numbersOf(i18n.locale, { style: "unit", unit: unit.slice(0, -1), unitDisplay: "long" }).format(amount);
  };
}
