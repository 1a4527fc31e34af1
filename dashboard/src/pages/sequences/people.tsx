// Who is and was in a sequence: where they are, why they left, with contacts taken out and put in by hand.
import { Trans, useLingui } from "@lingui/react/macro";
import { Link, useNavigate } from "@tanstack/react-router";
import { useEffect, useMemo, useState } from "react";
import { newKey, useChange, useData, useFeed } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { graphql } from "@/gql";
import type { EnrollmentRowFragment, EnrollmentState, SequenceFullFragment } from "@/gql/graphql";
import { instantOf } from "@/pages/campaigns/times";
import { Button } from "@/ui/button";
import { Confirm, Dialog } from "@/ui/dialog";
import { Field, Segmented } from "@/ui/fields";
import { Callout, Card, Time, useZone } from "@/ui/show";
import { EmptyState, FilteredEmpty, Loading, ProblemState, useProblemText } from "@/ui/states";
import { DataTable, type TableColumn } from "@/ui/table";
import { useTell } from "@/ui/tell";
import { STATES } from "./routes";
import { StateBadge, useMayWrite, useNames } from "./shared";

export const EnrollmentRow = graphql(`
  fragment EnrollmentRow on Enrollment {
    id
    state
    reason
    enteredBy
    step
    dueAt
    sequenceVersion
    createdAt
    endedAt
    contactId
    contact { id phone firstName lastName }
  }
`);
const EnrollmentFeed = graphql(`
  query EnrollmentRows($id: ID!, $state: EnrollmentState, $first: Int, $after: String) {
    enrollments(id: $id, state: $state, first: $first, after: $after) {
      nodes { ...EnrollmentRow }
      pageInfo { hasNextPage endCursor }
      totalCount
    }
  }
`);
const Remove = graphql(`
  mutation PageRemoveEnrollment($id: ID!, $enrollmentId: ID!) {
    removeEnrollment(id: $id, enrollmentId: $enrollmentId) {
      __typename
      ... on Enrollment { ...EnrollmentRow }
      ... on Error { code message }
    }
  }
`);
const Enroll = graphql(`
  mutation PageEnrollContact($id: ID!, $input: EnrollContactInput!, $key: String) {
    enrollContact(id: $id, input: $input, idempotencyKey: $key) {
      __typename
      ... on Enrollment { ...EnrollmentRow }
      ... on Error { code message param }
    }
  }
`);
const Find = graphql(`
  query EnrollFind($q: String!) { search(q: $q) { contacts { id phone firstName lastName } } }
`);

const AGAIN_MS = 10_000;
const PAUSE_MS = 250;
const ANY = "-";
const nameOf = (contact: { phone: string; firstName?: string | null; lastName?: string | null }) => [contact.firstName, contact.lastName].filter(Boolean).join(" ") || contact.phone;

