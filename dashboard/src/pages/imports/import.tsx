// An import by its id. Its status is the step that is seen, so that a reload goes on where it was.
import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useEffect, useRef, useState, type ReactNode } from "react";
import { useClient } from "urql";
import { useChange, useData, useLive } from "@/api/hooks";
import { graphql } from "@/gql";
import { useMayWrite } from "@/pages/contacts/shared";
import { Bar } from "@/ui/bar";
import { Button, ButtonLink } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { Callout, Card, CopyId, Count, Facts, PageHead, Time } from "@/ui/show";
import { EmptyState, Loading, Skeleton, States, useProblemText } from "@/ui/states";
import { useTell } from "@/ui/tell";
import { ColumnsStep, OptionFacts } from "./columns";
import { FileDrop } from "./drop";
import { ConsentCard, CountsCard, InvalidRows } from "./result";
import { DUE, ImportBadge, useBytes, useImportNames, type Import } from "./shared";
import { Steps, type Step } from "./steps";
import { stopUpload, upload, useUpload } from "./upload";

const ImportData = graphql(`
  query ImportPage($id: ID!) {
    contactImport(id: $id) { ...ImportFull }
  }
`);
const ImportLive = graphql(`
  subscription ImportLive($id: ID!) {
    importProgress(id: $id) { ...ImportFull }
  }
`);
const Run = graphql(`
  mutation PageRunImport($id: ID!) {
    runImport(id: $id) {
      __typename
      ... on ContactImport { ...ImportFull }
      ... on Error { code message }
    }
  }
`);
const Cancel = graphql(`
  mutation PageCancelImport($id: ID!) {
    cancelImport(id: $id) {
      __typename
      ... on ContactImport { ...ImportFull }
      ... on Error { code message }
    }
  }
`);
const Undo = graphql(`
  mutation PageUndoImport($id: ID!) {
    undoImport(id: $id) {
      __typename
      ... on ContactImport { ...ImportFull }
      ... on Error { code message }
    }
  }
`);

export function ImportPage() {
  const { t } = useLingui();
  const { id } = useParams({ from: "/shell/imports/$id" });
  const reading = useData(ImportData, { id });
  return (
    <States of={reading} title={t({ message: "Import", context: "noun" })} loading={<ImportLoading />}>
      {({ contactImport }) =>
        contactImport == null ? (
          <EmptyState isPage icon="search" title={t`There is no such import`} action={<ButtonLink to="/imports">{t`All imports`}</ButtonLink>}>
            <Trans>It may be of another workspace, or of the other mode.</Trans>
          </EmptyState>
        ) : (
          <Shown key={id} row={contactImport} />
        )
      }
    </States>
  );
}

function ImportLoading() {
  return (
    <Loading>
      <Skeleton className="mb-6 h-10 w-72" />
      <Skeleton className="mb-6 h-8 w-full max-w-xl" />
      <Skeleton className="h-80 w-full" />
    </Loading>
  );
}

function stepOf(row: Import, asked: "check" | undefined): Step {
  if (row.status === "UPLOADING") return "file";
  if (row.status === "NEEDS_MAPPING") return "columns";
  if (row.status === "CHECKED") return asked ?? "columns";
  if (row.status === "RUNNING") return "run";
  return DUE.has(row.status) && row.status !== "UNDOING" ? "check" : "report";
}

function Shown({ row }: { row: Import }) {
  const { t } = useLingui();
  const { step: asked } = useSearch({ from: "/shell/imports/$id" });
  const mayWrite = useMayWrite();
  const { id, status } = row;
  const isMoving = DUE.has(status);
  useLive(ImportLive, { id }, { pause: !isMoving });
  const step = stepOf(row, asked);
  const body = useRef<HTMLDivElement>(null);
  const seen = `${step} ${isMoving}`;
  const last = useRef(seen);
  // What had the focus went with its step: the next one takes it, so that the keyboard goes on from there.
  useEffect(() => {
    if (last.current === seen) return;
    last.current = seen;
    if (document.activeElement === document.body || document.activeElement === null) body.current?.focus({ preventScroll: true });
  }, [seen]);
  return (
    <>
      <PageHead
        above={
          <Link to="/imports" className="mb-1 inline-block text-sm">
            {t`Imports`}
          </Link>
        }
        title={<span className="wrap-anywhere">{row.fileName}</span>}
        lead={
          <span className="flex flex-wrap items-center gap-x-3 gap-y-1">
            <span role="status">
              <ImportBadge status={status} />
            </span>
            <Time at={row.endedAt ?? row.createdAt} />
            <CopyId id={id} short />
          </span>
        }
        actions={mayWrite && <Actions row={row} />}
      />
      <Steps at={step} />
      <div ref={body} tabIndex={-1} className="outline-none">
        {status === "UPLOADING" ? (
          <Uploading row={row} />
        ) : isMoving ? (
          <Moving row={row} />
        ) : step === "columns" ? (
          // Another page may have told the status before the columns were read: they begin again with them.
          mayWrite ? <ColumnsStep key={row.columns.length} row={row} /> : <Check row={row} />
        ) : step === "check" ? (
          <Check row={row} />
        ) : (
          <Report row={row} />
        )}
      </div>
    </>
  );
}

