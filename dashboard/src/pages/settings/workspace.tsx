// The workspace's own settings, in three parts; each saves what was changed in it, and nothing else.
import { useLingui } from "@lingui/react/macro";
import { useEffect, useMemo, useState, type FormEvent, type ReactNode } from "react";
import { useChange, useData, useReadNow } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { graphql } from "@/gql";
import type { UpdateWorkspaceInput, WorkspaceFieldsFragment } from "@/gql/graphql";
import { unitsOf } from "@/pages/campaigns/draft";
import { Button } from "@/ui/button";
import { Conflict, useVersioned } from "@/ui/conflict";
import { Field, Select, Switch, TextArea } from "@/ui/fields";
import { SegmentMeter } from "@/ui/phone";
import { Callout, Card } from "@/ui/show";
import { useProblemText } from "@/ui/states";
import { useIsAdmin, useTell } from "@/ui/tell";
import { Regions } from "./regions";

const Update = graphql(`
  mutation SettingsUpdate($input: UpdateWorkspaceInput!) {
    updateWorkspace(input: $input) {
      __typename
      ... on Workspace { ...WorkspaceFields }
      ... on Error { code message param }
    }
  }
`);
const Now = graphql(`
  query SettingsNow { workspace { ...WorkspaceFields } }
`);
const SenderNames = graphql(`
  query SettingsSenderNames { senders(first: 100) { nodes { id value } } }
`);
const TextPreview = graphql(`
  query SettingsTextPreview($input: PreviewMessageInput!) {
    messagePreview(input: $input) { encoding segments parts }
  }
`);

type Workspace = WorkspaceFieldsFragment;
type Name = Exclude<keyof Workspace & keyof UpdateWorkspaceInput, "id" | "version">;

