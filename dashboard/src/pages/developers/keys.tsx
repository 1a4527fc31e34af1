import { Trans, useLingui } from "@lingui/react/macro";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useMemo, useState } from "react";
import { useChange, useData } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { useSession } from "@/api/session";
import { graphql } from "@/gql";
import type { KeyRowFragment } from "@/gql/graphql";
import { Button } from "@/ui/button";
import { Confirm, Dialog } from "@/ui/dialog";
import { Checkbox, Field, Segmented, Select, Switch, TextArea } from "@/ui/fields";
import { Badge, Callout, Card, Time } from "@/ui/show";
import { EmptyState, FilteredEmpty, States, useProblemText } from "@/ui/states";
import { DataTable, type TableColumn } from "@/ui/table";
import { useIsAdmin, useTell } from "@/ui/tell";
import { SCOPES } from "./names";
import { ShownOnce } from "./parts";

export const KeyRow = graphql(`
  fragment KeyRow on ApiKey { id name prefix last4 scopes allowedIps createdBy createdAt expiresAt revokedAt lastUsedAt }
`);
const KeysData = graphql(`
  query KeysPage { apiKeys { ...KeyRow } }
`);
const Create = graphql(`
  mutation KeysCreate($name: String!, $scopes: [String!], $allowedIps: [String!], $expiresAt: DateTime) {
    createApiKey(name: $name, scopes: $scopes, allowedIps: $allowedIps, expiresAt: $expiresAt) {
      __typename
      ... on ApiKeyWithText { key apiKey { ...KeyRow } }
      ... on Error { code message param }
    }
  }
`);
const Roll = graphql(`
  mutation KeysRoll($id: ID!, $hours: Int!) {
    rollApiKey(id: $id, expiresInHours: $hours) {
      __typename
      ... on ApiKeyWithText { key apiKey { ...KeyRow } }
      ... on Error { code message param }
    }
  }
`);
const Revoke = graphql(`
  mutation KeysRevoke($id: ID!) {
    revokeApiKey(id: $id) {
      __typename
      ... on ApiKey { id revokedAt }
      ... on Error { code message }
    }
  }
`);

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
const hasEnded = ({ revokedAt, expiresAt }: KeyRowFragment) => revokedAt != null || (expiresAt != null && Date.parse(expiresAt) <= Date.now());

export function Keys() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const { ended } = useSearch({ from: "/shell/developers" });
  const { livemode } = useSession();
  const isAdmin = useIsAdmin();
  const reading = useData(KeysData, {});
  const [isMaking, setMaking] = useState(false);
  const [secret, setSecret] = useState<string | null>(null);
  const [rolled, setRolled] = useState<KeyRowFragment | null>(null);
  const [revoked, setRevoked] = useState<KeyRowFragment | null>(null);
  const make = <Button look="primary" icon="plus" onPress={() => setMaking(true)}>{t`Create key`}</Button>;
  const lead = livemode ? <Trans>Live keys reach real phones and take credits.</Trans> : <Trans>Sandbox keys reach no real phone and cost nothing. Live keys show in live mode.</Trans>;
  return (
    <>
    <div className="mb-4 flex flex-wrap items-center justify-between gap-3">
      <p className="max-w-xl text-muted">{lead}</p>
      {isAdmin && (reading.data?.apiKeys.length ?? 0) > 0 && make}
    </div>
    <States of={reading}>
      {({ apiKeys }) => {
        const shown = ended === "1" ? apiKeys : apiKeys.filter((key) => !hasEnded(key));
        return (
          <>
            {apiKeys.length === 0 ? (
              <Card>
                <EmptyState icon="developers" title={t`Make your first API key`} action={isAdmin ? make : undefined}>
                  <Trans>A program shows it with every request. Give it no more scopes than it needs.</Trans>
                </EmptyState>
              </Card>
            ) : (
              <>
                <div className="mb-3">
                  <Switch isSelected={ended === "1"} onChange={(on) => void navigate({ to: "/developers", search: on ? { ended: "1" } : {}, replace: true, resetScroll: false })}>{t`Show keys that have ended`}</Switch>
                </div>
                {shown.length === 0 ? <FilteredEmpty onClear={() => void navigate({ to: "/developers", search: { ended: "1" } })} /> : <KeyTable keys={shown} isAdmin={isAdmin} onRoll={setRolled} onRevoke={setRevoked} />}
              </>
            )}
            {isMaking && (
              <CreateKey
                onClose={() => setMaking(false)}
                onMade={(text) => {
                  setMaking(false);
                  setSecret(text);
                }}
              />
            )}
            {rolled !== null && (
              <RollKey
                apiKey={rolled}
                onClose={() => setRolled(null)}
                onMade={(text) => {
                  setRolled(null);
                  setSecret(text);
                }}
              />
            )}
            <RevokeKey apiKey={revoked} onClose={() => setRevoked(null)} />
            <ShownOnce secret={secret} title={t`Your new key`} onClose={() => setSecret(null)}>
              <Trans>
                Send it as <code className="font-mono text-sm">Authorization: Bearer …</code>. The code samples show how.
              </Trans>
            </ShownOnce>
          </>
        );
      }}
    </States>
    </>
  );
}

