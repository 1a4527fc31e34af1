// Two contacts of one person become one: the other is found, what results is shown, and then it is done.
import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { useEffect, useRef, useState } from "react";
import { useChange, useData } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { graphql } from "@/gql";
import type { ContactRowFragment, MergePreviewFragment } from "@/gql/graphql";
import { OptInBadge } from "@/status";
import { Button } from "@/ui/button";
import { byName } from "@/ui/byname";
import { Dialog } from "@/ui/dialog";
import { Segmented } from "@/ui/fields";
import { Callout, Facts } from "@/ui/show";
import { Loading, States, useProblemText } from "@/ui/states";
import { toast } from "@/ui/toast";
import type { Contact } from "./contact";
import { nameOf, SearchField } from "./shared";

export const MergePreview = graphql(`
  fragment MergePreview on ContactMerge {
    dryRun
    mergedId
    listsJoined
    messagesMoved
    contact { id phone firstName lastName email timezone externalId attributes tags optIn { status } }
  }
`);
const Merge = graphql(`
  mutation PageMergeContacts($id: ID!, $input: MergeContactsInput!) {
    mergeContacts(id: $id, input: $input) {
      __typename
      ... on ContactMerge { ...MergePreview }
      ... on Error { code message param }
    }
  }
`);
const Candidates = graphql(`
  query MergeCandidates($filter: ContactFilter) {
    contacts(filter: $filter, first: 8) { nodes { ...ContactRow } }
  }
`);

type Preferred = "kept" | "other";

export function MergeDialog({ contact, onClose }: { contact: Contact; onClose: () => void }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const merge = useChange(Merge);
  const { run } = merge;
  const [other, setOther] = useState<ContactRowFragment | null>(null);
  const [prefer, setPrefer] = useState<Preferred>("kept");
  const [preview, setPreview] = useState<MergePreviewFragment | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [turn, setTurn] = useState(0);
  const { id, phone } = contact;
  const otherId = other?.id;
  useEffect(() => {
    if (otherId === undefined) return undefined;
    let isPast = false;
    setPreview(null);
    setProblem(null);
    void run({ id, input: { contactId: otherId, prefer, dryRun: true } }).then(({ done, problem: found }) => {
      if (isPast) return;
      setPreview(done);
      setProblem(found);
    });
    return () => {
      isPast = true;
    };
  }, [id, otherId, prefer, run, turn]);
  const body = useRef<HTMLDivElement>(null);
  // What had the focus went with its step.
  useEffect(() => {
    if (otherId !== undefined) body.current?.focus();
  }, [otherId]);
  const save = async () => {
    const { done, problem: found } = await run({ id, input: { contactId: otherId!, prefer, dryRun: false } });
    setProblem(found);
    if (done === null) return;
    toast({ text: t`Merged. The other contact is gone.` });
    onClose();
  };
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t`Merge with another contact`}
      actions={
        <>
          {other === null ? <Button onPress={onClose}>{t`Not now`}</Button> : <Button onPress={() => setOther(null)}>{t`Another one`}</Button>}
          {other !== null && <Button look="danger" isDisabled={preview === null} isPending={merge.isRunning} onPress={() => void save()}>{t`Merge for good`}</Button>}
        </>
      }
    >
      {other === null ? (
        <Choose without={id} phone={phone} onChoose={setOther} />
      ) : (
        <div ref={body} tabIndex={-1} className="space-y-5 outline-none">
          <p>
            <Trans>
              <strong>{nameOf(other) || other.phone}</strong> ({other.phone}) goes, and what it has comes to {phone}.
            </Trans>
          </p>
          <Segmented<Preferred>
            label={t`Where both have a value`}
            choices={[
              { value: "kept", label: t`Keep that of this contact` },
              { value: "other", label: t`Take that of the other` },
            ]}
            value={prefer}
            onChange={setPrefer}
          />
          {problem !== null && (
            <Callout tone="danger" action={preview === null ? <Button size="small" icon="refresh" onPress={() => setTurn(turn + 1)}>{t`Try again`}</Button> : undefined}>
              {textOf(problem)}
            </Callout>
          )}
          {preview === null ? problem === null && <Loading rows={4} /> : <Preview of={preview} />}
        </div>
      )}
    </Dialog>
  );
}

function Choose({ without, phone, onChoose }: { without: string; phone: string; onChoose: (contact: ContactRowFragment) => void }) {
  const { t } = useLingui();
  const [q, setQ] = useState("");
  const reading = useData(Candidates, { filter: { search: q } }, { pause: q === "" });
  return (
    <div className="space-y-4">
      <p className="text-muted">
        <Trans>Find the contact that is the same person. {phone} stays, with the lists, tags, messages and notes of both.</Trans>
      </p>
      <SearchField label={t`Find the other contact`} placeholder={t`Name, e-mail or phone`} maxLength={100} value={q} onChange={setQ} />
      {q !== "" && (
        <States of={reading} loading={<Loading rows={3} />}>
          {({ contacts }) => {
            const found = contacts.nodes.filter(({ id }) => id !== without);
            if (found.length === 0) return <p role="status">{t`No other contact is found.`}</p>;
            return (
              <ul aria-label={t`Contacts found`} className="divide-y divide-line">
                {found.map((each) => (
                  <li key={each.id} className="flex items-center justify-between gap-3 py-2">
                    <span className="min-w-0">
                      <span className="block truncate font-medium">{nameOf(each) || each.phone}</span>
                      <span className="block truncate text-sm text-muted">{[each.phone, each.email].filter(Boolean).join(" · ")}</span>
                    </span>
                    <Button size="small" aria-label={t`Choose ${each.phone}`} onPress={() => onChoose(each)}>{t`Choose`}</Button>
                  </li>
                ))}
              </ul>
            );
          }}
        </States>
      )}
    </div>
  );
}

/** What the contact that is kept will be. */
function Preview({ of: { contact, listsJoined, messagesMoved } }: { of: MergePreviewFragment }) {
  const { t } = useLingui();
  const attributes = byName(contact.attributes as Record<string, unknown>);
  return (
    <section aria-label={t`What results`}>
      <h3 className="text-sm font-medium text-muted">{t`What results`}</h3>
      <Facts
        items={[
          [t`Phone`, <span key="phone" className="tabular">{contact.phone}</span>],
          [t`Name`, nameOf(contact) || "–"],
          [t`E-mail`, contact.email ?? "–"],
          [t`Consent`, <OptInBadge key="consent" status={contact.optIn.status} />],
          contact.timezone != null && [t`Time zone`, contact.timezone],
          contact.externalId != null && [t`Your own id`, contact.externalId],
          ...attributes.map(([name, value]) => [name, String(value)] as const),
          [t`Tags`, contact.tags.join(", ") || "–"],
        ]}
      />
      <p className="mt-3 text-sm text-muted">
        <Plural value={listsJoined} one="It joins # list." other="It joins # lists." /> <Plural value={messagesMoved} one="# message of the other becomes its own." other="# messages of the other become its own." />
      </p>
    </section>
  );
}
