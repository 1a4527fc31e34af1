import { Trans, useLingui } from "@lingui/react/macro";
import { useEffect, useState, type ReactNode } from "react";
import { useData } from "@/api/hooks";
import { graphql } from "@/gql";
import type { PurchaseRowFragment } from "@/gql/graphql";
import { Button, ButtonAnchor } from "@/ui/button";
import { Callout, CopyId, Credits, useNumbers } from "@/ui/show";
import { Loading, ProblemState, Skeleton } from "@/ui/states";
import { begun } from "./begun";
import { ENDED } from "./purchases";

const Watched = graphql(`
  query CreditsPurchase($id: ID!) {
    checkout(id: $id) { ...PurchaseRow }
    credits { balance totalLifetime estimatedRunwayDays }
  }
`);
const Newest = graphql(`
  query CreditsNewestPurchase {
    checkouts(first: 1) { nodes { id } }
  }
`);

const SOON_MS = 2000;
const LATER_MS = 10_000;
const PATIENCE_MS = 30_000;

interface Props {
  isCanceled: boolean;
  onEnd: () => void;
  onClose: () => void;
}

/** What became of the purchase from which the buyer comes back, told until it has ended. */
export function Returned(props: Props) {
  const [known] = useState(begun);
  const newest = useData(Newest, {}, { pause: known !== null });
  const id = known ?? newest.data?.checkouts.nodes[0]?.id;
  if (id === undefined) return null;
  return (
    <div role="status" className="mb-6">
      <Watch id={id} {...props} />
    </div>
  );
}

function Watch({ id, isCanceled, onEnd, onClose }: Props & { id: string }) {
  const [every, setEvery] = useState(SOON_MS);
  const reading = useData(Watched, { id }, every > 0 ? { every } : {});
  const status = reading.data?.checkout?.status;
  const isEnded = status !== undefined && ENDED.has(status);
  const rests = isEnded || (isCanceled && status === "OPEN");
  useEffect(() => {
    setEvery(rests ? 0 : SOON_MS);
    if (rests) return undefined;
    const timer = setTimeout(() => setEvery(LATER_MS), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, [rests]);
  useEffect(() => {
    if (isEnded) onEnd();
  }, [isEnded, onEnd]);
  if (reading.data == null) {
    if (reading.problem !== null) return <ProblemState problem={reading.problem} onRetry={reading.retry} />;
    return (
      <Loading>
        <Skeleton className="h-16 w-full" />
      </Loading>
    );
  }
  const { checkout, credits } = reading.data;
  if (checkout == null)
    return (
      <Said tone="warn" onClose={onClose}>
        <Trans>The purchase you come from is not in this workspace. Its own workspace shows it.</Trans>
      </Said>
    );
  return <Told purchase={checkout} balance={credits.balance} isCanceled={isCanceled} isLong={every === LATER_MS} onClose={onClose} />;
}

function Told({ purchase, balance, isCanceled, isLong, onClose }: { purchase: PurchaseRowFragment; balance: number; isCanceled: boolean; isLong: boolean; onClose: () => void }) {
  const { t } = useLingui();
  const { whole } = useNumbers();
  const { id, status, url, label, credits, receiptUrl } = purchase;
  const now = whole(balance);
  if (status === "PAID")
    return (
      <Said tone="good" title={t`Thank you: it is paid`} onClose={onClose} action={receiptUrl != null && <ButtonAnchor size="small" href={receiptUrl} target="_blank" rel="noreferrer">{t`Receipt`}</ButtonAnchor>}>
        <Trans>
          <Credits value={credits} /> were added. Your balance is {now}.
        </Trans>
      </Said>
    );
  if (status === "PENDING")
    return (
      <Said tone="warn" title={t`The payment is on its way`} onClose={onClose}>
        <Trans>Your bank takes its time with this way to pay, some days at most. <Credits value={credits} /> come by themselves once it has arrived. You need not wait here.</Trans>
      </Said>
    );
  if (status === "FAILED")
    return (
      <Said tone="danger" title={t`The payment did not go through`} onClose={onClose}>
        <Trans>Nothing was bought. Choose a pack to try again, with another card perhaps.</Trans>
      </Said>
    );
  if (status === "EXPIRED")
    return (
      <Said tone="warn" title={t`The checkout has expired`} onClose={onClose}>
        <Trans>Nobody paid in time, and nothing was charged. Choose a pack to begin again.</Trans>
      </Said>
    );
  if (status === "REVIEW")
    return (
      <Said tone="danger" title={t`The operator looks at this payment`} onClose={onClose}>
        <Trans>What was paid is not what was sold, so no credits were added yet. Tell the operator this id: <CopyId id={id} /></Trans>
      </Said>
    );
  if (isCanceled)
    return (
      <Said tone="info" title={t`Nothing was charged`} onClose={onClose} action={url != null && <ButtonAnchor size="small" href={url}>{t`Pay after all`}</ButtonAnchor>}>
        <Trans>You turned back before paying for {label}.</Trans>
      </Said>
    );
  return (
    <Said tone="info" title={t`We ask whether it is paid`} onClose={onClose}>
      {isLong ? <Trans>This takes longer than usual. <Credits value={credits} /> come by themselves once the payment is told; you need not wait here.</Trans> : <Trans>This takes a few seconds.</Trans>}
    </Said>
  );
}

function Said({ tone, title, action, onClose, children }: { tone: "warn" | "danger" | "info" | "good"; title?: string; action?: ReactNode; onClose: () => void; children: ReactNode }) {
  const { t } = useLingui();
  return (
    <Callout
      tone={tone}
      action={
        <span className="flex flex-wrap gap-2">
          {action}
          <Button size="small" look="quiet" onPress={onClose}>{t`Close`}</Button>
        </span>
      }
    >
      {title !== undefined && <p className="font-semibold">{title}</p>}
      <p>{children}</p>
    </Callout>
  );
}
