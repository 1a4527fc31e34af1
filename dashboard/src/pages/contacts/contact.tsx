import { Trans, useLingui } from "@lingui/react/macro";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { useChange, useData } from "@/api/hooks";
import { graphql } from "@/gql";
import type { ContactPageQuery } from "@/gql/graphql";
import { OptInBadge, UnreachableBadge } from "@/status";
import { Button, ButtonLink } from "@/ui/button";
import { byName } from "@/ui/byname";
import { Confirm } from "@/ui/dialog";
import { FailureText } from "@/ui/failures";
import { Select } from "@/ui/fields";
import { Callout, Card, CopyId, Facts, PageHead, Time } from "@/ui/show";
import { EmptyState, States } from "@/ui/states";
import { Tabs } from "@/ui/tabs";
import { Consent } from "./consent";
import { AttributesDialog, DetailsDialog } from "./edit";
import { ContactMessages, Notes } from "./feeds";
import { MergeDialog } from "./merge";
import { nameOf, useIsAdmin, useLists, useMayWrite, useTell } from "./shared";
import { Tags } from "./tags";

export const ContactFull = graphql(`
  fragment ContactFull on Contact {
    id
    livemode
    phone
    region
    firstName
    lastName
    email
    timezone
    externalId
    attributes
    tags
    optIn { status source ip at }
    unreachable { at code message }
    createdAt
    updatedAt
    version
  }
`);
const ContactData = graphql(`
  query ContactPage($id: ID!) {
    contact(id: $id) {
      ...ContactFull
      lists(first: 100) { nodes { id name kind } }
    }
  }
`);
const OptOut = graphql(`
  mutation PageOptOut($id: ID!) {
    optOutContact(id: $id) {
      __typename
      ... on Contact { id optIn { status source ip at } }
      ... on Error { code message }
    }
  }
`);
const MarkReachable = graphql(`
  mutation PageMarkReachable($id: ID!) {
    markContactReachable(id: $id) {
      __typename
      ... on Contact { id unreachable { at code message } }
      ... on Error { code message }
    }
  }
`);
const Delete = graphql(`
  mutation PageDeleteContact($id: ID!) {
    deleteContact(id: $id) {
      __typename
      ... on Deleted { deletedId }
      ... on Error { code message }
    }
  }
`);
const Erase = graphql(`
  mutation PageEraseContact($id: ID!) {
    eraseContact(id: $id) {
      __typename
      ... on ContactErased { erasedAt }
      ... on Error { code message }
    }
  }
`);
export const AddToList = graphql(`
  mutation PageAddToList($id: ID!, $contactIds: [ID!]!) {
    addContactsToList(id: $id, contactIds: $contactIds) {
      __typename
      ... on ContactsAdded { added alreadyMembers notFound contactList { id contactCount } }
      ... on Error { code message }
    }
  }
`);
export const TakeOff = graphql(`
  mutation PageTakeOffList($id: ID!, $contactId: ID!) {
    removeContactFromList(id: $id, contactId: $contactId) {
      __typename
      ... on ContactList { id contactCount }
      ... on Error { code message }
    }
  }
`);

export type Contact = NonNullable<ContactPageQuery["contact"]>;

export function ContactPage() {
  const { t } = useLingui();
  const { id } = useParams({ from: "/shell/contacts/$id" });
  const reading = useData(ContactData, { id });
  return (
    <States of={reading} title={t`Contact`}>
      {({ contact }) =>
        contact == null ? (
          <EmptyState isPage icon="search" title={t`There is no such contact`} action={<ButtonLink to="/contacts">{t`All contacts`}</ButtonLink>}>
            <Trans>It may be deleted, or of another workspace, or of the other mode.</Trans>
          </EmptyState>
        ) : (
          <Shown contact={contact} />
        )
      }
    </States>
  );
}