interface TableProps {
  keys: readonly KeyRowFragment[];
  isAdmin: boolean;
  onRoll: (key: KeyRowFragment) => void;
  onRevoke: (key: KeyRowFragment) => void;
}

function KeyTable({ keys, isAdmin, onRoll, onRevoke }: TableProps) {
  const { t } = useLingui();
  const columns = useMemo<TableColumn<KeyRowFragment>[]>(
    () => [
      {
        id: "name",
        header: t`Name`,
        cell: ({ id, name, prefix, last4 }) => (
          <span className="block max-w-44 min-w-28 sm:max-w-72">
            <Link to="/developers" search={{ tab: "requests", key: id }} className="block truncate font-medium text-text no-underline hover:underline">
              {name || t`No name`}
            </Link>
            <span className="block truncate font-mono text-xs text-muted">
              {prefix}…{last4}
            </span>
          </span>
        ),
        text: ({ name }) => name,
      },
      { id: "state", header: t`State`, cell: (key) => <KeyState apiKey={key} />, text: (key) => (hasEnded(key) ? "ended" : "works"), isUnder: true },
      { id: "scopes", header: t`Scopes`, cell: ({ scopes }) => <Scopes scopes={scopes} />, text: ({ scopes }) => scopes.join(" "), className: "hidden lg:table-cell" },
      { id: "ips", header: t`Networks`, cell: ({ allowedIps }) => <span className="text-sm text-muted">{allowedIps == null ? t`Anywhere` : allowedIps.join(", ")}</span>, text: ({ allowedIps }) => allowedIps?.join(" "), className: "hidden xl:table-cell" },
      { id: "used", header: t`Last used`, cell: ({ lastUsedAt }) => (lastUsedAt == null ? <span className="text-muted">{t`Never`}</span> : <Time at={lastUsedAt} style="relative" />), text: ({ lastUsedAt }) => lastUsedAt, className: "hidden sm:table-cell" },
      { id: "created", header: t`Created`, cell: ({ createdAt }) => <Time at={createdAt} style="day" />, text: ({ createdAt }) => createdAt, className: "hidden xl:table-cell" },
      {
        id: "actions",
        header: t`Actions`,
        cell: (key) =>
          isAdmin && !hasEnded(key) ? (
            <span className="flex flex-wrap gap-1.5">
              <Button size="small" aria-label={t`Roll ${key.name || key.last4}`} onPress={() => onRoll(key)}>{t`Roll`}</Button>
              <Button size="small" look="danger" aria-label={t`Revoke ${key.name || key.last4}`} onPress={() => onRevoke(key)}>{t`Revoke`}</Button>
            </span>
          ) : null,
      },
    ],
    [t, isAdmin, onRoll, onRevoke],
  );
  return <DataTable label={t`API keys`} rows={keys} columns={columns} rowKey={({ id }) => id} />;
}

function Scopes({ scopes }: { scopes: readonly string[] }) {
  const { t } = useLingui();
  if (scopes.length >= SCOPES.length) return <span className="text-sm text-muted">{t({ message: "All", context: "events" })}</span>;
  return (
    <span className="block max-w-56 truncate font-mono text-xs text-muted" title={scopes.join(", ")}>
      {scopes.join(", ")}
    </span>
  );
}

function KeyState({ apiKey }: { apiKey: KeyRowFragment }) {
  const { t } = useLingui();
  if (apiKey.revokedAt != null) return <Badge tone="neutral">{t`Revoked`}</Badge>;
  if (apiKey.expiresAt == null) return <Badge tone="good">{t`Works`}</Badge>;
  if (hasEnded(apiKey)) return <Badge tone="neutral">{t`Ended`}</Badge>;
  return <Countdown until={apiKey.expiresAt} />;
}

