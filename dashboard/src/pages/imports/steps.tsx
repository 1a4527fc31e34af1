import { useLingui } from "@lingui/react/macro";
import { classes } from "@/ui/classes";
import { Icon } from "@/ui/icons";

export type Step = "file" | "columns" | "check" | "run" | "report";

const ORDER: readonly Step[] = ["file", "columns", "check", "run", "report"];

/** The steps of an import, and which of them it is at. */
export function Steps({ at }: { at: Step }) {
  const { t } = useLingui();
  const names: Record<Step, string> = { file: t`File`, columns: t`Columns and consent`, check: t`Check`, run: t`Run`, report: t`Report` };
  const now = ORDER.indexOf(at);
  return (
    <ol aria-label={t`Steps of the import`} className="mb-6 flex flex-wrap gap-x-5 gap-y-2 text-sm">
      {ORDER.map((step, index) => {
        const isDone = index < now || at === "report";
        return (
          <li key={step} aria-current={index === now ? "step" : undefined} className={classes("flex items-center gap-2", index === now ? "font-semibold" : "text-muted")}>
            <span className={classes("flex size-6 shrink-0 items-center justify-center rounded-full text-xs font-semibold", isDone ? "bg-good-soft text-good" : index === now ? "bg-brand text-on-brand" : "bg-sunken text-muted")}>
              {isDone ? <Icon name="check" className="size-3.5" /> : index + 1}
            </span>
            {names[step]}
            {isDone && index !== now && <span className="sr-only"> ({t`done`})</span>}
          </li>
        );
      })}
    </ol>
  );
}