function Shown({ contact }: { contact: Contact }) {
  const { t } = useLingui();
  const navigate = useNavigate();
  const { tab = "details" } = useSearch({ from: "/shell/contacts/$id" });
  const { id, phone } = contact;
  const tabs = [
    { value: "details", label: t`Details` },
    { value: "messages", label: t`Messages` },
    { value: "notes", label: t`Notes` },
  ];
  return (
    <>
      <PageHead
        above={
          <Link to="/contacts" className="mb-1 inline-block text-sm">
            {t`Contacts`}
          </Link>
        }
        title={nameOf(contact) || phone}
        lead={
          <span className="flex flex-wrap items-center gap-x-3 gap-y-1">
            <span className="tabular">{phone}</span>
            <OptInBadge status={contact.optIn.status} />
            {contact.unreachable != null && <UnreachableBadge />}
            <CopyId id={id} short />
          </span>
        }
        actions={<Actions contact={contact} />}
      />
      <Unreachable contact={contact} />
      <Tabs label={t`Parts`} tabs={tabs} value={tab} onChange={(next) => void navigate({ to: "/contacts/$id", params: { id }, search: next === "details" ? {} : { tab: next as "notes" }, resetScroll: false })} />
      {tab === "details" && (
        <div className="grid grid-cols-1 items-start gap-5 lg:grid-cols-2">
          <div className="space-y-5">
            <Details contact={contact} />
            <Attributes contact={contact} />
            <Tags contact={contact} />
            <Lists contact={contact} />
          </div>
          <Consent contact={contact} />
        </div>
      )}
      {tab === "messages" && <ContactMessages id={id} />}
      {tab === "notes" && <Notes id={id} />}
    </>
  );
}

function Unreachable({ contact: { id, unreachable } }: { contact: Contact }) {
  const { t } = useLingui();
  const mayWrite = useMayWrite();
  const tell = useTell();
  const mark = useChange(MarkReachable);
  if (unreachable == null) return null;
  return (
    <div className="mb-5">
      <Callout
        tone="warn"
        action={mayWrite && <Button size="small" isPending={mark.isRunning} onPress={async () => tell((await mark.run({ id })).problem, t`Campaigns reach this contact again.`)}>{t`Reach again`}</Button>}
      >
        <Trans>
          Campaigns skip this number since <Time at={unreachable.at} />, as messages to it failed again and again. The last reason: <FailureText of={unreachable} />
        </Trans>
      </Callout>
    </div>
  );
}

function Details({ contact }: { contact: Contact }) {
  const { t } = useLingui();
  const mayWrite = useMayWrite();
  const [isOpen, setOpen] = useState(false);
  const { firstName, lastName, email, phone, region, timezone, externalId, createdAt } = contact;
  return (
    <Card title={t`Details`} tools={mayWrite && <Button size="small" onPress={() => setOpen(true)}>{t`Edit details`}</Button>}>
      <Facts
        items={[
          [t`First name`, firstName ?? "–"],
          [t`Last name`, lastName ?? "–"],
          [t`Phone`, <span key="phone" className="tabular">{region == null ? phone : `${phone} · ${region}`}</span>],
          [t`E-mail`, email ?? "–"],
          [t`Time zone`, timezone ?? t`By the phone's region`],
          externalId != null && [t`Your own id`, externalId],
          [t`Added`, <Time key="added" at={createdAt} style="full" />],
        ]}
      />
      {isOpen && <DetailsDialog contact={contact} onClose={() => setOpen(false)} />}
    </Card>
  );
}

function Attributes({ contact }: { contact: Contact }) {
  const { t } = useLingui();
  const mayWrite = useMayWrite();
  const [isOpen, setOpen] = useState(false);
  const entries = byName(contact.attributes as Record<string, unknown>);
  return (
    <Card title={t`Attributes`} tools={mayWrite && <Button size="small" onPress={() => setOpen(true)}>{t`Edit attributes`}</Button>}>
      {entries.length === 0 ? (
        <p className="text-muted">
          <Trans>Values of your own, for variables in texts and for segments.</Trans>
        </p>
      ) : (
        <Facts items={entries.map(([name, value]) => [name, String(value)] as const)} />
      )}
      {isOpen && <AttributesDialog contact={contact} onClose={() => setOpen(false)} />}
    </Card>
  );
}

const NONE = "-";

