// Automatic top-up: the card that is charged, for what, and within which limits.
import { Trans, useLingui } from "@lingui/react/macro";
import { useState, type FormEvent } from "react";
import { useChange, useData } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { useSession } from "@/api/session";
import { graphql } from "@/gql";
import type { AutoTopUpFieldsFragment, AutoTopUpOffReason, CreditPackCardFragment, UpdateAutoTopUpInput } from "@/gql/graphql";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { Field, Select } from "@/ui/fields";
import { Badge, Callout, Card, Facts, useNumbers } from "@/ui/show";
import { useProblemText } from "@/ui/states";
import { useIsAdmin, useTell } from "@/ui/tell";
import { decimalsOf, money } from "./money";
import { Refused, useBuying } from "./packs";

export const AutoTopUpFields = graphql(`
  fragment AutoTopUpFields on AutoTopUp {
    available
    enabled
    offReason
    pack
    credits
    amount
    currency
    threshold
    dailyLimit
    monthlyLimit
    chargedToday
    chargedThisMonth
    cardBrand
    cardLast4
    agreedAt
  }
`);
const TopUpData = graphql(`
  query CreditsTopUp { autoTopUp { ...AutoTopUpFields } }
`);
const Update = graphql(`
  mutation CreditsTopUpChange($input: UpdateAutoTopUpInput!) {
    updateAutoTopUp(input: $input) {
      __typename
      ... on AutoTopUp { ...AutoTopUpFields }
      ... on Error { code message param }
    }
  }
`);

// What a purchase on the page, with the card saved, turns on again.
const REPAIRABLE: ReadonlySet<AutoTopUpOffReason> = new Set(["DECLINED", "AUTHENTICATION_REQUIRED", "CARD_MISSING"]);
const FEW_PACKS = 4;

export function TopUp({ packs }: { packs: readonly CreditPackCardFragment[] }) {
  const { t } = useLingui();
  const { livemode } = useSession();
  const isAdmin = useIsAdmin();
  const reading = useData(TopUpData, {}, { every: 60_000 });
  const found = reading.data?.autoTopUp;
  if (found === undefined || (!found.available && !found.enabled)) return null;
  const mayChange = livemode && isAdmin && packs.length > 0;
  return (
    <Card
      title={t`Automatic top-up`}
      tools={found.enabled ? <Badge tone="good">{t({ message: "On", context: "top-up" })}</Badge> : <Badge>{t({ message: "Off", context: "top-up" })}</Badge>}
    >
      <div className="space-y-4">
        {found.offReason != null && found.offReason !== "OWNER" && <WhyOff found={found} packs={packs} mayChange={mayChange} />}
        {found.cardLast4 == null ? (
          <p className="text-muted">
            <Trans>Never run out: a saved card buys a pack once credits are low. To save one, buy a pack above with “Save the card”.</Trans>
          </p>
        ) : (
          <Charged found={found} />
        )}
        {mayChange && found.cardLast4 != null && <Limits key={`${found.enabled}:${found.agreedAt}`} found={found} packs={packs} onDone={reading.retry} />}
        {!mayChange && found.cardLast4 != null && (
          <p className="text-sm text-muted">{isAdmin ? t`It is changed in live mode.` : t`An owner or admin can change it.`}</p>
        )}
      </div>
    </Card>
  );
}

function WhyOff({ found, packs, mayChange }: { found: AutoTopUpFieldsFragment; packs: readonly CreditPackCardFragment[]; mayChange: boolean }) {
  const { t } = useLingui();
  const { buy, chosen, problem } = useBuying();
  const reason = found.offReason ?? "OWNER";
  const texts: Record<AutoTopUpOffReason, string> = {
    OWNER: "",
    DECLINED: t`It is off: the card was declined again and again. Buy a pack with another card, and it turns on again.`,
    AUTHENTICATION_REQUIRED: t`It is off: your bank asks for you. Buy a pack here, where the bank can ask, and it turns on again.`,
    CARD_MISSING: t`It is off: the card is not there any more. Buy a pack and save a card, and it turns on again.`,
    DISPUTE: t`It is off, because a payment was disputed at the bank. Turn it on once that is settled.`,
    PACK_CHANGED: t`It is off: the pack costs something else now, or is not sold any more. Look at the figures and turn it on again.`,
    REVIEW: t`It is off: the operator looks at a payment that was not what was sold.`,
  };
  const pack = packs.find(({ id }) => id === found.pack) ?? packs[0];
  const canBuy = mayChange && pack !== undefined && REPAIRABLE.has(reason);
  const label = pack?.label ?? "";
  return (
    <>
      <Callout
        tone="warn"
        {...(canBuy
          ? {
              action: (
                <Button size="small" look="primary" isPending={chosen !== null} onPress={() => void buy(pack.id, true)}>
                  {t`Buy ${label} and save the card`}
                </Button>
              ),
            }
          : {})}
      >
        {texts[reason]}
      </Callout>
      {problem !== null && <Refused problem={problem} />}
    </>
  );
}

