import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { useSession } from "@/api/session";
import { ButtonLink } from "@/ui/button";
import { Callout, Credits } from "@/ui/show";
import { useIsAdmin } from "@/ui/tell";
import type { HomeData } from "./home";

const MOST_NAMED = 5;

export function Alerts({ data, isLive }: { data: HomeData; isLive: boolean }) {
  const { t } = useLingui();
  const { user } = useSession();
  const isAdmin = useIsAdmin();
  const { balance, lowBalanceThreshold, estimatedRunwayDays: runway } = data.credits;
  const broken = data.webhooks.nodes.filter(({ enabled, disabledReason }) => !enabled && disabledReason !== null);
  const isLow = isLive && balance < lowBalanceThreshold;
  const paused = data.paused.nodes.filter(({ pauseReason }) => pauseReason !== null && pauseReason !== "manual" && pauseReason !== "approval_required");
  // Who may not decide, and who asked, are not waited for.
  const waiting = isAdmin ? data.waiting.nodes.filter(({ approval }) => approval?.state === "required" && approval.requestedBy !== user.id) : [];
  if (!isLow && broken.length === 0 && paused.length === 0 && waiting.length === 0 && data.flagged.totalCount === 0) return null;
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
      {waiting.length > 0 && (
        <Callout tone="warn">
          <p>
            <Plural value={waiting.length} one="# campaign waits for your approval:" other="# campaigns wait for your approval:" />
          </p>
          <ul>
            {waiting.slice(0, MOST_NAMED).map(({ id, name }) => (
              <li key={id}>
                <Link to="/campaigns/$id" params={{ id }} className="font-medium break-words text-warn">
                  {name}
                </Link>
              </li>
            ))}
          </ul>
          {waiting.length > MOST_NAMED && (
            <Link to="/campaigns" search={{ status: "PAUSED" }} className="text-warn">
              <Trans>All paused campaigns</Trans>
            </Link>
          )}
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
