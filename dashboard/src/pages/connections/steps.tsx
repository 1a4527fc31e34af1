import { useLingui } from "@lingui/react/macro";
import { classes } from "@/ui/classes";
import { Icon } from "@/ui/icons";

export type Step = "service" | "settings" | "fields" | "check";

const ORDER: readonly Step[] = ["service", "settings", "fields", "check"];

/** The steps of connecting a service, and which of them it is at. */
export function Steps({ at }: { at: Step }) {
  const { t } = useLingui();
  const names: Record<Step, string> = { service: t`Service`, settings: t`Access`, fields: t`Fields and consent`, check: t`Check and confirm` };
  const now = ORDER.indexOf(at);
  return (
    <ol aria-label={t`Steps of connecting`} className="mb-6 flex flex-wrap gap-x-5 gap-y-2 text-sm">
      {ORDER.map((step, index) => (
        <li key={step} aria-current={index === now ? "step" : undefined} className={classes("flex items-center gap-2", index === now ? "font-semibold" : "text-muted")}>
          <span className={classes("flex size-6 shrink-0 items-center justify-center rounded-full text-xs font-semibold", index < now ? "bg-good-soft text-good" : index === now ? "bg-brand text-on-brand" : "bg-sunken text-muted")}>
            {index < now ? <Icon name="check" className="size-3.5" /> : index + 1}
          </span>
          {names[step]}
          {index < now && <span className="sr-only"> ({t`done`})</span>}
        </li>
      ))}
    </ol>
  );
}