/** How long a key still works, counted down. */
function Countdown({ until }: { until: string }) {
  const { t } = useLingui();
  const [now, setNow] = useState(Date.now);
  const left = Math.max(0, Date.parse(until) - now);
  const isSoon = left < DAY_MS * 7;
  const step = left < 60 * MINUTE_MS ? 1000 : MINUTE_MS;
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), step);
    return () => clearInterval(timer);
  }, [step]);
  const days = Math.floor(left / DAY_MS);
  const hours = Math.floor((left % DAY_MS) / (60 * MINUTE_MS));
  const minutes = Math.floor((left % (60 * MINUTE_MS)) / MINUTE_MS);
  const seconds = Math.floor((left % MINUTE_MS) / 1000);
  const time = days > 0 ? `${days} d ${hours} h` : hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${seconds} s`;
  return <Badge tone={isSoon ? "warn" : "info"} icon="clock">{t`Ends in ${time}`}</Badge>;
}

function CreateKey({ onClose, onMade }: { onClose: () => void; onMade: (text: string) => void }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const create = useChange(Create);
  const [name, setName] = useState("");
  const [reach, setReach] = useState<"all" | "some">("all");
  const [scopes, setScopes] = useState<readonly string[]>([]);
  const [ips, setIps] = useState("");
  const [days, setDays] = useState("0");
  const [problem, setProblem] = useState<Problem | null>(null);
  const param = problem?.param ?? "";
  const submit = async () => {
    const networks = ips.split(/[\s,;]+/).filter(Boolean);
    const { done, problem: found } = await create.run({
      name: name.trim(),
      ...(reach === "some" ? { scopes: [...scopes] } : {}),
      ...(networks.length > 0 ? { allowedIps: networks } : {}),
      ...(days === "0" ? {} : { expiresAt: new Date(Date.now() + Number(days) * DAY_MS).toISOString() }),
    });
    setProblem(found);
    if (done !== null) onMade(done.key);
  };
  const ends = [
    { value: "0", label: t`Never` },
    { value: "7", label: t`In 7 days` },
    { value: "30", label: t`In 30 days` },
    { value: "90", label: t`In 90 days` },
    { value: "365", label: t`In a year` },
  ];
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t`Create an API key`}
      isDrawer
      actions={
        <>
          <Button onPress={onClose}>{t`Not now`}</Button>
          <Button look="primary" isPending={create.isRunning} isDisabled={reach === "some" && scopes.length === 0} onPress={submit}>{t`Create key`}</Button>
        </>
      }
    >
      <div className="space-y-5">
        {problem !== null && <Callout tone="danger">{textOf(problem)}</Callout>}
        <Field label={t`Name`} hint={t`Where it is used, such as “checkout server”.`} value={name} onChange={setName} maxLength={100} autoFocus error={param.startsWith("name") ? problem?.message : undefined} />
        <Segmented label={t`What it may do`} choices={[{ value: "all", label: t`Everything` }, { value: "some", label: t`Only some` }] as const} value={reach} onChange={setReach} />
        {reach === "some" && (
          <fieldset className="grid gap-2 sm:grid-cols-2">
            <legend className="mb-2 text-sm font-medium">{t`Scopes`}</legend>
            {SCOPES.map((scope) => (
              <Checkbox key={scope} isSelected={scopes.includes(scope)} onChange={(on) => setScopes(on ? [...scopes, scope] : scopes.filter((each) => each !== scope))}>
                <span className="font-mono text-sm">{scope}</span>
              </Checkbox>
            ))}
          </fieldset>
        )}
        <TextArea label={t`Only from these networks`} hint={t`One a line, such as 203.0.113.0/24. Empty: from anywhere.`} value={ips} onChange={setIps} rows={3} error={/ip/i.test(param) ? problem?.message : undefined} />
        <Select label={t`Ends`} choices={ends} value={days} onChange={setDays} />
      </div>
    </Dialog>
  );
}

function RollKey({ apiKey, onClose, onMade }: { apiKey: KeyRowFragment; onClose: () => void; onMade: (text: string) => void }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const roll = useChange(Roll);
  const [hours, setHours] = useState("24");
  const [problem, setProblem] = useState<Problem | null>(null);
  const label = apiKey.name || apiKey.last4;
  const choices = [
    { value: "0", label: t`Not at all` },
    { value: "1", label: t`1 hour` },
    { value: "24", label: t`24 hours` },
    { value: "72", label: t`3 days` },
    { value: "168", label: t`7 days` },
  ];
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t`Roll “${label}”`}
      actions={
        <>
          <Button onPress={onClose}>{t`Not now`}</Button>
          <Button
            look="primary"
            isPending={roll.isRunning}
            onPress={async () => {
              const { done, problem: found } = await roll.run({ id: apiKey.id, hours: Number(hours) });
              setProblem(found);
              if (done !== null) onMade(done.key);
            }}
          >{t`Make the new key`}</Button>
        </>
      }
    >
      <div className="space-y-4">
        {problem !== null && <Callout tone="danger">{textOf(problem)}</Callout>}
        <p>
          <Trans>A new key takes its place, with the same scopes and networks. The old one goes on for a while, so that nothing stops.</Trans>
        </p>
        <Select label={t`How long the old key goes on`} choices={choices} value={hours} onChange={setHours} />
      </div>
    </Dialog>
  );
}

function RevokeKey({ apiKey, onClose }: { apiKey: KeyRowFragment | null; onClose: () => void }) {
  const { t } = useLingui();
  const tell = useTell();
  const revoke = useChange(Revoke);
  const label = apiKey === null ? "" : apiKey.name || apiKey.last4;
  return (
    <Confirm
      isOpen={apiKey !== null}
      onClose={onClose}
      title={t`Revoke “${label}”?`}
      action={t`Revoke`}
      isPending={revoke.isRunning}
      onConfirm={async () => {
        if (apiKey !== null) tell((await revoke.run({ id: apiKey.id })).problem, t`The key is revoked.`);
      }}
    >
      <p>
        <Trans>Within a second it is refused everywhere, and this cannot be undone. To change it without a gap, roll it.</Trans>
      </p>
    </Confirm>
  );
}
