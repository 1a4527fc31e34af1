import { Trans, useLingui } from "@lingui/react/macro";
import { useState } from "react";
import { useChange, useFeed } from "@/api/hooks";
import { graphql } from "@/gql";
import { OptInBadge } from "@/status";
import { Button } from "@/ui/button";
import { Card, CopyId, Facts, Time } from "@/ui/show";
import { Loading, ProblemState } from "@/ui/states";
import { toast } from "@/ui/toast";
import type { Contact } from "./contact";
import { EvidenceDialog } from "./evidence";
import { useMayWrite, useSourceName } from "./shared";

const History = graphql(`
  query ContactConsent($id: ID!, $first: Int, $after: String) {
    contact(id: $id) {
      id
      consentHistory(first: $first, after: $after) {
        nodes { id status source ip userAgent text version givenAt sequence hash actor createdAt }
        pageInfo { hasNextPage endCursor }
        totalCount
      }
    }
  }
`);
const Agree = graphql(`
  mutation RecordConsent($id: ID!, $input: UpdateContactInput!) {
    updateContact(id: $id, input: $input) {
      __typename
      ... on Contact { ...ContactFull }
      ... on ConflictError { optedOutAt }
      ... on Error { code message param }
    }
  }
`);

const NOTHING = { nodes: [], pageInfo: { hasNextPage: false, endCursor: null }, totalCount: 0 };

export function Consent({ contact: { id, optIn } }: { contact: Contact }) {
  const { t } = useLingui();
  const mayWrite = useMayWrite();
  const sourceName = useSourceName();
  const agree = useChange(Agree);
  const [isOpen, setOpen] = useState(false);
  const feed = useFeed(History, { id }, ({ contact }) => contact?.consentHistory ?? NOTHING);
  return (
    <Card title={t`Consent`} tools={mayWrite && <Button size="small" onPress={() => setOpen(true)}>{t`Record consent`}</Button>}>
      <Facts
        items={[
          [t`Now`, <OptInBadge key="now" status={optIn.status} />],
          [t`Source`, sourceName(optIn.source)],
          optIn.ip != null && [t`IP address`, optIn.ip],
          optIn.at != null && [t`Since`, <Time key="since" at={optIn.at} style="full" />],
        ]}
      />
      <h3 className="mt-5 mb-1 text-sm font-semibold">{t`Evidence, newest first`}</h3>
      {feed.problem !== null && feed.rows === undefined ? (
        <ProblemState problem={feed.problem} onRetry={feed.retry} />
      ) : feed.rows === undefined ? (
        <Loading rows={3} />
      ) : feed.rows.length === 0 ? (
        <p className="text-muted">
          <Trans>Nothing is on record for this phone yet.</Trans>
        </p>
      ) : (
        <ol className="mt-3 space-y-4 border-l border-line pl-4">
          {feed.rows.map((each) => (
            <li key={each.id}>
              <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
                <OptInBadge status={each.status} />
                <span className="font-medium">{sourceName(each.source)}</span>
                <span className="text-sm text-muted">
                  <Time at={each.givenAt ?? each.createdAt} style="full" />
                </span>
              </div>
              {each.text != null && <blockquote className="mt-1 border-l-2 border-line-strong pl-3 text-sm break-words whitespace-pre-wrap">{each.text}</blockquote>}
              <p className="mt-1 text-sm break-words text-muted">
                {[each.version, each.ip, each.userAgent].filter(Boolean).join(" · ")}
              </p>
              <p className="flex flex-wrap items-center gap-x-2 text-sm text-muted">
                <span className="min-w-0 wrap-anywhere">
                  <Trans>
                    Entry {each.sequence}, recorded by {each.actor}
                  </Trans>
                </span>
                <CopyId id={each.hash} short />
              </p>
            </li>
          ))}
        </ol>
      )}
      {feed.hasMore && (
        <div className="mt-4">
          <Button size="small" onPress={feed.loadMore} isPending={feed.isLoading}>{t`Show more`}</Button>
        </div>
      )}
      {isOpen && (
        <EvidenceDialog
          isOpen
          onClose={() => setOpen(false)}
          title={t`Record consent`}
          action={t`Record consent`}
          isRenewal={optIn.status === "OPTED_OUT"}
          isPending={agree.isRunning}
          onSave={async (given) => {
            const { problem } = await agree.run({ id, input: { optIn: given } });
            if (problem === null) {
              toast({ text: t`The consent is on record.` });
              feed.retry();
            }
            return problem;
          }}
        />
      )}
    </Card>
  );
}
