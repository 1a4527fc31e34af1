// A connection by the id of its list. How the service stands is the step that is seen, so that a reload goes on where it was.
import { Trans, useLingui } from "@lingui/react/macro";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useEffect, useMemo, useState } from "react";
import { useChange, useData, useFeed, useLive } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { graphql } from "@/gql";
import type { SyncRowFragment } from "@/gql/graphql";
import { useMayWrite } from "@/pages/contacts/shared";
import { Button, ButtonLink } from "@/ui/button";
import { useRegionName } from "@/ui/contactfields";
import { Confirm, Dialog } from "@/ui/dialog";
import { Callout, Card, CopyId, Count, Facts, PageHead, Time } from "@/ui/show";
import { EmptyState, Loading, ProblemState, States, useProblemText } from "@/ui/states";
import { DataTable, type TableColumn } from "@/ui/table";
import { useTell } from "@/ui/tell";
import { FieldsStep, Update, useRuleNames } from "./fields";
import { GrantButton, GrantCard } from "./grant";
import { HookCard } from "./hook";
import { ConsentNote, CountsCard, SamplesCard, TroublesCard } from "./result";
import { changedOf, SettingsForm, settingOf, shownOf, type Values } from "./settings";
import { healthOf, isMoving } from "./health";
import { HealthBadge, SyncBadge, useConnectors, useServiceName, useSettingName, useTriggerNames, type Connection, type Connector, type Setting, type Source, type Sync } from "./shared";
import { Steps } from "./steps";

const ConnectionData = graphql(`
  query ConnectionPage($id: ID!) {
    contactList(id: $id) { ...ConnectionFull }
  }
`);
const SyncLive = graphql(`
  subscription ConnectionSync($id: ID!) {
    listSyncProgress(id: $id) { ...SyncFull }
  }
`);
const History = graphql(`
  query ConnectionHistory($id: ID!, $first: Int, $after: String) {
    contactList(id: $id) {
      id
      syncs(first: $first, after: $after) {
        nodes { ...SyncRow }
        pageInfo { hasNextPage endCursor }
        totalCount
      }
    }
  }
`);
const ConfirmSync = graphql(`
  mutation PageConfirmListSync($id: ID!) {
    confirmListSync(id: $id) {
      __typename
      ... on ContactList { ...ConnectionFull }
      ... on Error { code message param }
    }
  }
`);
const SyncNow = graphql(`
  mutation PageSyncList($id: ID!) {
    syncList(id: $id) {
      __typename
      ... on ListSync { ...SyncFull }
      ... on Error { code message param }
    }
  }
`);
const Pause = graphql(`
  mutation PagePauseListSync($id: ID!) {
    pauseListSync(id: $id) {
      __typename
      ... on ContactList { ...ConnectionFull }
      ... on Error { code message param }
    }
  }
`);
const Resume = graphql(`
  mutation PageResumeListSync($id: ID!) {
    resumeListSync(id: $id) {
      __typename
      ... on ContactList { ...ConnectionFull }
      ... on Error { code message param }
    }
  }
`);
const Disconnect = graphql(`
  mutation PageDisconnectList($id: ID!) {
    disconnectList(id: $id) {
      __typename
      ... on ContactList { ...ConnectionFull }
      ... on Error { code message param }
    }
  }
`);

const AGAIN_MS = 5000;

export function ConnectionPage() {
  const { t } = useLingui();
  const { id } = useParams({ from: "/shell/connections/$id" });
  const reading = useData(ConnectionData, { id }, { every: AGAIN_MS });
  return (
    <States of={reading} title={t`Connection`}>
      {({ contactList }) =>
        contactList == null ? (
          <EmptyState isPage icon="search" title={t`There is no such connection`} action={<ButtonLink to="/connections">{t`All connections`}</ButtonLink>}>
            <Trans>It may be deleted, or of another workspace, or of the other mode.</Trans>
          </EmptyState>
        ) : contactList.source == null ? (
          <EmptyState icon="lists" title={t`This list is kept by hand`} action={<ButtonLink to="/lists/$id" params={{ id }}>{t`See the list`}</ButtonLink>}>
            <Trans>It is kept in step with no service.</Trans>
          </EmptyState>
        ) : (
          <Shown key={id} list={contactList} source={contactList.source} />
        )
      }
    </States>
  );
}

