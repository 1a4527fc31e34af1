import { Trans, useLingui } from "@lingui/react/macro";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { useClient } from "urql";
import { newKey, useChange, useData } from "@/api/hooks";
import { graphql } from "@/gql";
import type { ComposeCampaignQuery } from "@/gql/graphql";
import type { Problem } from "@/api/problems";
import { useSession } from "@/api/session";
import { Button, ButtonLink } from "@/ui/button";
import { Field } from "@/ui/fields";
import { timesOf } from "@/ui/formats";
import { Icon } from "@/ui/icons";
import { Callout, Card, PageHead, useZone } from "@/ui/show";
import { EmptyState, Loading, ProblemState, useProblemText, Untitled } from "@/ui/states";
import { toast } from "@/ui/toast";
import { AudienceCard } from "./audience";
import { BodyCard } from "./body";
import { isEditable } from "./decisions";
import { createInput, EMPTY, hasAudience, inputOf, tagsOf, type Draft } from "./draft";
import { DeliveryCard } from "./delivery";
import { LinksCard } from "./links";
import { VariantsCard } from "./variants";
import { ExcludeCard } from "./exclude";
import { PreviewColumn, usePreview } from "./preview";
import { Review } from "./review";
import { TestSend } from "./testsend";
import { localOf } from "./times";

const ComposeCampaign = graphql(`
  query ComposeCampaign($id: ID!) {
    campaign(id: $id) {
      id
      name
      body
      from
      status
      pauseReason
      startedAt
      approval { state }
      scheduledAt
      ratePerMinute
      spreadHours
      quietHours
      sendAtLocal
      contactDailyCap
      contactWeeklyCap
      shortenLinks
      tags
      utm { source medium campaign term content }
      version
      audience { listIds segmentId contactIds }
      exclude { listIds segmentIds campaignIds messagedWithinDays }
      abTest { testPercent metric testMinutes variants { body from share } }
    }
    workspace { id defaultSender quietHours }
  }
`);
const ComposeStart = graphql(`
  query ComposeStart {
    workspace { id defaultSender quietHours }
  }
`);
const CreateDraft = graphql(`
  mutation CreateDraft($input: CreateCampaignInput!, $key: String) {
    createCampaign(input: $input, idempotencyKey: $key) {
      __typename
      ... on Campaign { id name body status version }
      ... on Error { code message param }
    }
  }
`);
const SaveDraft = graphql(`
  mutation SaveDraft($id: ID!, $input: UpdateCampaignInput!) {
    updateCampaign(id: $id, input: $input) {
      __typename
      ... on Campaign { id name body from status scheduledAt ratePerMinute spreadHours quietHours sendAtLocal contactDailyCap contactWeeklyCap shortenLinks tags utm { source medium campaign term content } version audience { listIds segmentId contactIds } exclude { listIds segmentIds campaignIds messagedWithinDays } abTest { testPercent metric testMinutes variants { variant body from share } } }
      ... on Error { code message param }
    }
  }
`);

const SAVE_MS = 800;

type Found = NonNullable<ComposeCampaignQuery["campaign"]>;

/** Return the variants of an A/B test as the composer has them: what is as in the campaign is empty. */
function variantsOf({ abTest, body, from }: Found): Pick<Draft, "variants" | "test"> {
  if (abTest == null) return { variants: EMPTY.variants, test: EMPTY.test };
  const written = abTest.variants.map((each) => ({ body: each.body === body ? "" : each.body, from: each.from === from ? "" : each.from }));
  const [first = EMPTY.test.first, ...variants] = written;
  const shares = abTest.variants.map(({ share }) => share ?? null);
  const hours = abTest.testMinutes == null ? "" : String(abTest.testMinutes / 60);
  return { variants, test: { percent: String(abTest.testPercent), metric: abTest.metric, hours, first, shares: shares.includes(null) ? [] : shares } };
}

