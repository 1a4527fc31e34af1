import { Trans, useLingui } from "@lingui/react/macro";
import type { ReactNode } from "react";
import { useData } from "@/api/hooks";
import { graphql } from "@/gql";
import type { ExplainOneMessageQuery } from "@/gql/graphql";
import { OptInBadge } from "@/status";
import { FailureText } from "@/ui/failures";
import { Badge, Facts, Time } from "@/ui/show";
import { EmptyState, States } from "@/ui/states";
import { words } from "./names";

const Explanation = graphql(`
  query ExplainOneMessage($id: ID!) {
    explainMessage(id: $id) {
      kind
      message { id status error { code message } }
      consent { currentStatus decidedAt record { status source ip actor at } }
      suppression { suppressed source since }
      quietHours { at zones zoneSource ruleSource open nextOpening }
      encoding { encoding units segments forcedBy { character name } }
      sender { sender source }
      attempts { id number carrier outcome error { code message } startedAt endedAt resend }
      ledger { kind amount at }
      carrier { name reference }
      replies { id body receivedAt }
    }
  }
`);

/** What the service knew and decided when it sent, put off, refused or failed a message. */
export function Why({ id }: { id: string }) {
  const { t } = useLingui();
  const reading = useData(Explanation, { id });
  return (
    <States of={reading}>
      {({ explainMessage }) =>
        explainMessage == null ? (
          <EmptyState icon="info" title={t`There is nothing to explain`}>
            <Trans>The message is not there any more.</Trans>
          </EmptyState>
        ) : (
          <Explained of={explainMessage} />
        )
      }
    </States>
  );
}

function Explained({ of }: { of: NonNullable<ExplainOneMessageQuery["explainMessage"]> }) {
  const { t } = useLingui();
  const { consent, suppression, quietHours, encoding, sender, attempts, ledger, carrier, replies } = of;
  const zones = quietHours?.zones.join(", ") ?? "";
  return (
    <div className="space-y-6">
      <Part title={t`Consent`}>
        <Facts
          items={[
            [t`Decided`, <Time key="d" at={consent.decidedAt} style="full" />],
            consent.record != null && [t`What counted`, <OptInBadge key="s" status={consent.record.status} />],
            consent.record == null && [t`What counted`, t`no record of consent`],
            consent.record?.source != null && [t`Source`, words(consent.record.source)],
            consent.record?.at != null && [t`Given`, <Time key="g" at={consent.record.at} style="full" />],
            consent.record?.ip != null && [t`IP address`, consent.record.ip],
            consent.currentStatus != null && [t`Now`, <OptInBadge key="n" status={consent.currentStatus} />],
            [t`Suppressed now`, suppression.suppressed ? <Badge key="p" tone="danger">{suppression.source == null ? t`yes` : words(suppression.source)}</Badge> : t`no`],
          ]}
        />
      </Part>
      {quietHours != null && (
        <Part title={t`Quiet hours`}>
          <Facts
            items={[
              [t`Could be texted`, quietHours.open ? <Badge key="o" tone="good">{t`yes`}</Badge> : <Badge key="o" tone="warn">{t`no`}</Badge>],
              [t`Looked at`, <Time key="a" at={quietHours.at} style="full" />],
              [t`Time zones`, zones],
              !quietHours.open && [t`Opens`, <Time key="n" at={quietHours.nextOpening} style="full" />],
            ]}
          />
        </Part>
      )}
      <Part title={t`On the air`}>
        <Facts
          items={[
            [t`Sender`, `${sender.sender} (${words(sender.source)})`],
            encoding != null && [t`Encoding`, encoding.encoding === "UCS2" ? t`Unicode` : t`plain text`],
            encoding != null && [t`Segments`, encoding.segments],
            encoding != null && encoding.forcedBy.length > 0 && [t`Forced by`, encoding.forcedBy.map(({ character, name }) => `${character} (${name.toLowerCase()})`).join(", ")],
            carrier != null && [t`Carrier`, carrier.name],
            carrier?.reference != null && [t`Its reference`, <span key="r" className="font-mono text-xs break-all">{carrier.reference}</span>],
          ]}
        />
      </Part>
      {attempts.length > 0 && (
        <Part title={t`Tries`}>
          <ol className="divide-y divide-line">
            {attempts.map(({ id, number, carrier: at, outcome, error, startedAt }) => (
              <li key={id} className="py-2">
                <div className="flex flex-wrap justify-between gap-x-4">
                  <span>
                    {number}. {at} · {outcome == null ? t`under way` : words(outcome)}
                  </span>
                  <span className="text-sm text-muted"><Time at={startedAt} style="full" /></span>
                </div>
                {error != null && <p className="text-sm text-danger"><FailureText of={error} /></p>}
              </li>
            ))}
          </ol>
        </Part>
      )}
      <Part title={t`Credits`}>
        {ledger.length === 0 ? (
          <p className="text-sm text-muted"><Trans>No credit moved for it. In the sandbox none does.</Trans></p>
        ) : (
          <Facts items={ledger.map(({ kind, amount, at }) => [<span key="k">{words(kind)} · <Time at={at} style="full" /></span>, amount > 0 ? `+${amount}` : String(amount)] as const)} />
        )}
      </Part>
      {replies.length > 0 && (
        <Part title={t`Answers`}>
          <ul className="space-y-2">
            {replies.map(({ id, body, receivedAt }) => (
              <li key={id} className="rounded-xl bg-sunken px-3 py-2 text-sm">
                <p className="break-words whitespace-pre-wrap">{body}</p>
                <p className="text-muted"><Time at={receivedAt} style="full" /></p>
              </li>
            ))}
          </ul>
        </Part>
      )}
    </div>
  );
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section>
      <h3 className="text-sm font-semibold">{title}</h3>
      {children}
    </section>
  );
}