function Shown({ list, source }: { list: Connection; source: Source }) {
  const { t } = useLingui();
  const navigate = useNavigate();
  const mayWrite = useMayWrite();
  const serviceName = useServiceName();
  const { step } = useSearch({ from: "/shell/connections/$id" });
  const connector = useConnectors().data?.connectors.find(({ type }) => type === source.type);
  const { id, name, contactCount } = list;
  const { lastSync } = source;
  useLive(SyncLive, { id: lastSync?.id ?? "" }, { pause: !isMoving(lastSync) });
  const isNew = source.status === "CHECKING" || source.status === "CHECKED" || (source.status === "STOPPED" && (lastSync?.dryRun ?? true));
  const isRunning = source.status === "CHECKING" && isMoving(lastSync);
  const mustMap = source.error?.code === "mapping_missing";
  const seesFields = mayWrite && !isRunning && source.knownFields.length > 0 && (mustMap || step === "fields" || (source.status === "CHECKED" && step !== "check"));
  const go = (next: "fields" | "check" | undefined) => void navigate({ to: "/connections/$id", params: { id }, search: next === undefined ? {} : { step: next } });
  const isHook = connector?.capabilities.reads === false;
  const mustGrant = source.error?.code === "access_not_granted";
  const listed = connector?.settings.filter((each) => each.listed) ?? [];
  const mustChoose = mayWrite && source.status === "STOPPED" && listed.some((each) => each.name === source.error?.setting) && source.settingChoices.some(({ setting, choices }) => setting === source.error?.setting && choices.length > 0);
  return (
    <>
      <PageHead
        above={
          <Link to="/connections" className="mb-1 inline-block text-sm">
            {t`Connections`}
          </Link>
        }
        title={<span className="wrap-anywhere">{name}</span>}
        lead={
          <span className="flex flex-wrap items-center gap-x-3 gap-y-1">
            <span role="status">
              <HealthBadge source={source} />
            </span>
            <span className="wrap-anywhere">{source.account == null || source.account === serviceName(source.type) ? serviceName(source.type) : `${serviceName(source.type)} · ${source.account}`}</span>
            <Link to="/lists/$id" params={{ id }}>
              <Trans>
                <Count value={contactCount} /> on the list
              </Trans>
            </Link>
            <CopyId id={id} short />
          </span>
        }
        actions={mayWrite && <Actions list={list} source={source} connector={connector} isNew={isNew} />}
      />
      {isNew && <Steps at={source.status === "STOPPED" && !mustMap ? "settings" : !seesFields && (source.status === "CHECKED" || step === "check") ? "check" : "fields"} />}
      <Fault source={source} />
      <div className="space-y-6">
        {mustGrant && mayWrite && connector !== undefined ? (
          <GrantCard id={id} label={connector.label} />
        ) : isRunning ? (
          <Running sync={lastSync!} />
        ) : mustChoose ? (
          <ChoiceCard key={source.error?.setting} id={id} source={source} settings={listed} />
        ) : seesFields ? (
          <FieldsStep
            key={`${source.status} ${source.knownFields.length}`}
            id={id}
            source={source}
            connector={connector}
            action={isNew ? t`See what would come of it` : t`Save and sync again`}
            onDone={() => go(isNew ? "check" : undefined)}
          />
        ) : source.status === "CHECKED" && lastSync != null ? (
          <Check list={list} source={source} sync={lastSync} mayWrite={mayWrite} />
        ) : (
          !isNew && <Facted source={source} connector={connector} />
        )}
        {connector?.capabilities.hasHook === true && isHook && <HookCard id={id} isWaiting={healthOf(source) === "WAITING"} />}
        {!isNew && !seesFields && <Runs id={id} lastId={lastSync?.id} />}
      </div>
    </>
  );
}

/** What is wrong, with the setting that it is about. */
function Fault({ source }: { source: Source }) {
  const settingName = useSettingName();
  const { error, lastSync } = source;
  const told = error ?? (lastSync?.status === "HELD" ? lastSync.error : null);
  if (told == null) return null;
  return (
    <div className="mb-6">
      <Callout tone={source.status === "STOPPED" ? "danger" : "warn"}>
        {told.setting != null && <strong>{settingName(told.setting)}: </strong>}
        {told.message}
      </Callout>
    </div>
  );
}

