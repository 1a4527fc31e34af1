// A table of counts: what came of rows or people, each with a hint, and their sum below.
import { classes } from "./classes";
import { Count } from "./show";

export interface CountPart {
  id: string;
  name: string;
  value: number;
  hint?: string;
  /** The color that stands for it in a chart above. */
  dot?: string;
}

interface Props {
  label: string;
  parts: readonly CountPart[];
  sum: CountPart;
  /** Counts of something else, below the sum. */
  more?: readonly CountPart[];
}

export function CountsTable({ label, parts, sum, more = [] }: Props) {
  return (
    <table className="w-full text-left" aria-label={label}>
      <tbody>
        {parts.map(({ id, name, hint, value, dot }) => (
          <tr key={id} data-count={id}>
            <th scope="row" className="border-b border-line py-2 pr-3 font-medium">
              <span className="flex items-center gap-2">
                {dot !== undefined && <span className={classes("size-2.5 shrink-0 rounded-sm", dot)} aria-hidden="true" />}
                {name}
              </span>
              <span className={classes("block text-sm font-normal text-muted", dot !== undefined && "pl-4.5")}>{hint}</span>
            </th>
            <td className="border-b border-line py-2 text-right text-lg font-semibold">
              <Count value={value} />
            </td>
          </tr>
        ))}
      </tbody>
      <tfoot>
        <tr data-count={sum.id}>
          <th scope="row" className="pt-3 pr-3 font-medium">{sum.name}</th>
          <td className="pt-3 text-right text-lg font-semibold">
            <Count value={sum.value} />
          </td>
        </tr>
        {more.map(({ id, name, value }) => (
          <tr key={id} data-count={id}>
            <th scope="row" className="pt-1 pr-3 font-normal text-muted">{name}</th>
            <td className="pt-1 text-right">
              <Count value={value} />
            </td>
          </tr>
        ))}
      </tfoot>
    </table>
  );
}
