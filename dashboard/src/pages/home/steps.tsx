import { useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { ButtonAnchor } from "@/ui/button";
import { classes } from "@/ui/classes";
import { Icon } from "@/ui/icons";
import { Card } from "@/ui/show";
import type { HomeData } from "./home";

/** What somebody new does first; gone once all of it is done. */
export function FirstSteps({ data, isLive }: { data: HomeData; isLive: boolean }) {
  const { t } = useLingui();
  const steps = [
    { name: t`Bring your contacts`, hint: t`With how each of them agreed to be texted.`, to: "/imports/new" as const, isDone: data.contacts.totalCount > 0 },
    { name: t`Send a first campaign`, hint: isLive ? t`You see its cost and who is skipped before it goes.` : t`In the sandbox it reaches the handset, and no one else.`, to: "/campaigns/new" as const, isDone: data.everything.totalCount > 0 },
    { name: t`Read a reply`, hint: t`Answers land in the inbox, STOP is obeyed by itself.`, to: "/inbox" as const, isDone: data.now.some(({ replies }) => replies > 0) },
  ];
  if (steps.every(({ isDone }) => isDone)) return null;
  return (
    <Card title={t`First steps`} tools={<ButtonAnchor size="small" look="quiet" href="/docs/quickstart">{t`How it works`}</ButtonAnchor>}>
      <ol className="grid gap-3 md:grid-cols-3">
        {steps.map(({ name, hint, to, isDone }, index) => (
          <li key={name} className={classes("flex gap-3 rounded-xl border border-line p-4", isDone && "bg-sunken")}>
            <span className={classes("flex size-7 shrink-0 items-center justify-center rounded-full text-sm font-semibold", isDone ? "bg-good-soft text-good" : "bg-brand-soft text-brand")}>
              {isDone ? <Icon name="check" className="size-4" /> : index + 1}
            </span>
            <span>
              {isDone ? <span className="font-medium">{name}</span> : <Link to={to} className="font-medium">{name}</Link>}
              {isDone && <span className="sr-only"> ({t`done`})</span>}
              <span className="block text-sm text-muted">{hint}</span>
            </span>
          </li>
        ))}
      </ol>
    </Card>
  );
}