function Lists({ contact: { id, lists } }: { contact: Contact }) {
  const { t } = useLingui();
  const mayWrite = useMayWrite();
  const tell = useTell();
  const all = useLists();
  const add = useChange(AddToList);
  const takeOff = useChange(TakeOff);
  const free = all.filter((each) => !lists.nodes.some((mine) => mine.id === each.id));
  return (
    <Card title={t`Lists`}>
      {lists.nodes.length === 0 && <p className="text-muted">{t`On no list.`}</p>}
      <ul className="divide-y divide-line">
        {lists.nodes.map((each) => (
          <li key={each.id} className="flex items-center justify-between gap-3 py-1.5">
            <Link to="/lists/$id" params={{ id: each.id }} className="min-w-0 truncate">
              {each.name}
            </Link>
            {mayWrite && (
              <Button
                size="small"
                look="quiet"
                icon="close"
                aria-label={t`Take off “${each.name}”`}
                isPending={takeOff.isRunning}
                onPress={async () => tell((await takeOff.run({ id: each.id, contactId: id })).problem, t`Taken off the list.`)}
              />
            )}
          </li>
        ))}
      </ul>
      {mayWrite && free.length > 0 && (
        <Select
          label={t`Put on a list`}
          hideLabel
          className="mt-3 max-w-xs"
          choices={[{ value: NONE, label: t`Put on a list…` }, ...free.map((each) => ({ value: each.id, label: each.name }))]}
          value={NONE}
          isDisabled={add.isRunning}
          onChange={async (next) => {
            if (next !== NONE) tell((await add.run({ id: next, contactIds: [id] })).problem, t`Put on the list.`);
          }}
        />
      )}
    </Card>
  );
}

function Actions({ contact }: { contact: Contact }) {
  const { t } = useLingui();
  const tell = useTell();
  const navigate = useNavigate();
  const mayWrite = useMayWrite();
  const isAdmin = useIsAdmin();
  const optOut = useChange(OptOut);
  const remove = useChange(Delete);
  const erase = useChange(Erase);
  const [asked, setAsked] = useState<"merge" | "out" | "delete" | "erase" | null>(null);
  const { id, phone, optIn } = contact;
  const close = () => setAsked(null);
  const leave = () => navigate({ to: "/contacts" });
  if (!mayWrite) return null;
  return (
    <>
      <Button onPress={() => setAsked("merge")}>{t`Merge`}</Button>
      {optIn.status !== "OPTED_OUT" && <Button onPress={() => setAsked("out")}>{t`Opt out`}</Button>}
      <Button look="danger" onPress={() => setAsked("delete")}>{t`Delete`}</Button>
      {isAdmin && <Button look="danger" onPress={() => setAsked("erase")}>{t`Erase`}</Button>}
      {asked === "merge" && <MergeDialog contact={contact} onClose={close} />}
      <Confirm isOpen={asked === "out"} onClose={close} title={t`Opt ${phone} out?`} action={t`Opt out`} isPending={optOut.isRunning} onConfirm={async () => void tell((await optOut.run({ id })).problem, t`Opted out. Nothing more is sent to this phone.`)}>
        <p>
          <Trans>Nothing more is sent to this phone, until the person agrees again.</Trans>
        </p>
      </Confirm>
      <Confirm
        isOpen={asked === "delete"}
        onClose={close}
        title={t`Delete this contact?`}
        action={t`Delete`}
        isPending={remove.isRunning}
        onConfirm={async () => {
          if (tell((await remove.run({ id })).problem, t`The contact is deleted.`)) await leave();
        }}
      >
        <p>
          <Trans>The contact and its attributes go. Its messages and the history of its consent stay, and so does an opt-out.</Trans>
        </p>
      </Confirm>
      <Confirm
        isOpen={asked === "erase"}
        onClose={close}
        title={t`Erase this person?`}
        action={t`Erase for good`}
        typed={phone}
        typedLabel={t`Type ${phone} to erase it`}
        isPending={erase.isRunning}
        onConfirm={async () => {
          if (tell((await erase.run({ id })).problem, t`Erased. What must be kept names nobody.`)) await leave();
        }}
      >
        <p>
          <Trans>For a person who asks to be forgotten: phone, name, texts and evidence go everywhere, and what must be kept names nobody. This cannot be undone.</Trans>
        </p>
      </Confirm>
    </>
  );
}
