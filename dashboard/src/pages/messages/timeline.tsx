import { useLingui } from "@lingui/react/macro";
import { useData } from "@/api/hooks";
import { graphql } from "@/gql";
import type { MessageTimelineTabQuery } from "@/gql/graphql";
import { useStatusNames } from "@/status";
import { classes } from "@/ui/classes";
import { FailureText } from "@/ui/failures";
import { Time } from "@/ui/show";
import { EmptyState, States } from "@/ui/states";
import { words } from "./names";

const TimelineData = graphql(`
  query MessageTimelineTab($id: ID!) {
    message(id: $id) {
      id
      timeline {
        kind
        at
        status
        attempt { id number carrier outcome resend }
        eventId
        eventType
        error { code message }
        reply { id body }
      }
    }
  }
`);
const LIVE_MS = 4000;

type Entry = NonNullable<MessageTimelineTabQuery["message"]>["timeline"][number];

/** All that happened to a message, in its order. */
export function Timeline({ id }: { id: string }) {
  const { t } = useLingui();
  const reading = useData(TimelineData, { id }, { every: LIVE_MS });
  return (
    <States of={reading}>
      {({ message }) =>
        message == null || message.timeline.length === 0 ? (
          <EmptyState icon="clock" title={t`Nothing happened yet`} />
        ) : (
          <ol className="ml-1.5 border-l border-line">
            {message.timeline.map((entry, index) => (
              // Entries are only added at the end, so a place is an identity.
              <Line key={index} entry={entry} />
            ))}
          </ol>
        )
      }
    </States>
  );
}

function Line({ entry }: { entry: Entry }) {
  const { t } = useLingui();
  const names = useStatusNames().messages;
  const { kind, at, status, attempt, eventType, eventId, error, reply } = entry;
  const number = attempt?.number ?? 0;
  const carrier = attempt?.carrier ?? "";
  const titles = {
    STATE: status == null ? "" : names[status],
    ATTEMPT_STARTED: t`Try ${number} begins at ${carrier}`,
    ATTEMPT_ENDED: t`Try ${number} ends: ${words(attempt?.outcome ?? "?")}`,
    EVENT: t`Event ${(eventType ?? "").toLowerCase().replace("_", ".")}`,
    REPLY: t`The recipient answered`,
  } as const;
  const isState = kind === "STATE" || kind === "REPLY";
  return (
    <li className="relative pb-4 pl-5 last:pb-0">
      <span className={classes("absolute top-1.5 -left-[0.34rem] size-2.5 rounded-full", error != null ? "bg-danger" : isState ? "bg-brand" : "bg-line-strong")} aria-hidden="true" />
      <div className="flex flex-wrap items-baseline justify-between gap-x-4">
        <span className={classes(isState ? "font-medium" : "text-sm")}>{titles[kind]}</span>
        <span className="text-sm text-muted">
          <Time at={at} style="full" />
        </span>
      </div>
      {error != null && <p className="text-sm text-danger"><FailureText of={error} /></p>}
      {reply != null && <p className="mt-1 rounded-xl bg-sunken px-3 py-2 text-sm break-words whitespace-pre-wrap">{reply.body}</p>}
      {eventId != null && <p className="font-mono text-xs break-all text-muted">{eventId}</p>}
    </li>
  );
}
