import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { ButtonLink } from "@/ui/button";
import { Callout, Credits } from "@/ui/show";
import type { HomeData } from "./home";

export function Alerts({ data, isLive }: { data: HomeData; isLive: boolean }) {
  const { t } = useLingui();
  const { balance, lowBalanceThreshold, estimatedRunwayDays: runway } = data.credits;
  const broken = data.webhooks.nodes.filter(({ enabled, disabledReason }) => !enabled && disabledReason !== null);
  const isLow = isLive && balance < lowBalanceThreshold;
  const paused = data.paused.nodes.filter(({ pauseReason }) => pauseReason !== null && pauseReason !== "manual");
  if (!isLow && broken.length === 0 && paused.length === 0 && data.flagged.totalCount === 0) return null;
  return (
    <section aria-label={t`Needs a look`} className="space-y-2">
      {isLow && (
        <Callout tone="warn" action={<ButtonLink to="/credits" size="small">{t`Add credits`}</ButtonLink>}>
          <Trans>
            <Credits value={balance} /> are left, less than you asked to be warned of.
          </Trans>{" "}
          {runway != null && <Plural value={runway} one="At this pace they last # day." other="At this pace they last # days." />}
        </Callout>
      )}
      {paused.map(({ id, name }) => (
        <Callout key={id} tone="warn">
          <Trans>“{name}” is on hold, and not because somebody paused it.</Trans>
        </Callout>
      ))}
      {broken.map(({ id, url }) => (
        <Callout key={id} tone="warn">
          <Trans>The webhook to {url} was disabled, since it did not answer.</Trans>
        </Callout>
      ))}
      {data.flagged.totalCount > 0 && (
        <Callout tone="info">
          <Plural value={data.flagged.totalCount} one="# reply likely asks for no more messages and needs a look." other="# replies likely ask for no more messages and need a look." />
        </Callout>
      )}
    </section>
  );
}