/** What of the account is synced, where something that is needed or was chosen is not there. */
function ChoiceCard({ id, source, settings }: { id: string; source: Source; settings: readonly Setting[] }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const update = useChange(Update);
  const [before] = useState<Values>(() => shownOf(settings, source));
  const [values, setValues] = useState(before);
  const [problem, setProblem] = useState<Problem | null>(null);
  const changed = changedOf(before, values);
  const wrong = source.error?.setting == null || values[source.error.setting] !== before[source.error.setting] ? null : { name: source.error.setting, message: source.error.message };
  return (
    <Card title={t`What is synced`} className="max-w-3xl">
      <div className="space-y-4">
        <SettingsForm settings={settings} values={values} onChange={setValues} known={source.settingChoices} wrong={wrong} />
        {problem !== null && <Callout tone="danger">{textOf(problem)}</Callout>}
        <Button look="primary" isPending={update.isRunning} isDisabled={Object.keys(changed).length === 0} onPress={async () => setProblem((await update.run({ id, input: { settings: changed } })).problem)}>
          {t`Connect and look`}
        </Button>
      </div>
    </Card>
  );
}

function Running({ sync }: { sync: Sync }) {
  const { t } = useLingui();
  const { counts } = sync;
  return (
    <Card title={t`The first people are being read`}>
      <div role="progressbar" aria-label={t`Dry run`} className="h-2.5 overflow-hidden rounded-full bg-line">
        <div className="h-full w-full animate-pulse rounded-full bg-brand motion-reduce:animate-none" />
      </div>
      <p className="mt-3 text-sm text-muted">
        <Trans>
          <Count value={counts.people} /> people read. Nothing changes. It goes on by itself, also when this page is closed.
        </Trans>
      </p>
    </Card>
  );
}

function Check({ list, source, sync, mayWrite }: { list: Connection; source: Source; sync: Sync; mayWrite: boolean }) {
  const { t } = useLingui();
  const tell = useTell();
  const navigate = useNavigate();
  const confirm = useChange(ConfirmSync);
  const { id } = list;
  return (
    <>
      <div className="grid items-start gap-6 xl:grid-cols-2">
        <CountsCard sync={sync} title={t`What would come of it`} />
        <div className="min-w-0 space-y-6">
          <Card title={t`Consent`}>
            <ConsentNote sync={sync} hasEvidence={source.evidence != null} />
          </Card>
          <SamplesCard sync={sync} />
        </div>
      </div>
      <TroublesCard sync={sync} />
      {mayWrite && (
        <div className="flex flex-wrap gap-2">
          <Button
            look="primary"
            isPending={confirm.isRunning}
            onPress={async () => {
              if (tell((await confirm.run({ id })).problem, t`It is confirmed. Everyone is read now.`)) await navigate({ to: "/connections/$id", params: { id }, search: {} });
            }}
          >{t`Confirm and sync`}</Button>
          <ButtonLink to="/connections/$id" params={{ id }} search={{ step: "fields" }}>{t`Change fields and consent`}</ButtonLink>
        </div>
      )}
    </>
  );
}

/** How an active connection stands, and what holds for it. */
function Facted({ source, connector }: { source: Source; connector: Connector | undefined }) {
  const { t } = useLingui();
  const rules = useRuleNames();
  const regionName = useRegionName();
  const settingName = useSettingName();
  const { lastSync, nextSyncAt, defaultRegion, update, removal, everyMinutes, evidence, writesOptOuts, settings } = source;
  const reads = connector?.capabilities.reads !== false;
  const told = evidence?.["source"];
  return (
    <div className="grid items-start gap-6 xl:grid-cols-2">
      <Card title={t`Health`}>
        <Facts
          items={[
            [t`Last sync`, lastSync == null ? "–" : <span key="last" className="inline-flex flex-wrap items-center justify-end gap-2"><SyncBadge status={lastSync.status} /><Time at={lastSync.endedAt ?? lastSync.createdAt} /></span>],
            reads && [t`Next sync`, nextSyncAt == null ? "–" : <Time key="next" at={nextSyncAt} />],
            lastSync != null && [t`Read in the last sync`, <Count key="read" value={lastSync.counts.people} />],
            connector?.capabilities.writesOptOuts === true && [t`Opt-outs written back`, writesOptOuts ? t`Yes` : t`No`],
          ]}
        />
      </Card>
      <Card title={t`What holds for all`}>
        <Facts
          items={[
            [t`Country of phones without +`, defaultRegion == null ? "–" : (regionName(defaultRegion) ?? defaultRegion)],
            [t`Contacts that are there already`, rules.update[update] ?? update],
            [t`Who is no longer in the service`, rules.removal[removal] ?? removal],
            reads && [t`How often it syncs`, rules.every[String(everyMinutes)] ?? t`Every ${everyMinutes} minutes`],
            [t`Where all of them agreed`, typeof told === "string" ? told : t`Nobody is opted in by it`],
            ...Object.entries(settings).map(([name, value]) => [settingName(name), <span key={name} className="wrap-anywhere">{String(value)}</span>] as const),
          ]}
        />
      </Card>
    </div>
  );
}

