// Charts of our own in SVG; long live series are uPlot's, which is loaded where it is used.
import { useLingui } from "@lingui/react/macro";
import { useEffect, useId, useRef, useState, type RefObject } from "react";
import { classes } from "./classes";
import { useNumbers } from "./show";

export function Sparkline({ values, label, className = "h-8 w-24" }: { values: readonly number[]; label: string; className?: string }) {
  const most = Math.max(1, ...values);
  const step = 100 / Math.max(1, values.length - 1);
  const points = values.map((value, index) => `${(index * step).toFixed(2)},${(29 - (value / most) * 27).toFixed(2)}`).join(" ");
  return (
    <svg viewBox="0 0 100 30" preserveAspectRatio="none" className={className} role="img" aria-label={label}>
      <polyline points={`0,30 ${points} 100,30`} className="fill-brand-soft" stroke="none" />
      <polyline points={points} fill="none" className="stroke-brand" strokeWidth="1.6" vectorEffect="non-scaling-stroke" strokeLinejoin="round" />
    </svg>
  );
}

export interface Series {
  name: string;
  /** A class that fills, such as `fill-good`. */
  fill: string;
  /** The same as a background, for the legend. */
  dot: string;
}

export interface Bar {
  label: string;
  values: readonly number[];
}

const HEIGHT = 180;
const AXIS = 22;
const WIDTH = 720;
// So much room a label has below the bars.
const LABEL = 90;

/** Return the width that a thing has on the page, in pixels: what is drawn by it keeps its letters legible. */
function useWidth(of: RefObject<HTMLElement | null>): number {
  const [width, setWidth] = useState(WIDTH);
  useEffect(() => {
    if (of.current === null) return undefined;
    const observer = new ResizeObserver(([entry]) => setWidth(Math.max(200, Math.round(entry!.contentRect.width))));
    observer.observe(of.current);
    return () => observer.disconnect();
  }, [of]);
  return width;
}

/** Return the top of an axis with four steps: no less than the most, and whole at each step, as what is counted is. */
export function niceTop(most: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, most)));
  const tops = [1, 2, 4, 6, 8, 10, 12].map((each) => each * power);
  return tops.find((each) => each >= most && each % 4 === 0) ?? 12 * power;
}

/** Bars stacked by series, with the numbers as a table for who cannot see them. */
export function StackedBars({ bars, series, caption }: { bars: readonly Bar[]; series: readonly Series[]; caption: string }) {
  const { t } = useLingui();
  const { whole, compact } = useNumbers();
  const id = useId();
  const [pointed, setPointed] = useState<number | null>(null);
  const top = niceTop(Math.max(0, ...bars.map(({ values }) => values.reduce((sum, each) => sum + each, 0))));
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const step = (width - 44) / Math.max(1, bars.length);
  const every = Math.ceil(bars.length / Math.max(2, Math.floor(width / LABEL)));
  const shown = pointed === null ? null : bars[pointed];
  return (
    <figure>
      <div ref={box} className="relative">
        <svg viewBox={`0 0 ${width} ${HEIGHT + AXIS}`} className="h-auto w-full" role="img" aria-labelledby={id} onPointerLeave={() => setPointed(null)}>
          <title id={id}>{caption}</title>
          {[0, 0.25, 0.5, 0.75, 1].map((part) => {
            const y = HEIGHT - part * (HEIGHT - 10);
            return (
              <g key={part}>
                <line x1="40" x2={width} y1={y} y2={y} className="stroke-line" strokeWidth="1" />
                <text x="34" y={y + 4} textAnchor="end" className="fill-muted text-[11px]">
                  {compact(top * part)}
                </text>
              </g>
            );
          })}
          {bars.map(({ label, values }, index) => {
            let y = HEIGHT;
            const x = 44 + index * step;
            return (
              <g key={label} onPointerEnter={() => setPointed(index)} className={classes(pointed !== null && pointed !== index && "opacity-50")}>
                <rect x={x} y="0" width={step} height={HEIGHT} fill="transparent" />
                {values.map((value, number) => {
                  const height = (value / top) * (HEIGHT - 10);
                  y -= height;
                  return value > 0 ? <rect key={series[number]!.name} x={x + step * 0.15} y={y} width={step * 0.7} height={Math.max(0.5, height)} rx="1.5" className={series[number]!.fill} /> : null;
                })}
                {index % every === 0 && (
                  <text x={x + step / 2} y={HEIGHT + 16} textAnchor="middle" className="fill-muted text-[11px]">
                    {label}
                  </text>
                )}
              </g>
            );
          })}
        </svg>
        {shown && (
          <div className="pointer-events-none absolute top-0 right-0 rounded-lg border border-line bg-raised px-3 py-2 text-xs shadow-raised">
            <p className="font-medium">{shown.label}</p>
            {series.map((each, number) => (
              <p key={each.name} className="flex justify-between gap-4 text-muted">
                <span>{each.name}</span>
                <span className="tabular text-text">{whole(shown.values[number] ?? 0)}</span>
              </p>
            ))}
          </div>
        )}
      </div>
      <figcaption className="mt-2 flex flex-wrap gap-x-4 gap-y-1 text-sm text-muted">
        {series.map(({ name, dot }) => (
          <span key={name} className="inline-flex items-center gap-1.5">
            <span className={classes("size-2.5 rounded-sm", dot)} aria-hidden="true" />
            {name}
          </span>
        ))}
      </figcaption>
      <div className="sr-only"><table>
        <caption>{caption}</caption>
        <thead>
          <tr>
            <th scope="col">{t`Time`}</th>
            {series.map(({ name }) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {bars.map(({ label, values }) => (
            <tr key={label}>
              <th scope="row">{label}</th>
              {values.map((value, index) => (
                <td key={series[index]!.name}>{value}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table></div>
    </figure>
  );
}

/** Parts of a whole, in one bar. */
export function Share({ parts, label }: { parts: readonly { name: string; value: number; dot: string }[]; label: string }) {
  const total = parts.reduce((sum, { value }) => sum + value, 0);
  return (
    <div role="img" aria-label={`${label}: ${parts.map(({ name, value }) => `${name} ${value}`).join(", ")}`} className="flex h-2.5 gap-px overflow-hidden rounded-full bg-line">
      {total > 0 && parts.map(({ name, value, dot }) => value > 0 && <span key={name} className={classes("h-full transition-[width] duration-500", dot)} style={{ width: `${(value / total) * 100}%` }} />)}
    </div>
  );
}
