import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useChange, useData } from "@/api/hooks";
import { graphql } from "@/gql";
import type { MessageDrawerQuery } from "@/gql/graphql";
import { MessageBadge } from "@/status";
import { Button } from "@/ui/button";
import { byName } from "@/ui/byname";
import { Confirm, Dialog } from "@/ui/dialog";
import { FailureText } from "@/ui/failures";
import { SegmentMeter } from "@/ui/phone";
import { Callout, CopyId, Credits, Facts, Time } from "@/ui/show";
import { EmptyState, States, useProblemText } from "@/ui/states";
import { Tabs } from "@/ui/tabs";
import { toast } from "@/ui/toast";
import { useWarningText } from "@/ui/warnings";
import { useOriginNames } from "./names";
import type { TABS } from "./routes";
import { Timeline } from "./timeline";
import { Why } from "./why";

const DrawerData = graphql(`
  query MessageDrawer($id: ID!) {
    message(id: $id) {
      ...LogRow
      encoding
      parts
      scheduledAt
      expiresAt
      sentAt
      deliveredAt
      failedAt
      canceledAt
      repliedAt
      metadata
      warnings { code message }
    }
  }
`);
const Cancel = graphql(`
  mutation CancelOneMessage($id: ID!) {
    cancelMessage(id: $id) {
      __typename
      ... on Message { id status canceledAt }
      ... on Error { code message }
    }
  }
`);

const LIVE_MS = 4000;
type Tab = (typeof TABS)[number] | undefined;

interface Props {
  id: string;
  tab: Tab;
  onTab: (tab: Tab) => void;
  onContact: (id: string) => void;
  onClose: () => void;
}

export function MessageDrawer({ id, tab, onTab, onContact, onClose }: Props) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const reading = useData(DrawerData, { id }, { every: LIVE_MS });
  const cancel = useChange(Cancel);
  const [isAsked, setAsked] = useState(false);
  const message = reading.data?.message;
  const tabs = [
    { value: "", label: t`Message` },
    { value: "timeline", label: t`Timeline` },
    { value: "why", label: t`Why?` },
  ];
  return (
    <>
      <Dialog
        isOpen
        isDrawer
        onClose={onClose}
        title={message == null ? t`Message` : t`To ${message.to}`}
        {...(message?.status === "SCHEDULED" ? { actions: <Button look="danger" onPress={() => setAsked(true)}>{t`Cancel message`}</Button> } : {})}
      >
        <Tabs label={t`Parts of the message`} tabs={tabs} value={tab ?? ""} onChange={(next) => onTab(next === "" ? undefined : (next as Tab))} />
        <States of={reading}>
          {({ message: read }) =>
            read == null ? (
              <EmptyState icon="message" title={t`There is no such message`}>
                <Trans>It may be one of the other mode, or of another workspace.</Trans>
              </EmptyState>
            ) : tab === "timeline" ? (
              <Timeline id={id} />
            ) : tab === "why" ? (
              <Why id={id} />
            ) : (
              <Details message={read} onContact={onContact} />
            )
          }
        </States>
      </Dialog>
      <Confirm
        isOpen={isAsked}
        onClose={() => setAsked(false)}
        title={t`Cancel this message?`}
        action={t`Cancel message`}
        isPending={cancel.isRunning}
        onConfirm={async () => {
          const { problem } = await cancel.run({ id });
          toast(problem === null ? { text: t`The message is canceled.` } : { text: textOf(problem), tone: "danger" });
          reading.retry();
        }}
      >
        <p>
          <Trans>It does not go out, and its credits come back.</Trans>
        </p>
      </Confirm>
    </>
  );
}

function Details({ message, onContact }: { message: NonNullable<MessageDrawerQuery["message"]>; onContact: (id: string) => void }) {
  const { t } = useLingui();
  const warningText = useWarningText();
  const origins = useOriginNames();
  const { contact, campaign, error, parts } = message;
  const name = [contact?.firstName, contact?.lastName].filter(Boolean).join(" ");
  const metadata = byName(message.metadata as Record<string, unknown>);
  return (
    <div className="space-y-5">
      <div className="flex flex-wrap items-center justify-between gap-2">
        <MessageBadge status={message.status} />
        <CopyId id={message.id} />
      </div>
      {error != null && (
        <Callout tone="warn">
          <FailureText of={error} /> <a href={`/docs/errors#${error.code}`} className="font-mono text-xs text-current">{error.code}</a>
        </Callout>
      )}
      {message.warnings.map(({ code, message: text }) => (
        <Callout key={code} tone="warn">
          {warningText({ code, message: text })}
        </Callout>
      ))}
      <p className="rounded-2xl rounded-bl-md bg-brand-soft px-4 py-3 leading-snug break-words whitespace-pre-wrap">{message.body}</p>
      {message.segments > 0 && <SegmentMeter segments={message.segments} encoding={message.encoding} />}
      {parts.length > 1 && (
        <section>
          <h3 className="mb-2 text-sm font-medium">
            <Plural value={parts.length} one="# part on the air" other="# parts on the air" />
          </h3>
          <ol className="space-y-2">
            {parts.map((part, index) => (
              // A part has no other identity than its place.
              <li key={index} className="flex gap-3 rounded-lg border border-line px-3 py-2 text-sm">
                <span className="text-muted tabular">{index + 1}</span>
                <span className="min-w-0 break-words whitespace-pre-wrap">{part}</span>
              </li>
            ))}
          </ol>
        </section>
      )}
      <Facts
        items={[
          [t`From`, message.from],
          [t`Origin`, origins[message.origin]],
          campaign != null && [t`Campaign`, <Link key="c" to="/campaigns/$id" params={{ id: campaign.id }}>{campaign.name}</Link>],
          contact != null && [t`Contact`, <Link key="p" to="/contacts/$id" params={{ id: contact.id }}>{name || message.to}</Link>],
          [t`Credits`, <Credits key="u" value={message.creditsUsed} />],
          [t`Accepted`, <Time key="a" at={message.createdAt} style="full" />],
          message.scheduledAt != null && [t`Scheduled`, <Time key="s" at={message.scheduledAt} style="full" />],
          message.sentAt != null && [t`Sent`, <Time key="t" at={message.sentAt} style="full" />],
          message.deliveredAt != null && [t`Delivered`, <Time key="d" at={message.deliveredAt} style="full" />],
          message.repliedAt != null && [t`Replied`, <Time key="r" at={message.repliedAt} style="full" />],
          message.failedAt != null && [t`Failed`, <Time key="f" at={message.failedAt} style="full" />],
          message.canceledAt != null && [t`Canceled`, <Time key="x" at={message.canceledAt} style="full" />],
          message.expiresAt != null && [t`Nothing after`, <Time key="e" at={message.expiresAt} style="full" />],
          ...metadata.map(([key, value]) => [<span key={key} className="font-mono text-sm">{key}</span>, String(value)] as const),
        ]}
      />
      {contact != null && (
        <Button icon="message" onPress={() => onContact(contact.id)}>
          {t`All messages of this contact`}
        </Button>
      )}
    </div>
  );
}
