// Lines over time on a canvas, by uPlot, which is loaded where one is shown; the numbers stand in a table beside it.
import { useLingui } from "@lingui/react/macro";
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { useTheme } from "@/theme";
import { timesOf } from "./formats";
import { useZone } from "./show";

interface Props {
  caption: string;
  /** Seconds since 1970. */
  times: readonly number[];
  values: readonly (readonly number[])[];
  series: readonly { name: string; color: `--${string}` }[];
  height?: number;
}

export default function Series({ caption, times, values, series, height = 224 }: Props) {
  const { t, i18n } = useLingui();
  const zone = useZone();
  const theme = useTheme();
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const data = useRef<uPlot.AlignedData>([[], []]);
  data.current = [times as number[], ...values.map((each) => each as number[])];
  const names = series.map(({ name }) => name).join("|");
  useEffect(() => {
    const node = place.current!;
    const draw = () => {
      const styles = getComputedStyle(node);
      // A computed custom property keeps light-dark(): a probe resolves it.
      const probe = node.appendChild(document.createElement("span"));
      const colorOf = (name: string) => {
        probe.style.color = `var(${name})`;
        return getComputedStyle(probe).color;
      };
      const muted = colorOf("--muted");
      const line = colorOf("--line");
      const axis = { stroke: muted, grid: { stroke: line, width: 1 }, ticks: { show: false }, font: `12px ${styles.fontFamily}` };
      const options: uPlot.Options = {
        width: Math.max(200, node.clientWidth),
        height,
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone),
        cursor: { points: { size: 7 } },
        legend: { live: true },
        scales: { y: { range: (_plot, _low, high) => [0, Math.max(4, high * 1.1)] } },
        axes: [axis, { ...axis, size: 44 }],
        // Half of the last time's label stands right of the plot.
        padding: [null, 28, null, null],
        series: [{ label: t`Time` }, ...series.map(({ name, color }) => ({ label: name, stroke: colorOf(color), width: 2, points: { show: false } }))],
      };
      probe.remove();
      plot.current?.destroy();
      plot.current = new uPlot(options, data.current, node);
    };
    draw();
    const resized = new ResizeObserver(() => plot.current?.setSize({ width: Math.max(200, node.clientWidth), height }));
    resized.observe(node);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", draw);
    return () => {
      resized.disconnect();
      scheme.removeEventListener("change", draw);
      plot.current?.destroy();
      plot.current = null;
    };
    // The effect below redraws the lines.
    // oxlint-disable-next-line react-hooks/exhaustive-deps
  }, [names, zone, theme, height, i18n.locale]);
  useEffect(() => plot.current?.setData(data.current), [times, values]);
  return (
    <figure>
      <div ref={place} className="min-w-0 overflow-hidden text-sm [&_.u-legend]:text-left [&_.u-legend]:text-muted" aria-hidden="true" />
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
          {times.map((time, row) => (
            <tr key={time}>
              <th scope="row">{timesOf(i18n.locale, { timeStyle: "short", dateStyle: "short", timeZone: zone }).format(time * 1000)}</th>
              {values.map((column, index) => (
                <td key={series[index]!.name}>{column[row]}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table></div>
    </figure>
  );
}
