// Bulk actions: chosen in a dialog that counts first, and followed in lines above the table until they end.
import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { useEffect, useRef, useState, type ReactNode } from "react";
import { useChange, useData } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { useSession } from "@/api/session";
import { graphql } from "@/gql";
import type { BulkKind, BulkRowFragment, BulkStatus } from "@/gql/graphql";
import { Bar } from "@/ui/bar";
import { Button } from "@/ui/button";
import { TYPED_ABOVE } from "@/ui/confirm";
import { Dialog } from "@/ui/dialog";
import { Field, Segmented, Select } from "@/ui/fields";
import { Callout, useNumbers } from "@/ui/show";
import { ProblemState, useProblemText } from "@/ui/states";
import { DOES_LIST, DOES_TAG, inputOf, IS_FINAL, whomOf, type Doing, type Target, type Whom } from "./selection";
import { useIsAdmin, useLists, useMayWrite, useTell } from "./shared";
import { TagsField } from "./tags";

export const BulkRow = graphql(`
  fragment BulkRow on BulkAction {
    id
    action
    status
    dryRun
    matched
    changed
    error { code message }
  }
`);
const BulkData = graphql(`
  query BulkCount($id: ID!) { bulkAction(id: $id) { ...BulkRow } }
`);
const BulkRecent = graphql(`
  query BulkRecent { bulkActions(first: 20) { nodes { ...BulkRow } } }
`);
const Create = graphql(`
  mutation PageBulkAction($input: CreateBulkActionInput!) {
    createBulkAction(input: $input) {
      __typename
      ... on BulkAction { ...BulkRow }
      ... on Error { code message param }
    }
  }
`);
const Cancel = graphql(`
  mutation PageCancelBulkAction($id: ID!) {
    cancelBulkAction(id: $id) {
      __typename
      ... on BulkAction { ...BulkRow }
      ... on Error { code message }
    }
  }
`);

const DUE: ReadonlySet<BulkStatus> = new Set(["QUEUED", "RUNNING"]);
const AGAIN_MS = 700;
const HAND = "static";
const KINDS: readonly BulkKind[] = ["TAG", "UNTAG", "ADD_TO_LIST", "REMOVE_FROM_LIST", "OPT_OUT", "DELETE", "ERASE"];

interface DialogProps {
  target: Target;
  /** How many contacts the filters find. */
  foundCount: number | undefined;
  onClose: () => void;
  onStart: (id: string, count: number) => void;
}

export function BulkDialog({ target, foundCount, onClose, onStart }: DialogProps) {
  const { t } = useLingui();
  const { livemode } = useSession();
  const { whole } = useNumbers();
  const create = useChange(Create);
  const cancel = useChange(Cancel);
  const textOf = useProblemText();
  const choices = whomOf(target);
  const [whom, setWhom] = useState<Whom>(choices[0] ?? "chosen");
  const [doing, setDoing] = useState<Doing>({ action: "TAG", tags: [], list: null });
  const [counted, setCounted] = useState<string | null>(null);
  const [typed, setTyped] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const reading = useData(BulkData, { id: counted ?? "" }, { pause: counted === null, every: AGAIN_MS });
  const row = counted === null ? null : (reading.data?.bulkAction ?? null);
  const input = inputOf(target, whom, doing);
  const count = row?.status === "COMPLETED" ? row.matched : null;
  const isTyped = count !== null && IS_FINAL.has(doing.action) && count > TYPED_ABOVE[livemode ? "live" : "sandbox"];
  const canRun = count !== null && count > 0 && (!isTyped || typed.replace(/\D/g, "") === String(count));
  const begin = async (dryRun: boolean) => {
    if (input === null) return null;
    const { done, problem: found } = await create.run({ input: { ...input, dryRun } });
    setProblem(found);
    return done;
  };
  const stopCounting = () => {
    if (row !== null && DUE.has(row.status)) void cancel.run({ id: row.id });
  };
  const close = () => {
    stopCounting();
    onClose();
  };
  const back = () => {
    stopCounting();
    setCounted(null);
    setTyped("");
  };
  const first = async () => setCounted((await begin(true))?.id ?? null);
  const run = async () => {
    const done = await begin(false);
    if (done === null) return;
    onStart(done.id, count ?? 0);
    onClose();
  };
  const shownCount = whole(count ?? 0);
  const names = useActionNames();
  const actions =
    counted === null ? (
      <>
        <Button onPress={close}>{t`Not now`}</Button>
        <Button look="primary" isDisabled={input === null} isPending={create.isRunning} onPress={() => void first()}>{t`Count them first`}</Button>
      </>
    ) : (
      <>
        <Button onPress={back} autoFocus>{t`Back`}</Button>
        <Button look={IS_FINAL.has(doing.action) ? "danger" : "primary"} isDisabled={!canRun} isPending={create.isRunning} onPress={() => void run()}>
          {names[doing.action]}
        </Button>
      </>
    );
  return (
    <Dialog isOpen onClose={close} title={t`Change contacts`} actions={actions}>
      <div className="space-y-5">
        {problem !== null && <Callout tone="danger">{textOf(problem)}</Callout>}
        {counted === null ? (
          <Choosing target={target} foundCount={foundCount} whom={whom} choices={choices} onWhom={setWhom} doing={doing} onDoing={setDoing} />
        ) : reading.problem !== null && row === null ? (
          <ProblemState problem={reading.problem} onRetry={reading.retry} />
        ) : (
          <>
            <div role="status">
              {row?.status === "FAILED" ? <Callout tone="danger">{row.error?.message}</Callout> : count === null ? <p className="text-muted">{t`Counting…`}</p> : <p className="text-lg">{count === 0 ? t`No contact is found any more.` : <Outcome doing={doing} count={count} />}</p>}
            </div>
            {isTyped && <Field label={t`Type ${shownCount} to confirm how many contacts it is`} value={typed} onChange={setTyped} inputMode="numeric" autoComplete="off" className="max-w-sm" />}
          </>
        )}
      </div>
    </Dialog>
  );
}

