import { Trans, useLingui } from "@lingui/react/macro";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useMemo } from "react";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Select } from "@/ui/fields";
import { Badge, Card, CopyId, Facts, PageHead, Time } from "@/ui/show";
import { EmptyState, States } from "@/ui/states";
import { DataTable, type TableColumn } from "@/ui/table";
import { useTell } from "@/ui/tell";
import { useAct, useOps, useOpsFeed, type Job } from "./api";
import { QUEUES } from "./names";
import { List } from "./shared";

const EVERY_MS = 10_000;
// What the service lists at once: who has read on is not brought back to the beginning.
const PAGE = 50;
const ALL = "-";

export function JobsPage() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const { queue, id } = useSearch({ from: "/operators/jobs" });
  const feed = useOpsFeed<Job>("/jobs", { queue });
  const { retry, rows: shown, hasMore } = feed;
  const isFirst = !hasMore || (shown?.length ?? 0) <= PAGE;
  useEffect(() => {
    if (!isFirst) return undefined;
    const timer = setInterval(() => document.visibilityState === "visible" && retry(), EVERY_MS);
    return () => clearInterval(timer);
  }, [isFirst, retry]);
  const go = (next: { queue?: (typeof QUEUES)[number] | undefined; id?: string | undefined }) => void navigate({ to: "/operators/jobs", search: { queue, ...next }, replace: true, resetScroll: false });
  const columns = useMemo<TableColumn<Job>[]>(
    () => [
      { id: "job", header: t`Job`, cell: (job) => <span className="block max-w-44 truncate font-medium sm:max-w-80">{job.function || job.id}</span>, text: (job) => job.function },
      { id: "queue", header: t`Queue`, cell: (job) => <Badge>{job.queue}</Badge>, text: (job) => job.queue },
      { id: "error", header: t`What went wrong`, cell: (job) => <span className="block max-w-96 truncate font-mono text-xs text-muted">{job.error}</span>, text: (job) => job.error, className: "hidden md:table-cell" },
      { id: "at", header: t`When`, cell: (job) => (job.failed_at === null ? "–" : <Time at={job.failed_at} style="relative" />), text: (job) => job.failed_at, className: "hidden sm:table-cell" },
    ],
    [t],
  );
  return (
    <>
      <PageHead title={t`Failed jobs`} lead={<Trans>A job that broke is kept for an hour. What it was called for is in PostgreSQL, and the next job does it.</Trans>} />
      <div className="mb-4 flex flex-wrap items-end gap-3">
        <Select label={t`Queue`} className="w-full sm:w-52" choices={[{ value: ALL, label: t`All queues` }, ...QUEUES.map((each) => ({ value: each as string, label: each as string }))]} value={queue ?? ALL} onChange={(next) => go({ queue: next === ALL ? undefined : (next as (typeof QUEUES)[number]) })} />
        <Button look="quiet" icon="refresh" onPress={retry}>{t`Read again`}</Button>
      </div>
      <List
        of={feed}
        isFiltered={queue !== undefined}
        onClear={() => go({ queue: undefined })}
        empty={
          <Card>
            <EmptyState icon="check" title={t`No job has failed`}>{t`Jobs that broke in the last hour show here, with where they broke.`}</EmptyState>
          </Card>
        }
      >
        {(rows) => <DataTable label={t`Failed jobs`} rows={rows} columns={columns} rowKey={(job) => job.id} onOpen={(job) => go({ id: job.id })} hasMore={hasMore} onMore={feed.loadMore} isLoading={feed.isLoading} fileName="failed-jobs" />}
      </List>
      {id !== undefined && <JobDrawer id={id} onClose={() => go({ id: undefined })} onDone={retry} />}
    </>
  );
}

function JobDrawer({ id, onClose, onDone }: { id: string; onClose: () => void; onDone: () => void }) {
  const { t } = useLingui();
  const tell = useTell();
  const act = useAct();
  const reading = useOps<Job>(`/jobs/${encodeURIComponent(id)}`);
  const requeue = async () => {
    const { problem } = await act.run("POST", `/jobs/${encodeURIComponent(id)}/requeue`);
    if (!tell(problem, t`The job runs again.`)) return;
    onDone();
    onClose();
  };
  return (
    <Dialog isOpen onClose={onClose} title={t`Failed job`} isDrawer actions={<Button look="primary" icon="refresh" isDisabled={reading.data?.is_readable !== true} isPending={act.isRunning} onPress={requeue}>{t`Run it again`}</Button>}>
      <States of={reading}>
        {(job) => (
          <div className="space-y-4">
            <Facts
              items={[
                job.function !== "" && [t`Function`, <span key="f" className="font-mono text-sm break-all">{job.function}</span>],
                [t`Queue`, job.queue],
                [t`Job`, <CopyId key="id" id={job.id} short />],
                job.enqueued_at !== null && [t`Enqueued`, <Time key="e" at={job.enqueued_at} style="full" />],
                job.failed_at !== null && [t`Failed at`, <Time key="b" at={job.failed_at} style="full" />],
              ]}
            />
            <pre tabIndex={0} role="region" aria-label={t`Traceback`} className="max-h-[28rem] overflow-auto rounded-xl border border-line bg-sunken p-4 font-mono text-xs leading-relaxed">
              {job.trace || (job.is_readable ? t`RQ kept no traceback.` : job.error)}
            </pre>
          </div>
        )}
      </States>
    </Dialog>
  );
}