const NONE = { nodes: [], pageInfo: { hasNextPage: false, endCursor: null } };

function Runs({ id, lastId }: { id: string; lastId: string | undefined }) {
  const { t } = useLingui();
  const triggers = useTriggerNames();
  const feed = useFeed(History, { id } as never, ({ contactList }) => contactList?.syncs ?? NONE);
  const { retry } = feed;
  // A sync that began since belongs at the top.
  useEffect(() => {
    if (lastId !== undefined) retry();
  }, [lastId, retry]);
  const columns = useMemo<TableColumn<SyncRowFragment>[]>(
    () => [
      { id: "when", header: t`Begun`, cell: ({ createdAt }) => <Time at={createdAt} />, text: ({ createdAt }) => createdAt },
      {
        id: "status",
        header: t`State`,
        cell: ({ status, error, dryRun }) => (
          <span className="flex flex-wrap items-center gap-2">
            <SyncBadge status={status} />
            {dryRun && <span className="text-sm text-muted">{t`Dry run`}</span>}
            {error != null && <span className="text-sm text-danger">{error.message}</span>}
          </span>
        ),
        text: ({ status }) => status,
        isUnder: true,
      },
      { id: "trigger", header: t`By`, cell: ({ trigger }) => triggers[trigger], text: ({ trigger }) => trigger, className: "hidden md:table-cell" },
      { id: "people", header: t`Read`, cell: ({ counts }) => <Count value={counts.people} />, text: ({ counts }) => counts.people, isNumber: true },
      { id: "created", header: t({ message: "Created", context: "counted" }), cell: ({ counts }) => <Count value={counts.created} />, text: ({ counts }) => counts.created, isNumber: true, className: "hidden sm:table-cell" },
      { id: "updated", header: t`Updated`, cell: ({ counts }) => <Count value={counts.updated} />, text: ({ counts }) => counts.updated, isNumber: true, className: "hidden md:table-cell" },
      { id: "removed", header: t`Taken off`, cell: ({ counts }) => <Count value={counts.removedFromList} />, text: ({ counts }) => counts.removedFromList, isNumber: true, className: "hidden lg:table-cell" },
      { id: "invalid", header: t`Invalid`, cell: ({ counts }) => <Count value={counts.invalid} />, text: ({ counts }) => counts.invalid, isNumber: true, className: "hidden lg:table-cell" },
    ],
    [t, triggers],
  );
  return (
    <Card title={t`Syncs of the last 90 days`}>
      {feed.problem !== null && feed.rows === undefined ? (
        <ProblemState problem={feed.problem} onRetry={feed.retry} />
      ) : feed.rows === undefined ? (
        <Loading rows={3} />
      ) : feed.rows.length === 0 ? (
        <p className="text-muted">{t`Nobody was read yet.`}</p>
      ) : (
        <DataTable label={t`Syncs`} rows={feed.rows} columns={columns} rowKey={({ id: key }) => key} totalCount={feed.totalCount} hasMore={feed.hasMore} onMore={feed.loadMore} isLoading={feed.isLoading} fileName={`syncs-${id}`} />
      )}
    </Card>
  );
}