export function People({ sequence, state }: { sequence: SequenceFullFragment; state: EnrollmentState | undefined }) {
  const { t } = useLingui();
  const tell = useTell();
  const navigate = useNavigate();
  const mayWrite = useMayWrite();
  const names = useNames();
  const { id, status } = sequence;
  const feed = useFeed(EnrollmentFeed, { id, ...(state === undefined ? {} : { state }) } as never, ({ enrollments }) => enrollments);
  const remove = useChange(Remove);
  const [leaving, setLeaving] = useState<EnrollmentRowFragment | null>(null);
  const [isAdding, setAdding] = useState(false);
  // Steps are taken by themselves: what is shown follows.
  useEffect(() => {
    const timer = setInterval(() => document.visibilityState === "visible" && feed.retry(), AGAIN_MS);
    return () => clearInterval(timer);
  }, [feed.retry]);
  const isOpen = status === "ACTIVE" || status === "PAUSED";
  const columns = useMemo<TableColumn<EnrollmentRowFragment>[]>(
    () => [
      {
        id: "contact",
        header: t`Contact`,
        cell: ({ contact }) =>
          contact == null ? (
            <span className="text-muted">{t`Deleted`}</span>
          ) : (
            <span className="block max-w-36 sm:max-w-60">
              <Link to="/contacts/$id" params={{ id: contact.id }} className="block truncate font-medium text-text no-underline hover:underline">
                {nameOf(contact)}
              </Link>
              <span className="block truncate text-sm text-muted tabular">{contact.phone}</span>
            </span>
          ),
        text: ({ contact }) => contact?.phone,
      },
      {
        id: "state",
        header: t`State`,
        cell: (row) => (
          <span className="flex flex-col items-start gap-0.5">
            <StateBadge state={row.state} />
            {row.reason != null && <span className="text-sm text-muted">{names.reasonOf(row.reason)}</span>}
          </span>
        ),
        text: ({ state: each, reason }) => reason ?? each,
        isUnder: true,
      },
      { id: "step", header: t`Next step`, cell: ({ step }) => <span className="block max-w-40 truncate">{step ?? "–"}</span>, text: ({ step }) => step, className: "hidden sm:table-cell" },
      { id: "due", header: t`Due`, cell: ({ dueAt }) => (dueAt == null ? "–" : <Time at={dueAt} />), text: ({ dueAt }) => dueAt, className: "hidden md:table-cell" },
      { id: "way", header: t`Entered by`, cell: ({ enteredBy }) => names.wayOf(enteredBy), text: ({ enteredBy }) => enteredBy, className: "hidden xl:table-cell" },
      { id: "entered", header: t`Entered`, cell: ({ createdAt }) => <Time at={createdAt} />, text: ({ createdAt }) => createdAt, className: "hidden lg:table-cell" },
      { id: "version", header: t`Version`, cell: ({ sequenceVersion }) => sequenceVersion, text: ({ sequenceVersion }) => sequenceVersion, isNumber: true, isExtra: true },
      ...(mayWrite
        ? [
            {
              id: "change",
              header: t`Change`,
              cell: (row: EnrollmentRowFragment) => {
                const who = row.contact == null ? row.id : nameOf(row.contact);
                return row.state === "ACTIVE" ? <Button size="small" look="quiet" aria-label={t`Take out ${who}`} onPress={() => setLeaving(row)}>{t`Take out`}</Button> : null;
              },
            },
          ]
        : []),
    ],
    [t, mayWrite, names],
  );
  const choices = [{ value: ANY, label: t`All` }, ...STATES.map((each) => ({ value: each as string, label: names.states[each] }))];
  const adding = mayWrite && isOpen ? <Button look="primary" icon="plus" onPress={() => setAdding(true)}>{t`Add a contact`}</Button> : undefined;
  const go = (next: string) => void navigate({ to: "/sequences/$id", params: { id }, search: { tab: "people", ...(next === "" ? {} : { state: next as EnrollmentState }) }, resetScroll: false });
  const who = leaving?.contact == null ? "" : nameOf(leaving.contact);
  return (
    <>
      <div className="mb-4 flex flex-wrap items-center justify-between gap-x-4 gap-y-3">
        <Segmented label={t`State`} hideLabel choices={choices} value={state ?? ANY} onChange={(next) => go(next === ANY ? "" : next)} />
        {feed.rows?.length === 0 && state === undefined ? null : adding}
      </div>
      {feed.problem !== null && feed.rows === undefined ? (
        <ProblemState problem={feed.problem} onRetry={feed.retry} />
      ) : feed.rows === undefined ? (
        <Loading />
      ) : feed.rows.length === 0 ? (
        state === undefined ? (
          <Card>
            <EmptyState icon="contacts" title={t`Nobody has entered yet`} action={adding}>
              {isOpen ? <Trans>Add a contact by hand to see how it goes, or let people in by a list, a keyword or a tag.</Trans> : <Trans>People can enter once it is published.</Trans>}
            </EmptyState>
          </Card>
        ) : (
          <FilteredEmpty onClear={() => go("")} />
        )
      ) : (
        <DataTable label={t`People`} rows={feed.rows} columns={columns} rowKey={(row) => row.id} totalCount={feed.totalCount} hasMore={feed.hasMore} onMore={feed.loadMore} isLoading={feed.isLoading} fileName={`sequence-${id}`} />
      )}
      <Confirm
        isOpen={leaving !== null}
        onClose={() => setLeaving(null)}
        title={t`Take ${who} out?`}
        action={t`Take out`}
        isPending={remove.isRunning}
        onConfirm={async () => void tell((await remove.run({ id, enrollmentId: leaving!.id })).problem, t`Taken out.`)}
      >
        <p>
          <Trans>A message that waits for them is not sent. The contact itself stays as it is.</Trans>
        </p>
      </Confirm>
      {isAdding && <AddDialog sequence={sequence} onClose={() => setAdding(false)} />}
    </>
  );
}