interface ChoosingProps {
  target: Target;
  foundCount: number | undefined;
  whom: Whom;
  choices: readonly Whom[];
  onWhom: (whom: Whom) => void;
  doing: Doing;
  onDoing: (doing: Doing) => void;
}

function Choosing({ target, foundCount, whom, choices, onWhom, doing, onDoing }: ChoosingProps) {
  const { t } = useLingui();
  const { whole } = useNumbers();
  const names = useActionNames();
  const isAdmin = useIsAdmin();
  const lists = useLists().filter(({ kind }) => kind === HAND);
  const chosen = whole(target.chosen.size);
  const found = whole(foundCount ?? 0);
  const labels: Record<Whom, string> = { chosen: t`${chosen} chosen`, found: foundCount === undefined ? t`All that are found` : t`All ${found} found` };
  return (
    <>
      {choices.length > 1 ? <Segmented label={t`For whom`} choices={choices.map((value) => ({ value, label: labels[value] }))} value={whom} onChange={onWhom} /> : <p className="text-muted">{labels[whom]}</p>}
      <Select label={t`What to do`} choices={KINDS.filter((value) => value !== "ERASE" || isAdmin).map((value) => ({ value, label: names[value] }))} value={doing.action} onChange={(action) => onDoing({ ...doing, action })} />
      {DOES_TAG.has(doing.action) && <TagsField label={t`Tag`} tags={doing.tags} onChange={(tags) => onDoing({ ...doing, tags })} />}
      {DOES_LIST.has(doing.action) &&
        (lists.length === 0 ? (
          <p className="text-muted">
            <Trans>There is no list that is kept by hand. Make one first.</Trans>
          </p>
        ) : (
          <Select label={t`List`} placeholder={t`Choose a list`} choices={lists.map(({ id, name }) => ({ value: id, label: name }))} value={doing.list} onChange={(list) => onDoing({ ...doing, list })} />
        ))}
      {doing.action === "OPT_OUT" && (
        <Callout tone="warn">
          <Trans>Nothing more is sent to these phones, until each person agrees again.</Trans>
        </Callout>
      )}
      {doing.action === "ERASE" && (
        <Callout tone="danger">
          <Trans>All that names these people goes for good, also from messages and events. Opt-outs stay, without the phone.</Trans>
        </Callout>
      )}
      {doing.action === "DELETE" && (
        <Callout tone="warn">
          <Trans>The contacts and their attributes go. Their messages and the history of their consent stay, and so do opt-outs.</Trans>
        </Callout>
      )}
    </>
  );
}

function useActionNames(): Record<BulkKind, string> {
  const { t } = useLingui();
  return { TAG: t`Add tags`, UNTAG: t`Remove tags`, ADD_TO_LIST: t`Put on a list`, REMOVE_FROM_LIST: t`Take off a list`, OPT_OUT: t`Opt out`, DELETE: t`Delete`, ERASE: t`Erase for good` };
}