function Actions({ row }: { row: Import }) {
  const { t } = useLingui();
  const tell = useTell();
  const cancel = useChange(Cancel);
  const undo = useChange(Undo);
  const [open, setOpen] = useState<"cancel" | "undo" | null>(null);
  const { id, status, counts } = row;
  const close = () => setOpen(null);
  const canCancel = status === "UPLOADING" || status === "NEEDS_MAPPING" || status === "CHECKED" || (DUE.has(status) && status !== "UNDOING");
  const canUndo = row.undoUntil != null && Date.parse(row.undoUntil) > Date.now();
  return (
    <>
      {canCancel && <Button look="danger" onPress={() => setOpen("cancel")}>{t`Cancel import`}</Button>}
      {canUndo && <Button look="danger" onPress={() => setOpen("undo")}>{t`Undo import`}</Button>}
      <Confirm
        isOpen={open === "cancel"}
        onClose={close}
        title={t`Cancel this import?`}
        action={t`Cancel import`}
        isPending={cancel.isRunning}
        onConfirm={async () => {
          stopUpload(id);
          tell((await cancel.run({ id })).problem, t`The import is canceled.`);
        }}
      >
        <p>
          {status === "RUNNING" ? (
            <Trans>What it has done stays, and can be undone for seven days. The rest of the file is not imported.</Trans>
          ) : (
            <Trans>No contact was changed yet. The file is deleted.</Trans>
          )}
        </p>
      </Confirm>
      <Confirm
        isOpen={open === "undo"}
        onClose={close}
        title={t`Undo this import?`}
        action={t`Undo import`}
        isPending={undo.isRunning}
        onConfirm={async () => {
          tell((await undo.run({ id })).problem, t`It is being undone.`);
        }}
      >
        <div className="space-y-2">
          <p>
            <Plural value={counts.created} one="The contact that it made is deleted, unless it was used since: by a message, a reply, a note or a change." other="The # contacts that it made are deleted, but for those used since: by a message, a reply, a note or a change." />
          </p>
          <p>
            <Trans>What was changed of contacts that were there before stays, and so do opt-outs and the history of consent.</Trans>
          </p>
        </div>
      </Confirm>
    </>
  );
}

function Uploading({ row }: { row: Import }) {
  const { t } = useLingui();
  const client = useClient();
  const bytes = useBytes();
  const mayWrite = useMayWrite();
  const textOf = useProblemText();
  const state = useUpload(row.id);
  const [refused, setRefused] = useState<string | null>(null);
  const goOn = (file: File) => {
    if (file.name !== row.fileName) return setRefused(t`This is ${file.name}. Choose ${row.fileName}, from which the import began.`);
    if (file.size < row.fileSize) return setRefused(t`This file is shorter than what has come of it. Import it as a new one.`);
    setRefused(null);
    void upload(client, row.id, file, row.fileSize);
  };
  if (state?.isRunning) {
    const sent = bytes(state.sent);
    const size = bytes(state.size);
    return (
      <Card title={t`Uploading the file`} tools={<span className="text-sm text-muted tabular">{t`${sent} of ${size}`}</span>}>
        <Bar label={t`Uploading the file`} done={state.sent} whole={state.size} />
        <p className="mt-3 text-sm text-muted">{state.isRetrying ? t`A part did not come through. It is sent again.` : t`It goes on while you see other pages of the dashboard. Closed, it goes on where it was once you choose the file again.`}</p>
      </Card>
    );
  }
  const come = bytes(row.fileSize);
  return (
    <div className="max-w-3xl space-y-4">
      {state?.problem != null && <Callout tone="danger">{state.problem.code === "file_unreadable" ? t`The file cannot be read any more. Choose it again.` : textOf(state.problem)}</Callout>}
      {mayWrite ? (
        <>
          {row.fileSize > 0 && <Callout tone="info">{t`The upload broke off. ${come} have come, and it goes on from there.`}</Callout>}
          <FileDrop label={t`Choose ${row.fileName} again`} hint={t`The same file, so that the upload goes on.`} onFile={goOn} />
          {refused !== null && <Callout tone="danger">{refused}</Callout>}
        </>
      ) : (
        <Callout tone="info">{t`The file is being uploaded.`}</Callout>
      )}
    </div>
  );
}