function draftOf(campaign: Found, defaultSender: string, zone: string): Draft {
  const { audience, exclude, scheduledAt, ratePerMinute, spreadHours } = campaign;
  return {
    name: campaign.name,
    tags: campaign.tags.join(", "),
    body: campaign.body,
    from: campaign.from === defaultSender ? "" : campaign.from,
    listIds: audience.listIds,
    segmentId: audience.segmentId ?? null,
    when: scheduledAt == null ? "now" : "later",
    at: scheduledAt == null ? "" : localOf(scheduledAt, zone),
    pace: ratePerMinute != null ? "rate" : spreadHours != null ? "spread" : "fast",
    ratePerMinute: String(ratePerMinute ?? EMPTY.ratePerMinute),
    spreadHours: String(spreadHours ?? EMPTY.spreadHours),
    quietHours: campaign.quietHours,
    localTime: campaign.sendAtLocal ?? "",
    dailyCap: String(campaign.contactDailyCap ?? ""),
    weeklyCap: String(campaign.contactWeeklyCap ?? ""),
    exclude: {
      listIds: exclude?.listIds ?? [],
      segmentIds: exclude?.segmentIds ?? [],
      campaignIds: exclude?.campaignIds ?? [],
      days: String(exclude?.messagedWithinDays ?? ""),
    },
    ...variantsOf(campaign),
    shortenLinks: campaign.shortenLinks,
    utm: {
      source: campaign.utm?.source ?? "",
      medium: campaign.utm?.medium ?? "",
      campaign: campaign.utm?.campaign ?? "",
      term: campaign.utm?.term ?? "",
      content: campaign.utm?.content ?? "",
    },
  };
}

/** The composer: a new campaign, or the draft that the address names. */
export function ComposePage() {
  const { id, list, segment } = useSearch({ from: "/shell/campaigns/new" });
  const [opened] = useState(id);
  return opened === undefined ? <StartNew list={list} segment={segment} /> : <OpenDraft id={opened} />;
}

function StartNew({ list, segment }: { list: string | undefined; segment: string | undefined }) {
  const { i18n, t } = useLingui();
  const { data, problem, retry } = useData(ComposeStart, {});
  if (data === undefined) return <Untitled title={t`Campaign`}>{problem === null ? <Loading rows={6} /> : <ProblemState problem={problem} onRetry={retry} />}</Untitled>;
  const day = timesOf(i18n.locale, { day: "numeric", month: "long" }).format(new Date());
  const initial: Draft = { ...EMPTY, name: t`Campaign of ${day}`, quietHours: data.workspace.quietHours, listIds: list === undefined ? [] : [list], segmentId: segment ?? null };
  return <Composer initial={initial} initialId={null} version={null} defaultSender={data.workspace.defaultSender} />;
}

function OpenDraft({ id }: { id: string }) {
  const { t } = useLingui();
  const client = useClient();
  const zone = useZone();
  const { data, problem, retry } = useData(ComposeCampaign, { id });
  // Another turn takes what stands on the server, in place of what is written here.
  const [turn, setTurn] = useState(0);
  if (data === undefined) return <Untitled title={t`Campaign`}>{problem === null ? <Loading rows={6} /> : <ProblemState problem={problem} onRetry={retry} />}</Untitled>;
  const { campaign, workspace } = data;
  if (campaign == null) return <EmptyState isPage icon="search" title={t`There is no such campaign`} action={<ButtonLink to="/campaigns">{t`All campaigns`}</ButtonLink>} />;
  if (!isEditable(campaign))
    return (
      <EmptyState isPage icon="campaign" title={t`This campaign has begun`} action={<ButtonLink look="primary" to="/campaigns/$id" params={{ id }}>{t`Watch it`}</ButtonLink>}>
        <Trans>Its text and audience can no longer change.</Trans>
      </EmptyState>
    );
  const takeTheirs = async () => {
    await client.query(ComposeCampaign, { id }, { requestPolicy: "network-only" }).toPromise();
    setTurn((count) => count + 1);
  };
  return <Composer key={turn} initial={draftOf(campaign, workspace.defaultSender, zone)} initialId={campaign.id} version={campaign.version} isLaunched={campaign.status !== "DRAFT"} defaultSender={workspace.defaultSender} onTheirs={takeTheirs} onNewer={() => setTurn((count) => count + 1)} />;
}

type Saving = { state: "clean" | "waiting" | "saving" | "saved" } | { state: "failed"; problem: Problem };