function Actions({ list, source, connector, isNew }: { list: Connection; source: Source; connector: Connector | undefined; isNew: boolean }) {
  const { t } = useLingui();
  const tell = useTell();
  const navigate = useNavigate();
  const confirm = useChange(ConfirmSync);
  const syncNow = useChange(SyncNow);
  const pause = useChange(Pause);
  const resume = useChange(Resume);
  const disconnect = useChange(Disconnect);
  const [open, setOpen] = useState<"settings" | "disconnect" | "shrink" | null>(null);
  const { id, name } = list;
  const close = () => setOpen(null);
  const reads = connector?.capabilities.reads !== false;
  const isHeld = source.lastSync?.status === "HELD";
  return (
    <>
      {isHeld && <Button look="primary" onPress={() => setOpen("shrink")}>{t`Let them leave`}</Button>}
      {reads && !source.paused && source.status !== "CHECKED" && source.status !== "CHECKING" && (
        <Button icon="refresh" isPending={syncNow.isRunning} onPress={async () => tell((await syncNow.run({ id })).problem, t`It syncs now.`)}>{t`Sync now`}</Button>
      )}
      {!isNew && <ButtonLink to="/connections/$id" params={{ id }} search={{ step: "fields" }}>{t`Fields and consent`}</ButtonLink>}
      {connector !== undefined && connector.settings.length > 0 && <Button onPress={() => setOpen("settings")}>{t`Access`}</Button>}
      {source.paused ? (
        <Button icon="play" isPending={resume.isRunning} onPress={async () => tell((await resume.run({ id })).problem, t`It goes on where it was.`)}>{t`Resume`}</Button>
      ) : (
        !isNew && <Button icon="pause" isPending={pause.isRunning} onPress={async () => tell((await pause.run({ id })).problem, t`It is paused.`)}>{t`Pause`}</Button>
      )}
      <Button look="danger" onPress={() => setOpen("disconnect")}>{t`Disconnect`}</Button>
      {open === "settings" && connector !== undefined && <SettingsDialog id={id} source={source} connector={connector} onClose={close} />}
      <Confirm
        isOpen={open === "shrink"}
        onClose={close}
        title={t`Let them leave the list?`}
        action={t`Let them leave`}
        isPending={confirm.isRunning}
        onConfirm={async () => void tell((await confirm.run({ id })).problem, t`The sync goes on.`)}
      >
        <p>
          <Trans>More than half of the people are no longer in the service. Look there first: a tag or a filter may have changed. Their contacts and their consent stay.</Trans>
        </p>
      </Confirm>
      <Confirm
        isOpen={open === "disconnect"}
        onClose={close}
        title={t`Disconnect “${name}”?`}
        action={t`Disconnect`}
        isPending={disconnect.isRunning}
        onConfirm={async () => {
          if (tell((await disconnect.run({ id })).problem, t`It is disconnected. Its contacts stay on the list.`)) await navigate({ to: "/lists/$id", params: { id } });
        }}
      >
        <p>
          <Trans>The list is then kept by hand. Its contacts and the history of its syncs stay; its secrets are deleted.</Trans>
        </p>
      </Confirm>
    </>
  );
}

function SettingsDialog({ id, source, connector, onClose }: { id: string; source: Source; connector: Connector; onClose: () => void }) {
  const { t } = useLingui();
  const tell = useTell();
  const textOf = useProblemText();
  const update = useChange(Update);
  const { settings } = connector;
  const [before] = useState<Values>(() => shownOf(settings, source));
  const [values, setValues] = useState(before);
  const [problem, setProblem] = useState<Problem | null>(null);
  const about = settingOf(problem, settings);
  const changed = changedOf(before, values);
  const told = source.error?.setting == null || problem !== null ? null : { name: source.error.setting, message: source.error.message };
  const save = async () => {
    const { problem: found } = await update.run({ id, input: { settings: changed } });
    setProblem(found);
    if (found !== null) return;
    tell(null, t`It is saved, and read again.`);
    onClose();
  };
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t`Access to ${connector.label}`}
      actions={
        <>
          <Button onPress={onClose}>{t`Not now`}</Button>
          <Button look="primary" isPending={update.isRunning} isDisabled={Object.keys(changed).length === 0} onPress={() => void save()}>{t`Save`}</Button>
        </>
      }
    >
      <div className="space-y-4">
        <SettingsForm settings={settings} values={values} onChange={setValues} wrong={about !== undefined && problem !== null ? { name: about, message: textOf(problem) } : told} isKept known={source.settingChoices} />
        {connector.capabilities.grantsAccess && String(source.settings["client_id"] ?? "") !== "" && <GrantButton id={id} label={connector.label} isFirst={false} />}
        {problem !== null && about === undefined && <Callout tone="danger">{textOf(problem)}</Callout>}
      </div>
    </Dialog>
  );
}
