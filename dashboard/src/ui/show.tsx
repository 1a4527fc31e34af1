// Small things that show one value each.
import { useLingui } from "@lingui/react/macro";
import { createContext, useContext, useMemo, useState, type ReactNode } from "react";
import { Button as AriaButton } from "react-aria-components";
import { classes } from "./classes";
import { numbersOf, spansOf, timesOf } from "./formats";
import { Icon, type IconName } from "./icons";

export type Tone = "neutral" | "brand" | "good" | "warn" | "danger" | "info";

const TONES: Record<Tone, string> = {
  neutral: "bg-sunken text-muted",
  brand: "bg-brand-soft text-brand",
  good: "bg-good-soft text-good",
  warn: "bg-warn-soft text-warn",
  danger: "bg-danger-soft text-danger",
  info: "bg-info-soft text-info",
};

export function Badge({ tone = "neutral", icon, children }: { tone?: Tone; icon?: IconName; children: ReactNode }) {
  return (
    <span className={classes("inline-flex items-center gap-1 rounded-full px-2.5 py-0.5 text-xs font-medium whitespace-nowrap", TONES[tone])}>
      {icon !== undefined && <Icon name={icon} className="size-3.5" />}
      {children}
    </span>
  );
}

/** An id that a click copies. */
export function CopyId({ id, short = false }: { id: string; short?: boolean }) {
  const { t } = useLingui();
  const [copied, setCopied] = useState(false);
  const shown = short && id.length > 14 ? `${id.slice(0, 8)}…${id.slice(-4)}` : id;
  return (
    <AriaButton
      className="inline-flex max-w-full items-center gap-1.5 rounded-md px-1.5 py-0.5 font-mono text-xs text-muted hover:bg-sunken hover:text-text"
      onPress={async () => {
        await navigator.clipboard.writeText(id);
        setCopied(true);
        setTimeout(() => setCopied(false), 1500);
      }}
    >
      <span className="sr-only">{t`Copy`} </span>
      <span className="truncate">{shown}</span>
      <Icon name={copied ? "check" : "copy"} className="size-3.5" />
      <span className="sr-only" aria-live="polite">
        {copied ? t`Copied` : ""}
      </span>
    </AriaButton>
  );
}

export function useNumbers() {
  const { i18n } = useLingui();
  const { locale } = i18n;
  return useMemo(() => {
    const whole = numbersOf(locale);
    const compact = numbersOf(locale, { notation: "compact", maximumFractionDigits: 1 });
    const percent = numbersOf(locale, { style: "percent", maximumFractionDigits: 1 });
    return {
      whole: (value: number) => whole.format(value),
      compact: (value: number) => compact.format(value),
      percent: (value: number) => percent.format(value),
    };
  }, [locale]);
}

export function Count({ value }: { value: number }) {
  const { whole } = useNumbers();
  return <span className="tabular">{whole(value)}</span>;
}

export function Credits({ value }: { value: number }) {
  const { t } = useLingui();
  const { whole } = useNumbers();
  const shown = whole(value);
  return <span className="tabular whitespace-nowrap">{value === 1 ? t`1 credit` : t`${shown} credits`}</span>;
}

/** The workspace's time zone, in which all times are shown. */
export const ZoneContext = createContext("UTC");
export const useZone = () => useContext(ZoneContext);

export type TimeStyle = "full" | "short" | "day" | "relative";

const SHAPES: Record<Exclude<TimeStyle, "relative">, Intl.DateTimeFormatOptions> = {
  full: { dateStyle: "medium", timeStyle: "short" },
  short: { day: "numeric", month: "short", hour: "numeric", minute: "2-digit" },
  day: { dateStyle: "medium" },
};
const STEPS: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];

function relative(seconds: number, locale: string): string {
  const format = spansOf(locale, { numeric: "auto", style: "short" });
  const [unit, size] = STEPS.find(([, each]) => Math.abs(seconds) >= each) ?? ["second", 1];
  return format.format(Math.trunc(seconds / size), unit);
}

/** A time in the workspace's zone; UTC shows on hover. */
export function Time({ at, style = "short" }: { at: string; style?: TimeStyle }) {
  const { i18n } = useLingui();
  const zone = useZone();
  const date = new Date(at);
  const text = style === "relative" ? relative((date.getTime() - Date.now()) / 1000, i18n.locale) : timesOf(i18n.locale, { ...SHAPES[style], timeZone: zone }).format(date);
  return (
    <time dateTime={at} title={`${date.toISOString().replace("T", " ").slice(0, 19)} UTC`} className="whitespace-nowrap">
      {text}
    </time>
  );
}

export function Card({ title, tools, children, className }: { title?: ReactNode; tools?: ReactNode; children: ReactNode; className?: string }) {
  return (
    <section className={classes("min-w-0 rounded-2xl border border-line bg-surface p-5 shadow-card", className)}>
      {(title !== undefined || tools !== undefined) && (
        <header className="mb-4 flex flex-wrap items-center justify-between gap-x-4 gap-y-2">
          {title !== undefined && <h2 className="text-base font-semibold">{title}</h2>}
          {tools}
        </header>
      )}
      {children}
    </section>
  );
}

export function PageHead({ title, lead, actions, above }: { title: ReactNode; lead?: ReactNode; actions?: ReactNode; above?: ReactNode }) {
  return (
    <header className="mb-6">
      {above}
      <div className="flex flex-wrap items-start justify-between gap-4">
        <div className="min-w-0">
          <h1 className="text-2xl font-semibold tracking-tight break-words" tabIndex={-1}>
            {title}
          </h1>
          {lead !== undefined && <div className="mt-1 max-w-2xl text-muted">{lead}</div>}
        </div>
        {actions !== undefined && <div className="flex flex-wrap gap-2">{actions}</div>}
      </div>
    </header>
  );
}

/** A line that should be seen: a warning, a refusal, a hint. */
export function Callout({ tone, children, action }: { tone: "warn" | "danger" | "info" | "good"; children: ReactNode; action?: ReactNode }) {
  const icons = { warn: "warning", danger: "warning", info: "info", good: "check" } as const;
  return (
    <div role={tone === "danger" ? "alert" : undefined} className={classes("flex flex-wrap items-start gap-3 rounded-xl px-4 py-3 text-sm", TONES[tone])}>
      <Icon name={icons[tone]} className="mt-0.5 size-4.5" />
      <div className="min-w-0 flex-1 basis-40">{children}</div>
      {action}
    </div>
  );
}

/** Names and values, one below the other. */
export function Facts({ items }: { items: readonly (readonly [ReactNode, ReactNode] | null | false)[] }) {
  return (
    <dl className="divide-y divide-line">
      {items.map((item, number) =>
        item ? (
          // The list is fixed, so a place is an identity.
          <div key={number} className="flex flex-wrap justify-between gap-x-6 gap-y-0.5 py-2">
            <dt className="text-muted">{item[0]}</dt>
            <dd className="min-w-0 text-right font-medium break-words">{item[1]}</dd>
          </div>
        ) : null,
      )}
    </dl>
  );
}