/** Save a draft a moment after each change, one save at a time; the last state wins. */
function useAutosave(draft: Draft, initialId: string | null, initial: Draft, initialVersion: string | null, onNewer: (() => void) | undefined) {
  const zone = useZone();
  const navigate = useNavigate();
  const create = useChange(CreateDraft);
  const update = useChange(SaveDraft);
  const [saving, setSaving] = useState<Saving>({ state: "clean" });
  const id = useRef(initialId);
  // What was read last: a change of somebody else's since then is not overwritten unseen.
  const version = useRef(initialVersion);
  const saved = useRef(JSON.stringify(initial));
  const latest = useRef(draft);
  latest.current = draft;
  const running = useRef<Promise<boolean> | null>(null);
  const key = useRef(newKey());
  const isThere = useRef(true);
  // Who left while it was being saved and came back read it as it was before: what was saved then is shown once it is there.
  useEffect(() => {
    const isUntouched = JSON.stringify(latest.current) === saved.current;
    if (initialVersion !== version.current && isUntouched && running.current === null) onNewer?.();
  }, [initialVersion]);

  const write = async (): Promise<boolean> => {
    for (;;) {
      const now = latest.current;
      const text = JSON.stringify(now);
      if (id.current !== null && text === saved.current) return true;
      if (now.name.trim() === "" || now.body.trim() === "") return false;
      setSaving({ state: "saving" });
      if (id.current === null) {
        const { done, problem } = await create.run({ input: createInput(now, zone), key: key.current });
        if (problem !== null) {
          key.current = newKey();
          setSaving({ state: "failed", problem });
          return false;
        }
        id.current = done.id;
        version.current = done.version;
        if (isThere.current) void navigate({ to: "/campaigns/new", search: { id: done.id }, replace: true, resetScroll: false });
      } else {
        const { done, problem } = await update.run({ id: id.current, input: { ...inputOf(now, zone), name: now.name.trim(), tags: tagsOf(now), ...(version.current === null ? {} : { version: version.current }) } });
        if (problem !== null) {
          setSaving({ state: "failed", problem });
          return false;
        }
        version.current = done.version;
      }
      saved.current = text;
      setSaving({ state: "saved" });
    }
  };
  const save = async (): Promise<string | null> => {
    while (running.current !== null) await running.current;
    running.current = write();
    const isSaved = await running.current;
    running.current = null;
    return isSaved ? id.current : null;
  };
  const saver = useRef(save);
  saver.current = save;
  // Who leaves for another page at once leaves nothing behind that is not saved.
  useEffect(() => {
    isThere.current = true;
    return () => {
      isThere.current = false;
      void saver.current();
    };
  }, []);
  useEffect(() => {
    if (JSON.stringify(draft) === saved.current) {
      setSaving({ state: id.current === null ? "clean" : "saved" });
      return undefined;
    }
    setSaving({ state: "waiting" });
    const timer = setTimeout(() => void saver.current(), SAVE_MS);
    return () => clearTimeout(timer);
  }, [draft]);
  useEffect(() => {
    const warn = (event: BeforeUnloadEvent) => {
      if (JSON.stringify(latest.current) !== saved.current && latest.current.body !== "") event.preventDefault();
    };
    window.addEventListener("beforeunload", warn);
    return () => window.removeEventListener("beforeunload", warn);
  }, []);
  const saveMine = () => {
    version.current = null;
    return saver.current();
  };
  return { saving, save, saveMine, id };
}

function SavedNote({ saving }: { saving: Saving }) {
  const { t } = useLingui();
  const texts = { clean: "", waiting: t`Not saved yet`, saving: t`Saving`, saved: t`Saved`, failed: t`Not saved` } as const;
  return (
    <span role="status" className="inline-flex min-h-6 items-center gap-1.5 text-sm">
      {saving.state === "saved" && <Icon name="check" className="size-4 text-good" />}
      {saving.state === "failed" && <Icon name="warning" className="size-4 text-danger" />}
      {texts[saving.state]}
    </span>
  );
}

interface ComposerProps {
  initial: Draft;
  initialId: string | null;
  version: string | null;
  /** Whether it was launched already: what is changed is saved, and needs no launch. */
  isLaunched?: boolean;
  defaultSender: string;
  /** Takes what somebody else wrote meanwhile. */
  onTheirs?: () => Promise<void>;
  /** Begins again with what was read last. */
  onNewer?: () => void;
}