/** Hold changes beside what is saved, and save them alone. */
function useForm(workspace: Workspace) {
  const { t } = useLingui();
  const tell = useTell();
  const textOf = useProblemText();
  const update = useChange(Update);
  const isAdmin = useIsAdmin();
  const [changes, setChanges] = useState<Partial<Workspace>>({});
  const [problem, setProblem] = useState<Problem | null>(null);
  const param = problem?.param?.split(".").pop()?.replace(/\[.*/, "");
  const names: Partial<Record<Name, string>> = {
    name: t`Name`,
    timezone: t`Time zone`,
    defaultSender: t`Default sender`,
    quietHours: t`Keep quiet hours`,
    doubleOptIn: t`Double opt-in`,
    campaignsAdmitUnknown: t`Campaigns also go to contacts whose consent is unknown`,
    dailyCreditCap: t`Credits a day`,
    prefixHourlyCap: t`Messages an hour to one range of numbers`,
    contactDailyCap: t`Campaign messages a day to one person`,
    contactWeeklyCap: t`Campaign messages a week to one person`,
    contactCapsCoverAll: t`Single messages count, too`,
    unreachableAfter: t`Skip a number after so many failures`,
    approvalThreshold: t`Recipients above which a second person approves`,
    clickWindowHours: t`Hours in which a click counts for an order`,
    messageWindowHours: t`Hours in which a message counts for an order`,
    lowBalanceThreshold: t`Warn below so many credits`,
    blockedRegions: t`Countries switched off`,
    enabledRegions: t`Countries switched on`,
    optInText: t`Asks for a YES`,
    welcomeText: t`Confirms an opt-in`,
    optOutText: t`Answers STOP`,
    helpText: t`Answers HELP`,
  };
  const shown = (value: unknown): string => (typeof value === "boolean" ? (value ? t`on` : t`off`) : Array.isArray(value) ? value.join(", ") : String(value ?? ""));
  const isChanged = Object.keys(changes).length > 0;
  const readNow = useReadNow();
  const { base, theirs, isConflict, settle } = useVersioned(workspace, async () => (await readNow(Now, {}))?.workspace ?? null);
  const set = <Key extends Name>(name: Key, value: Workspace[Key]) =>
    setChanges(({ [name]: _old, ...rest }) => (JSON.stringify(value) === JSON.stringify(workspace[name]) ? (rest as Partial<Workspace>) : ({ ...rest, [name]: value } as Partial<Workspace>)));
  const keep = async (version: string) => {
    const { done, problem: found } = await update.run({ input: { ...changes, version } as UpdateWorkspaceInput });
    const isTheirs = await isConflict(found);
    setProblem(isTheirs ? null : found);
    if (done !== null) {
      settle(done);
      setChanges({});
      tell(null, t`Saved.`);
    }
  };
  const save = (event: FormEvent) => {
    event.preventDefault();
    void keep(base.version);
  };
  const errorOf = (name: Name) => (param === name ? problem?.message : undefined);
  const foot = isAdmin && (
    <div className="flex flex-wrap gap-2 pt-1">
      <Button type="submit" look="primary" isPending={update.isRunning} isDisabled={!isChanged}>{t`Save`}</Button>
      {isChanged && (
        <Button
          onPress={() => {
            setChanges({});
            setProblem(null);
          }}
        >{t`Discard`}</Button>
      )}
    </div>
  );
  const conflict = theirs !== null && (
    <Conflict
      differences={Object.entries(changes).map(([name, value]) => ({ label: names[name as Name] ?? name, mine: shown(value), theirs: shown(theirs[name as Name]) }))}
      isPending={update.isRunning}
      onMine={() => void keep(theirs.version)}
      onTheirs={() => {
        setChanges({});
        settle(theirs);
      }}
    />
  );
  const told = problem !== null && !(param !== undefined && param in workspace) && <Callout tone="danger">{textOf(problem)}</Callout>;
  const note = (
    <>
      {conflict}
      {told}
    </>
  );
  return { values: { ...workspace, ...changes }, set, save, errorOf, foot, note, isOff: !isAdmin };
}

function Form({ onSubmit, children }: { onSubmit: (event: FormEvent) => void; children: ReactNode }) {
  return (
    <form onSubmit={onSubmit} noValidate className="max-w-2xl space-y-5">
      {children}
    </form>
  );
}

export function General({ workspace }: { workspace: Workspace }) {
  const { t } = useLingui();
  const { values, set, save, errorOf, foot, note, isOff } = useForm(workspace);
  const senders = useData(SenderNames, {}).data?.senders.nodes;
  const zones = useMemo(() => {
    const known = Intl.supportedValuesOf("timeZone");
    const all = known.includes(workspace.timezone) ? known : [workspace.timezone, ...known];
    return all.map((zone) => ({ value: zone, label: zone.replaceAll("_", " ") }));
  }, [workspace.timezone]);
  const own = (senders ?? []).map(({ value }) => value).join(", ");
  return (
    <Card>
      <Form onSubmit={save}>
        {note}
        <Field label={t`Name`} value={values.name} onChange={(value) => set("name", value)} maxLength={100} isDisabled={isOff} error={errorOf("name")} />
        <Select label={t`Time zone`} hint={t`Times are shown in it, and days begin in it.`} choices={zones} value={values.timezone} onChange={(value) => set("timezone", value)} isDisabled={isOff} error={errorOf("timezone")} />
        <Field
          label={t`Default sender`}
          hint={own === "" ? t`Used where a message names no sender.` : t`Used where a message names no sender. Yours: ${own}.`}
          value={values.defaultSender}
          onChange={(value) => set("defaultSender", value)}
          isDisabled={isOff}
          error={errorOf("defaultSender")}
        />
        {foot}
      </Form>
    </Card>
  );
}

function NumberField({ label, hint, value, onChange, error, isOff, isNeeded = false }: { label: string; hint: string; value: number | null; onChange: (value: number | null) => void; error: string | undefined; isOff: boolean; isNeeded?: boolean }) {
  return (
    <Field
      label={label}
      hint={hint}
      inputMode="numeric"
      value={value === null ? "" : String(value)}
      onChange={(text) => {
        const digits = text.replace(/\D/g, "").slice(0, 12);
        onChange(digits === "" ? (isNeeded ? 0 : null) : Number(digits));
      }}
      isDisabled={isOff}
      error={error}
    />
  );
}

export function Sending({ workspace }: { workspace: Workspace }) {
  const { t } = useLingui();
  const { values, set, save, errorOf, foot, note, isOff } = useForm(workspace);
  return (
    <Card>
      <Form onSubmit={save}>
        {note}
        <Switch isSelected={values.quietHours} onChange={(on) => set("quietHours", on)} isDisabled={isOff} hint={t`Campaigns go out only while it is day where the recipient is, unless they say otherwise.`}>{t`Keep quiet hours`}</Switch>
        <Switch isSelected={values.doubleOptIn} onChange={(on) => set("doubleOptIn", on)} isDisabled={isOff} hint={t`New contacts confirm their opt-in by replying YES to an SMS.`}>{t`Double opt-in`}</Switch>
        <Switch isSelected={values.campaignsAdmitUnknown} onChange={(on) => set("campaignsAdmitUnknown", on)} isDisabled={isOff} hint={t`Only where you have their consent elsewhere.`}>{t`Campaigns also go to contacts whose consent is unknown`}</Switch>
        <NumberField label={t`Credits a day`} hint={t`The most that live messages take in a UTC day. Empty: no cap.`} value={values.dailyCreditCap} onChange={(value) => set("dailyCreditCap", value)} error={errorOf("dailyCreditCap")} isOff={isOff} />
        <NumberField label={t`Messages an hour to one range of numbers`} hint={t`Limits abuse of your sign-up forms. Leave empty for no limit.`} value={values.prefixHourlyCap} onChange={(value) => set("prefixHourlyCap", value)} error={errorOf("prefixHourlyCap")} isOff={isOff} />
        <NumberField label={t`Campaign messages a day to one person`} hint={t`Who got as many in 24 hours is skipped. Empty: no cap.`} value={values.contactDailyCap} onChange={(value) => set("contactDailyCap", value)} error={errorOf("contactDailyCap")} isOff={isOff} />
        <NumberField label={t`Campaign messages a week to one person`} hint={t`Who got as many in 7 days is skipped. Empty: no cap.`} value={values.contactWeeklyCap} onChange={(value) => set("contactWeeklyCap", value)} error={errorOf("contactWeeklyCap")} isOff={isOff} />
        <Switch isSelected={values.contactCapsCoverAll} onChange={(on) => set("contactCapsCoverAll", on)} isDisabled={isOff} hint={t`Receipts and codes then count towards both caps, and are canceled beyond them.`}>{t`Single messages count, too`}</Switch>
        <NumberField label={t`Skip a number after so many failures`} hint={t`Campaigns then leave it out until it is heard of again. Empty: never.`} value={values.unreachableAfter} onChange={(value) => set("unreachableAfter", value)} error={errorOf("unreachableAfter")} isOff={isOff} />
        <NumberField label={t`Recipients above which a second person approves`} hint={t`A campaign to more waits until another owner or admin approves it. Empty: never.`} value={values.approvalThreshold} onChange={(value) => set("approvalThreshold", value)} error={errorOf("approvalThreshold")} isOff={isOff} />
        <NumberField label={t`Hours in which a click counts for an order`} hint={t`An order counts for the campaign whose link its contact followed last. 0: never.`} value={values.clickWindowHours} onChange={(value) => set("clickWindowHours", value ?? 0)} error={errorOf("clickWindowHours")} isOff={isOff} isNeeded />
        <NumberField label={t`Hours in which a message counts for an order`} hint={t`Without a click, it counts for the last message that arrived. 0: never.`} value={values.messageWindowHours} onChange={(value) => set("messageWindowHours", value ?? 0)} error={errorOf("messageWindowHours")} isOff={isOff} isNeeded />
        <NumberField label={t`Warn below so many credits`} hint={t`Webhooks then hear credits.low.`} value={values.lowBalanceThreshold} onChange={(value) => set("lowBalanceThreshold", value ?? 0)} error={errorOf("lowBalanceThreshold")} isOff={isOff} isNeeded />
        <Regions
          blocked={values.blockedRegions}
          enabled={values.enabledRegions}
          onChange={(blocked, enabled) => {
            set("blockedRegions", blocked);
            set("enabledRegions", enabled);
          }}
          error={errorOf("blockedRegions") ?? errorOf("enabledRegions")}
          isOff={isOff}
        />
        {foot}
      </Form>
    </Card>
  );
}

export function Texts({ workspace }: { workspace: Workspace }) {
  const { t } = useLingui();
  const { values, set, save, errorOf, foot, note, isOff } = useForm(workspace);
  const texts = [
    { name: "optInText", label: t`Asks for a YES`, hint: t`Where double opt-in is on.` },
    { name: "welcomeText", label: t`Confirms an opt-in`, hint: t`Sent to contacts after they opt in.` },
    { name: "optOutText", label: t`Answers STOP`, hint: t`The last thing that a person hears.` },
    { name: "helpText", label: t`Answers HELP`, hint: t`Say who you are and how you are reached.` },
  ] as const;
  return (
    <Card>
      <Form onSubmit={save}>
        {note}
        {texts.map(({ name, label, hint }) => (
          <div key={name}>
            <TextArea label={label} hint={hint} rows={3} value={values[name]} onChange={(value) => set(name, value)} isDisabled={isOff} error={errorOf(name)} />
            <div className="mt-2">
              <Meter body={values[name]} />
            </div>
          </div>
        ))}
        {foot}
      </Form>
    </Card>
  );
}

const PAUSE_MS = 400;
// A number of the sandbox: nothing is sent, the text is only measured.
const NOBODY = "+14155550123";

function Meter({ body }: { body: string }) {
  const [asked, setAsked] = useState(body);
  useEffect(() => {
    const timer = setTimeout(() => setAsked(body), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [body]);
  const { data } = useData(TextPreview, { input: { to: NOBODY, body: asked } } as never, { pause: asked.trim() === "" });
  const preview = data?.messagePreview;
  if (preview?.segments == null || asked.trim() === "") return null;
  const encoding = preview.encoding ?? "GSM7";
  return <SegmentMeter segments={preview.segments} encoding={encoding} units={unitsOf(preview.parts.join(""), encoding)} />;
}
