import { Trans, useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useChange, useData } from "@/api/hooks";
import { graphql } from "@/gql";
import { OptInBadge } from "@/status";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { CopyId, Facts, Time } from "@/ui/show";
import { EmptyState, States, useProblemText } from "@/ui/states";
import { toast } from "@/ui/toast";
import { Notes } from "./notes";
import { nameOf, type InboxMember } from "./threads";

const AboutData = graphql(`
  query InboxContact($id: ID!) {
    contact(id: $id) {
      id
      firstName
      lastName
      phone
      email
      region
      timezone
      createdAt
      optIn { status source ip at }
      lists(first: 10) { nodes { id name } }
    }
  }
`);
const OptOut = graphql(`
  mutation InboxOptOut($id: ID!) {
    optOutContact(id: $id) {
      __typename
      ... on Contact { id optIn { status source ip at } }
      ... on Error { code message }
    }
  }
`);

/** Who writes: consent with its proof, lists, and what the team wrote down. */
export function About({ id, members, isReader, onBack }: { id: string; members: readonly InboxMember[]; isReader: boolean; onBack: () => void }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const reading = useData(AboutData, { id });
  const optOut = useChange(OptOut);
  const [isAsked, setAsked] = useState(false);
  return (
    <section aria-label={t`About the contact`} className="relative h-full overflow-y-auto rounded-2xl border border-line bg-surface p-4">
      <Button size="small" look="quiet" icon="left" className="mb-3 -ml-2 xl:hidden" onPress={onBack}>
        {t`Back to the thread`}
      </Button>
      <States of={reading}>
        {({ contact }) =>
          contact == null ? (
            <EmptyState icon="contacts" title={t`There is no such contact`} />
          ) : (
            <>
              <h2 className="text-lg font-semibold break-words">
                <Link to="/contacts/$id" params={{ id: contact.id }} className="text-text">
                  {nameOf(contact)}
                </Link>
              </h2>
              <p className="-ml-1.5"><CopyId id={contact.phone} /></p>
              <div className="mt-3 text-sm">
                <Facts
                  items={[
                    [t`Consent`, <OptInBadge key="s" status={contact.optIn.status} />],
                    contact.optIn.source != null && [t`By`, contact.optIn.source.replaceAll("_", " ")],
                    contact.optIn.at != null && [t`At`, <Time key="a" at={contact.optIn.at} style="full" />],
                    contact.optIn.ip != null && [t`IP address`, contact.optIn.ip],
                    contact.email != null && [t`E-mail`, <span key="e" className="break-all">{contact.email}</span>],
                    contact.region != null && [t`Region`, contact.region],
                    contact.timezone != null && [t`Time zone`, contact.timezone],
                    contact.lists.nodes.length > 0 && [t`Lists`, contact.lists.nodes.map(({ name }) => name).join(", ")],
                    [t`Since`, <Time key="c" at={contact.createdAt} style="day" />],
                  ]}
                />
              </div>
              <div className="mt-3 flex flex-wrap items-center gap-3">
                {!isReader && contact.optIn.status !== "OPTED_OUT" && (
                  <Button size="small" look="danger" icon="suppression" onPress={() => setAsked(true)}>
                    {t`Opt out`}
                  </Button>
                )}
                <Link to="/messages" search={{ contact: contact.id }} className="text-sm">
                  {t`All messages`}
                </Link>
              </div>
              <Notes id={id} members={members} isReader={isReader} />
              <Confirm
                isOpen={isAsked}
                onClose={() => setAsked(false)}
                title={t`Opt ${nameOf(contact)} out?`}
                action={t`Opt out`}
                isPending={optOut.isRunning}
                onConfirm={async () => {
                  const { problem } = await optOut.run({ id });
                  toast(problem === null ? { text: t`The contact is opted out.` } : { text: textOf(problem), tone: "danger" });
                }}
              >
                <p>
                  <Trans>It gets no more texts of this workspace until it agrees again itself.</Trans>
                </p>
              </Confirm>
            </>
          )
        }
      </States>
    </section>
  );
}