const PHONE = /^\+?[\d\s().-]{7,}$/;

function AddDialog({ sequence, onClose }: { sequence: SequenceFullFragment; onClose: () => void }) {
  const { t } = useLingui();
  const zone = useZone();
  const tell = useTell();
  const textOf = useProblemText();
  const enroll = useChange(Enroll);
  const [typed, setTyped] = useState("");
  const [asked, setAsked] = useState("");
  const [anchor, setAnchor] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const isAnchored = sequence.steps.some(({ anchorMinutes }) => anchorMinutes != null);
  useEffect(() => {
    const timer = setTimeout(() => setAsked(typed.trim()), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  const reading = useData(Find, { q: asked.slice(0, 100) }, { pause: asked.length < 2 });
  const found = asked.length < 2 ? [] : (reading.data?.search.contacts ?? []);
  const phone = typed.trim();
  const isNew = PHONE.test(phone) && !found.some((each) => each.phone.replace(/\D/g, "") === phone.replace(/\D/g, ""));
  const add = async (input: { contactId: string } | { phone: string }, who: string) => {
    const anchorAt = anchor === "" ? null : instantOf(anchor, zone);
    const { problem: refused } = await enroll.run({ id: sequence.id, input: { ...input, ...(anchorAt === null ? {} : { anchorAt }) }, key: newKey() });
    setProblem(refused);
    if (refused === null) {
      tell(null, t`${who} is in the sequence.`);
      onClose();
    }
  };
  const at = problem?.param?.replace(/^input\./, "");
  return (
    <Dialog isOpen onClose={onClose} title={t`Add a contact`} actions={<Button onPress={onClose}>{t`Not now`}</Button>}>
      <div className="space-y-4">
        <Field label={t`Who`} hint={t`A name, a phone or an e-mail address.`} value={typed} onChange={setTyped} autoFocus autoComplete="off" error={at === "phone" || at === "contactId" ? textOf(problem!) : undefined} />
        {(isAnchored || at === "anchorAt") && <Field label={t`Their own date (${zone})`} hint={t`In place of the sequence's, such as an appointment.`} type={"datetime-local" as "text"} className="max-w-xs" value={anchor} onChange={setAnchor} error={at === "anchorAt" ? textOf(problem!) : undefined} />}
        {problem !== null && !["phone", "contactId", "anchorAt"].includes(at ?? "") && <Callout tone="danger">{textOf(problem)}</Callout>}
        <ul aria-label={t`Found`} className="space-y-1.5">
          {found.map((each) => {
            const name = nameOf(each);
            return (
            <li key={each.id} className="flex items-center justify-between gap-3 rounded-lg border border-line px-3 py-2">
              <span className="min-w-0">
                <span className="block truncate font-medium">{name}</span>
                <span className="block truncate text-sm text-muted tabular">{each.phone}</span>
              </span>
              <Button size="small" isPending={enroll.isRunning} aria-label={t`Add ${name}`} onPress={() => void add({ contactId: each.id }, name)}>{t`Add`}</Button>
            </li>
            );
          })}
        </ul>
        <p role="status" className="text-sm text-muted empty:hidden">
          {asked.length >= 2 && !reading.isLoading && found.length === 0 && !isNew ? t`Nobody is found.` : ""}
        </p>
        {isNew && (
          <Button icon="plus" isPending={enroll.isRunning} onPress={() => void add({ phone }, phone)}>
            {t`Add ${phone}`}
          </Button>
        )}
      </div>
    </Dialog>
  );
}