function Charged({ found }: { found: AutoTopUpFieldsFragment }) {
  const { t, i18n } = useLingui();
  const { whole } = useNumbers();
  const { cardBrand, cardLast4, currency, amount, credits, threshold } = found;
  const shown = (value: number | null | undefined) => (value == null || currency == null ? "–" : money(value, currency, i18n.locale));
  const brand = cardBrand ?? t`Card`;
  const last4 = cardLast4 ?? "";
  const count = whole(credits ?? 0);
  const price = shown(amount);
  const below = whole(threshold ?? 0);
  const today = shown(found.chargedToday);
  const ofDay = shown(found.dailyLimit);
  const month = shown(found.chargedThisMonth);
  const ofMonth = shown(found.monthlyLimit);
  return (
    <Facts
      items={[
        [t`Card`, t`${brand} that ends in ${last4}`],
        found.enabled && [t`Buys`, t`${count} credits for ${price}, below ${below}`],
        found.enabled && [t`Charged today`, t`${today} of ${ofDay}`],
        found.enabled && [t`This month`, t`${month} of ${ofMonth}`],
      ]}
    />
  );
}

/** Read an amount as people write it; null for what is none. */
function unitsOf(text: string, currency: string): number | null {
  const value = Number(text.replace(",", "."));
  return text.trim() === "" || !Number.isFinite(value) || value <= 0 ? null : Math.round(value * 10 ** decimalsOf(currency));
}

function Limits({ found, packs, onDone }: { found: AutoTopUpFieldsFragment; packs: readonly CreditPackCardFragment[]; onDone: () => void }) {
  const { t, i18n } = useLingui();
  const tell = useTell();
  const textOf = useProblemText();
  const { run, isRunning } = useChange(Update);
  const [pack, setPack] = useState(packs.find(({ id }) => id === found.pack)?.id ?? packs[0]?.id ?? "");
  const sold = packs.find(({ id }) => id === pack) ?? packs[0];
  const currency = sold?.currency ?? "usd";
  const written = (value: number | null | undefined, times: number) => String((value ?? (sold?.amount ?? 0) * times) / 10 ** decimalsOf(currency));
  const [threshold, setThreshold] = useState(String(found.threshold ?? 1000));
  const [daily, setDaily] = useState(() => written(found.dailyLimit, 2));
  const [monthly, setMonthly] = useState(() => written(found.monthlyLimit, FEW_PACKS * 2));
  const [problem, setProblem] = useState<Problem | null>(null);
  const [asks, setAsks] = useState(false);
  const change = async (input: UpdateAutoTopUpInput, text: string) => {
    const { problem: refusal } = await run({ input });
    setProblem(refusal);
    if (refusal !== null) return;
    tell(null, text);
    onDone();
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const below = Number(threshold.replace(/\D/g, ""));
    void change({ enabled: true, pack, threshold: below, dailyLimit: unitsOf(daily, currency) ?? 0, monthlyLimit: unitsOf(monthly, currency) ?? 0 }, t`Automatic top-up is on.`);
  };
  const errorOf = (name: string) => (problem?.param === name || problem?.param?.endsWith(`.${name}`) ? problem.message : undefined);
  const price = sold === undefined ? "" : money(sold.amount, sold.currency, i18n.locale);
  const code = currency.toUpperCase();
  const isTold = ["pack", "threshold", "dailyLimit", "monthlyLimit"].some((name) => errorOf(name) !== undefined);
  const last4 = found.cardLast4 ?? "";
  return (
    <form onSubmit={submit} noValidate className="space-y-4">
      {problem !== null && !isTold && <Callout tone="danger">{textOf(problem)}</Callout>}
      <div className="grid gap-4 sm:grid-cols-2">
        <Select label={t`Pack`} choices={packs.map(({ id, label }) => ({ value: id, label }))} value={pack} onChange={setPack} error={errorOf("pack")} />
        <Field label={t`When credits fall below`} inputMode="numeric" value={threshold} onChange={setThreshold} error={errorOf("threshold")} />
        <Field label={t`At most a day, in ${code}`} inputMode="decimal" value={daily} onChange={setDaily} error={errorOf("dailyLimit")} />
        <Field label={t`At most a month, in ${code}`} inputMode="decimal" value={monthly} onChange={setMonthly} error={errorOf("monthlyLimit")} />
      </div>
      <p className="text-sm text-muted">
        <Trans>
          By turning it on you agree that {price} is charged to the card that ends in {last4} each time credits fall below this number, within these limits, until you turn it off. Owners are told by mail each time.
        </Trans>
      </p>
      <div className="flex flex-wrap gap-2">
        <Button type="submit" look="primary" isPending={isRunning}>
          {found.enabled ? t`Save` : t`Turn on`}
        </Button>
        {found.enabled && <Button onPress={() => void change({ enabled: false }, t`Automatic top-up is off.`)}>{t`Turn off`}</Button>}
        <Button look="quiet" onPress={() => setAsks(true)}>{t`Forget the card`}</Button>
      </div>
      <Confirm
        isOpen={asks}
        title={t`Forget the card?`}
        action={t`Forget the card`}
        onClose={() => setAsks(false)}
        onConfirm={async () => {
          await change({ forgetCard: true }, t`The card is forgotten.`);
          setAsks(false);
        }}
      >
        <Trans>Nothing is charged to it any more, and automatic top-up is off. To save one again, buy a pack.</Trans>
      </Confirm>
    </form>
  );
}
