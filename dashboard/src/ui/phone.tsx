// The recipient's phone, and what a text costs on the air.
import { Plural, useLingui } from "@lingui/react/macro";
import type { ReactNode } from "react";
import { classes } from "./classes";

/** What was said on the phone before: by the workspace, or by whose phone it is. */
export interface Said {
  id: string;
  text: string;
  isTheirs: boolean;
}

export const BUBBLE = "max-w-[92%] rounded-2xl px-3.5 py-2.5 text-[0.9rem] leading-snug break-words whitespace-pre-wrap";

/** A phone with a message as it arrives, drawn from the parts that go on the air. */
export function PhonePreview({ from, parts, body, isStale = false, earlier = [], foot }: { from: string; parts: readonly string[]; body: string; isStale?: boolean; earlier?: readonly Said[]; foot?: ReactNode }) {
  const { t } = useLingui();
  const text = parts.length > 0 ? parts.join("") : body;
  return (
    <figure aria-label={t`Preview on a phone`} className="mx-auto w-full max-w-[19rem] rounded-[2.2rem] border border-line-strong bg-sunken p-2 shadow-card">
      <div className="flex min-h-[26rem] flex-col overflow-hidden rounded-[1.8rem] bg-surface">
        {/* The text is read while it is looked up again: its line tells, and not less contrast. */}
        <div className={classes("border-b px-4 pt-6 pb-3 text-center transition-colors", isStale ? "border-brand" : "border-line")}>
          <span className="mx-auto mb-1 flex size-9 items-center justify-center rounded-full bg-brand-soft text-sm font-semibold text-brand" aria-hidden="true">
            {from.replace(/^\+/, "").slice(0, 1).toUpperCase() || "?"}
          </span>
          <figcaption className="text-xs font-medium">{from || t`your sender`}</figcaption>
        </div>
        <div className="flex flex-1 flex-col justify-end gap-1 p-3" aria-live="polite" aria-busy={isStale}>
          {earlier.map(({ id, text: said, isTheirs }) => (
            <p key={id} className={classes(BUBBLE, isTheirs ? "self-end rounded-br-md bg-brand text-on-brand" : "self-start rounded-bl-md bg-sunken text-muted")}>
              {said}
            </p>
          ))}
          {text === "" ? (
            <p className="text-center text-sm text-muted">{t`Your text shows here.`}</p>
          ) : (
            <p className={classes(BUBBLE, "rounded-bl-md bg-brand-soft")}>
              {parts.length > 1
                ? parts.map((part, index) => (
                    <span key={index} className={classes(index % 2 === 1 && "border-b-2 border-dotted border-line-strong")}>
                      {part}
                    </span>
                  ))
                : text}
            </p>
          )}
        </div>
        {foot}
      </div>
    </figure>
  );
}

const SINGLE = { GSM7: 160, UCS2: 70 } as const;
const JOINED = { GSM7: 153, UCS2: 67 } as const;
const MOST_SHOWN = 11;

interface MeterProps {
  /** How many segments, as the server counted. */
  segments: number;
  encoding: string;
  /** Characters of the text, in the units of its encoding. */
  units?: number;
}

/** How many segments a text takes, and how full the last one is. */
export function SegmentMeter({ segments, encoding, units }: MeterProps) {
  const { t } = useLingui();
  const kind = encoding === "UCS2" ? "UCS2" : "GSM7";
  const room = segments > 1 ? JOINED[kind] : SINGLE[kind];
  const inLast = units === undefined ? room : Math.max(0, Math.min(room, units - (segments - 1) * room));
  const left = room - inLast;
  const name = kind === "UCS2" ? t`Unicode` : t`plain text`;
  return (
    <div>
      <div className="flex gap-1" aria-hidden="true">
        {Array.from({ length: Math.max(1, Math.min(segments, MOST_SHOWN)) }, (_, index) => {
          const full = index < segments - 1 ? 100 : (inLast / room) * 100;
          return (
            <span key={index} className="h-1.5 max-w-24 flex-1 overflow-hidden rounded-full bg-line">
              <span className={classes("block h-full rounded-full", kind === "UCS2" ? "bg-warn" : "bg-brand")} style={{ width: `${full}%` }} />
            </span>
          );
        })}
      </div>
      <p className="mt-1.5 text-sm text-muted tabular">
        <Plural value={segments} one="# segment" other="# segments" /> · {name}
        {units !== undefined && <> · <Plural value={left} one="# character left in the last" other="# characters left in the last" /></>}
      </p>
    </div>
  );
}