function Composer({ initial, initialId, version, isLaunched = false, defaultSender, onTheirs, onNewer }: ComposerProps) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const { membership } = useSession();
  const navigate = useNavigate();
  const [draft, setDraft] = useState(initial);
  const { saving, save, saveMine, id } = useAutosave(draft, initialId, initial, version, onNewer);
  const [open, setOpen] = useState<"review" | "test" | null>(null);
  const preview = usePreview(draft);
  const change = (changes: Partial<Draft>) => setDraft((before) => ({ ...before, ...changes }));
  const isReadOnly = membership?.role === "READ_ONLY";
  const openSaved = async (what: "review" | "test") => {
    if ((await save()) === null) toast({ text: t`Write a name and a text first.`, tone: "danger" });
    else setOpen(what);
  };
  const finish = async () => {
    const saved = await save();
    if (saved !== null) await navigate({ to: "/campaigns/$id", params: { id: saved } });
  };
  const refused = saving.state === "failed" ? saving.problem : null;
  return (
    <>
      <PageHead
        title={initialId === null ? t`New campaign` : t`Edit campaign`}
        lead={<SavedNote saving={saving} />}
        actions={
          <>
            <Button onPress={() => void openSaved("test")} isDisabled={draft.body.trim() === "" || isReadOnly}>{t`Send a test`}</Button>
            {isLaunched ? (
              <Button look="primary" onPress={() => void finish()} isDisabled={isReadOnly}>{t`Save and close`}</Button>
            ) : (
              <Button look="primary" onPress={() => void openSaved("review")} isDisabled={draft.body.trim() === "" || !hasAudience(draft) || isReadOnly}>{t`Review and launch`}</Button>
            )}
          </>
        }
      />
      {isReadOnly && (
        <div className="mb-4">
          <Callout tone="info">{t`Your role is read only: you can try things out here, but nothing is saved.`}</Callout>
        </div>
      )}
      {refused?.code === "version_conflict" && (
        <div className="mb-4">
          <Callout
            tone="warn"
            action={
              <div className="flex flex-wrap gap-2">
                <Button size="small" onPress={() => (onTheirs === undefined ? location.reload() : void onTheirs())}>{t`Take theirs`}</Button>
                <Button size="small" look="primary" onPress={() => void saveMine()}>{t`Keep mine`}</Button>
              </div>
            }
          >
            <Trans>Somebody else changed this campaign meanwhile. Nothing of theirs is overwritten until you choose.</Trans>
          </Callout>
        </div>
      )}
      {refused !== null && refused.code !== "version_conflict" && (
        <div className="mb-4">
          <Callout tone="danger" action={<Button size="small" onPress={() => void save()}>{t`Save again`}</Button>}>
            {textOf(refused)}
          </Callout>
        </div>
      )}
      <div className="grid items-start gap-6 lg:grid-cols-[minmax(0,1fr)_22rem]">
        <div className="space-y-6">
          <Card>
            <Field label={t`Name`} hint={t`For your team only.`} value={draft.name} onChange={(name) => change({ name })} maxLength={200} error={draft.name.trim() === "" ? t`Give it a name.` : undefined} />
            <Field className="mt-4" label={t`Tags`} hint={t`To find it by; several by a comma.`} value={draft.tags} onChange={(tags) => change({ tags })} />
          </Card>
          <BodyCard draft={draft} onChange={change} preview={preview} />
          <VariantsCard draft={draft} onChange={change} />
          <LinksCard draft={draft} onChange={change} />
          <AudienceCard draft={draft} onChange={change} />
          <ExcludeCard draft={draft} onChange={change} own={id.current} />
          <DeliveryCard draft={draft} onChange={change} defaultSender={defaultSender} />
        </div>
        <PreviewColumn draft={draft} preview={preview} defaultSender={defaultSender} />
      </div>
      {open === "review" && id.current !== null && <Review id={id.current} draft={draft} onClose={() => setOpen(null)} />}
      {open === "test" && id.current !== null && <TestSend id={id.current} variants={draft.variants.length === 0 ? 0 : (inputOf(draft, "UTC").abTest?.variants.length ?? 0)} onClose={() => setOpen(null)} />}
    </>
  );
}
