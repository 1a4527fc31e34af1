import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { useEffect, useRef, useState } from "react";
import { newKey, useChange } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { enterMode, useSession } from "@/api/session";
import { graphql } from "@/gql";
import type { CreditPackCardFragment } from "@/gql/graphql";
import { Button } from "@/ui/button";
import { Checkbox } from "@/ui/fields";
import { Badge, Callout, Card, CopyId, Count, Credits, useNumbers } from "@/ui/show";
import { useProblemText, useRoleName } from "@/ui/states";
import { useIsAdmin } from "@/ui/tell";
import { rememberBegun } from "./begun";
import { money, priceOfOne } from "./money";

export const CreditPackCard = graphql(`
  fragment CreditPackCard on CreditPack { id label credits amount currency badge }
`);
const Buy = graphql(`
  mutation CreditsBuy($pack: String!, $successUrl: String!, $cancelUrl: String!, $saveCard: Boolean!, $key: String!) {
    createCheckout(input: { pack: $pack, successUrl: $successUrl, cancelUrl: $cancelUrl, saveCard: $saveCard }, idempotencyKey: $key) {
      __typename
      ... on Checkout { id url status }
      ... on Error { code message param }
    }
  }
`);

/** What is sold, and the way to pay for it. */
export function Packs({ packs, savesCards }: { packs: readonly CreditPackCardFragment[]; savesCards: boolean }) {
  const { t } = useLingui();
  const { livemode, membership } = useSession();
  const roleName = useRoleName();
  const isAdmin = useIsAdmin();
  const { buy, chosen, problem } = useBuying();
  const [saves, setSaves] = useState(false);
  const role = roleName(membership?.role);
  const mayBuy = livemode && isAdmin;
  return (
    <section aria-label={t`Buy credits`} className="space-y-4">
      <h2 className="text-lg font-semibold">{t`Buy credits`}</h2>
      {!isAdmin && (
        <Callout tone="info">
          <Trans>Your role ({role}) does not buy credits. An owner or admin can do it.</Trans>
        </Callout>
      )}
      {isAdmin && !livemode && (
        <Callout tone="info" action={<Button size="small" onPress={() => enterMode(true)}>{t`Go to live mode`}</Button>}>
          <Trans>The sandbox needs no credits: its messages are free. They are bought in live mode.</Trans>
        </Callout>
      )}
      <div className="grid gap-4 sm:grid-cols-2 xl:grid-cols-3">
        {packs.map((pack) => (
          <Pack key={pack.id} pack={pack} {...(mayBuy ? { onBuy: () => void buy(pack.id, saves), isPending: chosen === pack.id, isBlocked: chosen !== null } : {})} />
        ))}
      </div>
      {problem !== null && <Refused problem={problem} />}
      {mayBuy && savesCards && (
        <Checkbox isSelected={saves} onChange={setSaves} hint={t`Stripe keeps it. Nothing is charged to it before you turn automatic top-up on.`}>
          {t`Save the card, for automatic top-up`}
        </Checkbox>
      )}
      {mayBuy && (
        <p className="text-sm text-muted">
          <Trans>You pay at Stripe and come back here. Tax, where there is any, is shown before you pay.</Trans>
        </p>
      )}
    </section>
  );
}

function Pack({ pack, onBuy, isPending = false, isBlocked = false }: { pack: CreditPackCardFragment; onBuy?: () => void; isPending?: boolean; isBlocked?: boolean }) {
  const { t, i18n } = useLingui();
  const { whole } = useNumbers();
  const { label, credits, amount, currency, badge } = pack;
  const short = whole(credits);
  const each = priceOfOne(amount, credits, currency, i18n.locale);
  return (
    <Card className="flex flex-col">
      <div className="mb-1 flex flex-wrap items-center justify-between gap-2">
        <h3 className="font-medium">{label}</h3>
        {badge != null && <Badge tone="brand">{badge}</Badge>}
      </div>
      <p className="text-3xl font-semibold tracking-tight tabular">{money(amount, currency, i18n.locale)}</p>
      <p className="mt-1 text-muted">
        <Credits value={credits} /> · <span className="whitespace-nowrap">{t`${each} a credit`}</span>
      </p>
      <p className="mt-3 mb-4 text-sm text-muted">
        <Plural value={credits} one={`${short} message of one segment`} other={`${short} messages of one segment`} />
        {credits > 1 && (
          <>
            {" "}
            <Trans>
              or <Count value={Math.floor(credits / 2)} /> of two
            </Trans>
          </>
        )}
      </p>
      {onBuy !== undefined && (
        <Button look={badge == null ? "secondary" : "primary"} className="mt-auto w-full" onPress={onBuy} isPending={isPending} isDisabled={isBlocked && !isPending} aria-label={t`Buy ${label}`}>
          {isPending ? t`Opening the checkout…` : t`Buy`}
        </Button>
      )}
    </Card>
  );
}

export function Refused({ problem }: { problem: Problem }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const texts: Record<string, string> = {
    billing_closed: t`Credits are not sold here any more. Ask the operator.`,
    pack_unknown: t`This pack is not sold any more. Load the page again to see what is.`,
  };
  return (
    <Callout tone="danger">
      {texts[problem.code] ?? textOf(problem)}{" "}
      {problem.requestId !== undefined && (
        <>
          <Trans>Request</Trans> <CopyId id={problem.requestId} />
        </>
      )}
    </Callout>
  );
}

/** Begin a purchase and go to where it is paid. */
export function useBuying() {
  const { t } = useLingui();
  const { run } = useChange(Buy);
  const [chosen, setChosen] = useState<string | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  // A try whose end is not known is made again under its key, so that one purchase comes of both.
  const keys = useRef(new Map<string, string>());
  useEffect(() => {
    // The browser's own way back shows the page as it was left.
    const hear = ({ persisted }: PageTransitionEvent) => persisted && setChosen(null);
    window.addEventListener("pageshow", hear);
    return () => window.removeEventListener("pageshow", hear);
  }, []);
  const buy = async (pack: string, saveCard = false) => {
    const name = `${pack} ${saveCard}`;
    const key = keys.current.get(name) ?? newKey();
    keys.current.set(name, key);
    setChosen(pack);
    setProblem(null);
    const back = (end: string) => `${location.origin}/dashboard/credits?checkout=${end}`;
    const { done, problem: refusal } = await run({ pack, successUrl: back("done"), cancelUrl: back("canceled"), saveCard, key });
    if (refusal === null || (refusal.kind !== "offline" && refusal.kind !== "server")) keys.current.delete(name);
    if (done?.url != null) {
      rememberBegun(done.id);
      location.assign(done.url);
      return;
    }
    setChosen(null);
    setProblem(refusal ?? { kind: "server", code: "checkout_closed", message: t`The page to pay at could not be opened. Try again.`, details: {} });
  };
  return { buy, chosen, problem };
}