/** What will be done, to how many. */
function Outcome({ doing, count }: { doing: Doing; count: number }) {
  const lists = useLists();
  const tags = doing.tags.join(", ");
  const list = lists.find(({ id }) => id === doing.list)?.name ?? "";
  const texts: Record<BulkKind, ReactNode> = {
    TAG: <Plural value={count} one={`# contact will have: ${tags}`} other={`# contacts will have: ${tags}`} />,
    UNTAG: <Plural value={count} one={`# contact will not have: ${tags}`} other={`# contacts will not have: ${tags}`} />,
    ADD_TO_LIST: <Plural value={count} one={`# contact will be on “${list}”.`} other={`# contacts will be on “${list}”.`} />,
    REMOVE_FROM_LIST: <Plural value={count} one={`# contact will not be on “${list}”.`} other={`# contacts will not be on “${list}”.`} />,
    OPT_OUT: <Plural value={count} one="# contact will be opted out." other="# contacts will be opted out." />,
    DELETE: <Plural value={count} one="# contact will be deleted." other="# contacts will be deleted." />,
    ERASE: <Plural value={count} one="# contact will be erased for good." other="# contacts will be erased for good." />,
  };
  return texts[doing.action];
}

/** The actions that are under way, and how those of this page ended. */
export function BulkLines({ started, onEnd }: { started: ReadonlyMap<string, number>; onEnd: () => void }) {
  const [isMoving, setMoving] = useState(false);
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const seen = useRef(new Set<string>());
  const told = useRef(new Set<string>());
  const reading = useData(BulkRecent, {}, isMoving ? { every: AGAIN_MS } : {});
  const rows = (reading.data?.bulkActions.nodes ?? []).filter(({ dryRun }) => !dryRun);
  for (const { id, status } of rows) if (DUE.has(status) || started.has(id)) seen.current.add(id);
  const key = rows.map(({ id, status }) => `${id} ${status}`).join();
  useEffect(() => {
    // One that was begun here and is not listed yet was read past: a list that was on its way came without it.
    const isListed = new Set(rows.map(({ id }) => id));
    setMoving(rows.some(({ status }) => DUE.has(status)) || [...started.keys()].some((id) => !isListed.has(id) && !told.current.has(id)));
    const ended = rows.filter(({ id, status }) => seen.current.has(id) && !DUE.has(status) && !told.current.has(id));
    for (const { id } of ended) told.current.add(id);
    if (ended.length > 0) onEnd();
  }, [key, started, onEnd]);
  const shown = rows.filter(({ id }) => seen.current.has(id) && !closed.has(id));
  if (shown.length === 0) return null;
  return (
    <ul className="mb-4 space-y-2">
      {shown.map((row) => (
        <li key={row.id}>{DUE.has(row.status) ? <Going row={row} count={started.get(row.id) ?? 0} /> : <Ended row={row} onClose={() => setClosed(new Set(closed).add(row.id))} />}</li>
      ))}
    </ul>
  );
}

function Going({ row, count }: { row: BulkRowFragment; count: number }) {
  const { t } = useLingui();
  const { whole } = useNumbers();
  const tell = useTell();
  const mayWrite = useMayWrite();
  const name = useActionNames()[row.action];
  const cancel = useChange(Cancel);
  const [done, all] = [whole(row.matched), whole(count)];
  return (
    <div className="flex flex-wrap items-center gap-x-4 gap-y-2 rounded-xl border border-line bg-surface px-4 py-2.5">
      <span className="text-sm font-medium">{name}</span>
      <span className="min-w-32 flex-1">
        <Bar label={name} done={row.matched} whole={count} />
      </span>
      <span className="text-sm text-muted tabular">{count > 0 ? t`${done} of ${all}` : t`${done} so far`}</span>
      {mayWrite && <Button size="small" isPending={cancel.isRunning} aria-label={t`Cancel: ${name}`} onPress={async () => void tell((await cancel.run({ id: row.id })).problem, t`Canceled. What was done stays.`)}>{t`Cancel`}</Button>}
    </div>
  );
}

function Ended({ row, onClose }: { row: BulkRowFragment; onClose: () => void }) {
  const { t } = useLingui();
  const { whole } = useNumbers();
  const name = useActionNames()[row.action];
  const { status, changed, matched, error } = row;
  const done = whole(changed);
  const texts: Partial<Record<BulkStatus, ReactNode>> = {
    COMPLETED: changed === matched ? <Plural value={changed} one="# contact was changed." other="# contacts were changed." /> : <Plural value={matched} one={`${done} of # contact was changed; it was so already.`} other={`${done} of # contacts were changed; the others were so already.`} />,
    CANCELED: <Plural value={changed} one="Canceled after # contact was changed. That stays." other="Canceled after # contacts were changed. That stays." />,
    FAILED: error?.message,
  };
  return (
    <div role="status">
      <Callout tone={status === "FAILED" ? "danger" : status === "CANCELED" ? "warn" : "good"} action={<Button size="small" look="quiet" icon="close" aria-label={t`Close: ${name}`} onPress={onClose} />}>
        <strong className="font-medium">{name}</strong>: {texts[status]}
      </Callout>
    </div>
  );
}