function Moving({ row }: { row: Import }) {
  const { t } = useLingui();
  const name = useImportNames()[row.status];
  const { status, rowsRead, rowsDone, counts } = row;
  const isCounted = status === "CHECKING" || status === "RUNNING" || status === "UNDOING";
  const lines: Record<string, ReactNode> = {
    QUEUED: t`It begins in a moment.`,
    READING: (
      <Trans>
        <Count value={rowsRead} /> rows read
      </Trans>
    ),
  };
  return (
    <div className="max-w-4xl space-y-6">
      <Card title={name} tools={isCounted && <span className="text-sm text-muted"><Trans><Count value={rowsDone} /> of <Count value={rowsRead} /> rows</Trans></span>}>
        <Bar label={name} done={isCounted ? rowsDone : 0} whole={isCounted ? rowsRead : 0} />
        <p className="mt-3 text-sm text-muted">{lines[status] ?? t`It goes on by itself, also when this page is closed.`}</p>
      </Card>
      {status === "RUNNING" && <CountsCard counts={counts} title={t`So far`} />}
    </div>
  );
}

function Check({ row }: { row: Import }) {
  const { t } = useLingui();
  const navigate = useNavigate();
  const textOf = useProblemText();
  const mayWrite = useMayWrite();
  const run = useChange(Run);
  const [problem, setProblem] = useState<Parameters<typeof textOf>[0] | null>(null);
  const { id, counts } = row;
  const taken = counts.created + counts.updated + counts.unchanged + counts.suppressed;
  return (
    <div className="space-y-6">
      <div className="grid items-start gap-6 xl:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
        <CountsCard counts={counts} title={t`What would come of it`} isExpected />
        <div className="min-w-0 space-y-6">
          <ConsentCard row={row} isExpected />
          <Card title={t`What holds for the file`}>
            <OptionFacts row={row} />
          </Card>
        </div>
      </div>
      <InvalidRows row={row} />
      {problem !== null && <Callout tone="danger">{textOf(problem)}</Callout>}
      {counts.rows === 0 && <Callout tone="warn">{t`The file has no rows.`}</Callout>}
      {mayWrite && (
        <div className="flex flex-wrap gap-2">
          <Button
            look="primary"
            isPending={run.isRunning}
            isDisabled={taken === 0}
            onPress={async () => {
              const { done, problem: found } = await run.run({ id });
              setProblem(found);
              if (done !== null) await navigate({ to: "/imports/$id", params: { id }, replace: true });
            }}
          >{t`Run the import`}</Button>
          <ButtonLink to="/imports/$id" params={{ id }}>{t`Change columns and consent`}</ButtonLink>
        </div>
      )}
    </div>
  );
}

function Report({ row }: { row: Import }) {
  const { t } = useLingui();
  const { status, counts, error, startedAt, undoUntil } = row;
  const canUndo = undoUntil != null && Date.parse(undoUntil) > Date.now();
  const taken = counts.created + counts.updated + counts.unchanged;
  const again = <ButtonLink size="small" to="/imports/new" search={row.listId == null ? {} : { list: row.listId }}>{t`Import another file`}</ButtonLink>;
  return (
    <div className="space-y-6">
      {status === "COMPLETED" && (
        <Callout tone={counts.invalid === 0 ? "good" : "warn"} action={again}>
          {counts.invalid === 0 ? <Trans>All rows were taken.</Trans> : <Plural value={counts.invalid} one="# row was not taken." other="# rows were not taken." />} <Plural value={taken} one="# contact is in." other="# contacts are in." />
        </Callout>
      )}
      {status === "FAILED" && <Callout tone="danger" action={again}>{error?.message ?? t`The import could not go on.`}</Callout>}
      {status === "CANCELED" && <Callout tone="info" action={again}>{startedAt == null ? t`It was canceled before any contact was changed.` : t`It was canceled. What it had done stays.`}</Callout>}
      {status === "EXPIRED" && <Callout tone="info" action={again}>{t`Nobody ran it for seven days. Its file is deleted.`}</Callout>}
      {status === "UNDONE" && (
        <Card title={t`What was undone`}>
          <Facts items={[[t`Contacts deleted`, <Count key="undone" value={counts.undone} />], [t`Kept, as they were used since`, <Count key="kept" value={counts.kept} />]]} />
        </Card>
      )}
      {startedAt != null && (
        <div className="grid items-start gap-6 xl:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
          <CountsCard counts={counts} title={t`What came of it`} />
          <div className="min-w-0 space-y-6">
            <ConsentCard row={row} />
            <Card title={t`What held for the file`}>
              <OptionFacts row={row} />
            </Card>
            <Card title={t`What next`}>
              <div className="flex flex-wrap gap-2">
                {row.listId != null && taken > 0 && <ButtonLink look="primary" to="/campaigns/new" search={{ list: row.listId }}>{t`Write to them`}</ButtonLink>}
                {row.listId != null && <ButtonLink to="/lists/$id" params={{ id: row.listId }}>{t`See the list`}</ButtonLink>}
                <ButtonLink to="/contacts">{t`See the contacts`}</ButtonLink>
              </div>
              {canUndo && (
                <p className="mt-3 text-sm text-muted">
                  <Trans>
                    What it made can be undone until <Time at={undoUntil} style="full" />.
                  </Trans>
                </p>
              )}
            </Card>
          </div>
        </div>
      )}
      {status !== "UNDONE" && <InvalidRows row={row} />}
    </div>
  );
}
