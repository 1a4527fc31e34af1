// The table of all lists: rows by the keyboard, only those seen are drawn, columns to choose, what is shown as CSV.
import { useLingui } from "@lingui/react/macro";
import { columnVisibilityFeature, createColumnHelper, tableFeatures, useTable } from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useEffect, useLayoutEffect, useMemo, useRef, useState, useSyncExternalStore, type KeyboardEvent, type ReactNode, type RefObject } from "react";
import { Button as AriaButton, Menu, MenuItem, MenuTrigger, Popover } from "react-aria-components";
import { Button } from "./button";
import { classes } from "./classes";
import { Icon } from "./icons";
import { useNumbers } from "./show";

export interface TableColumn<Row> {
  id: string;
  header: string;
  cell: (row: Row) => ReactNode;
  /** The value in a CSV file; the column is left out of it without one. */
  text?: (row: Row) => string | number | null | undefined;
  isNumber?: boolean;
  /** Classes of its cells, such as `hidden md:table-cell` or `w-40`. */
  className?: string;
  /** Whether it shows only once it is chosen. */
  isExtra?: boolean;
  /** Whether phones show it below the first column, and not beside it. */
  isUnder?: boolean;
}

export interface TableProps<Row> {
  label: string;
  rows: readonly Row[];
  columns: readonly TableColumn<Row>[];
  rowKey: (row: Row) => string;
  /** What Enter and a click do. */
  onOpen?: (row: Row) => void;
  selected?: ReadonlySet<string>;
  onSelect?: (selected: ReadonlySet<string>) => void;
  totalCount?: number | undefined;
  hasMore?: boolean;
  onMore?: () => void;
  isLoading?: boolean;
  /** The name of the CSV file; no button without it. */
  fileName?: string;
  tools?: ReactNode;
}

const features = tableFeatures({ columnVisibilityFeature });
const ROW_PX = { comfortable: 53, dense: 39 } as const;
const OVERSCAN = 6;
const ALL_DRAWN = 60;
const DENSITY = "msvs.density";
const STEPS: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };

const NARROW = "(width < 40rem)";
const isNarrowNow = () => matchMedia(NARROW).matches;
const onNarrow = (hear: () => void) => {
  const media = matchMedia(NARROW);
  media.addEventListener("change", hear);
  return () => media.removeEventListener("change", hear);
};

/** A formula would run in a spreadsheet: a cell that begins like one is quoted. */
const csvCell = (value: string | number | null | undefined): string => {
  const text = value == null ? "" : String(value);
  const safe = /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};

export function toCsv<Row>(rows: readonly Row[], columns: readonly TableColumn<Row>[]): string {
  const kept = columns.filter(({ text }) => text !== undefined);
  const lines = [kept.map(({ header }) => csvCell(header)), ...rows.map((row) => kept.map(({ text }) => csvCell(text!(row))))];
  return lines.map((line) => line.join(",")).join("\r\n") + "\r\n";
}

function download(name: string, content: string) {
  const url = URL.createObjectURL(new Blob(["\ufeff", content], { type: "text/csv;charset=utf-8" }));
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  URL.revokeObjectURL(url);
}

/** What a row does; the newest of each, so that a row that stays as it is need not be drawn again. */
interface Acts<Row> {
  hear: (event: KeyboardEvent, row: Row) => void;
  toggle: (key: string) => void;
  open: ((row: Row) => void) | undefined;
  setActive: (index: number) => void;
}

interface RowProps<Row> {
  id: string;
  index: number;
  row: Row;
  /** Those that are shown. */
  columns: readonly TableColumn<Row>[];
  /** Those that are shown below the first of them. */
  under: readonly TableColumn<Row>[];
  isActive: boolean;
  /** Undefined where rows are not chosen. */
  isChosen: boolean | undefined;
  hasBox: boolean;
  isOpened: boolean;
  padding: string;
  acts: RefObject<Acts<Row>>;
}

function DrawnRow<Row>({ id, index, row, columns, under, isActive, isChosen, hasBox, isOpened, padding, acts }: RowProps<Row>) {
  const { t } = useLingui();
  return (
    <tr
      data-row={index}
      aria-rowindex={index + 1}
      {...(isChosen === undefined ? {} : { "aria-selected": isChosen })}
      tabIndex={isActive ? 0 : -1}
      onFocus={() => acts.current.setActive(index)}
      onKeyDown={(event) => acts.current.hear(event, row)}
      onClick={(event) => {
        if (!(event.target as Element).closest("a, button, input, label")) acts.current.open?.(row);
      }}
      className={classes("outline-offset-[-2px] [&:last-child>td]:border-0", isOpened && "cursor-pointer", isChosen ? "bg-brand-soft" : "hover:bg-sunken")}
    >
      {hasBox && (
        <td className="border-b border-line pl-4">
          <input type="checkbox" tabIndex={-1} className="size-4 accent-brand" aria-label={t`Select`} checked={isChosen ?? false} onChange={() => acts.current.toggle(id)} />
        </td>
      )}
      {columns.map((column, at) => (
        <td key={column.id} className={classes("border-b border-line px-4 align-middle max-sm:px-3 max-[22.5rem]:px-2 max-sm:[&_time]:whitespace-normal", padding, column.isNumber && "text-right tabular", column.className)}>
          {column.cell(row)}
          {at === 0 &&
            under.map((each) => (
              <div key={each.id} className="mt-1 text-sm">
                {each.cell(row)}
              </div>
            ))}
        </td>
      ))}
    </tr>
  );
}

// While a table scrolls, only the rows that come into view are drawn.
const TableRow = memo(DrawnRow) as typeof DrawnRow;

interface BodyProps<Row> extends Pick<TableProps<Row>, "rows" | "rowKey" | "columns"> {
  under: readonly TableColumn<Row>[];
  selected: ReadonlySet<string> | undefined;
  onSelect: ((selected: ReadonlySet<string>) => void) | undefined;
  onOpen: ((row: Row) => void) | undefined;
  hasMore: boolean;
  onMore: (() => void) | undefined;
  isLoading: boolean;
  isDense: boolean;
  isVirtual: boolean;
  scroller: HTMLElement | null;
}

/** The rows: drawn by themselves while they scroll, without what stands around them. */
function Body<Row>({ rows, rowKey, columns, under, selected, onSelect, onOpen, hasMore, onMore, isLoading, isDense, isVirtual, scroller }: BodyProps<Row>) {
  const body = useRef<HTMLTableSectionElement>(null);
  const [active, setActive] = useState(0);
  const [isMoving, setMoving] = useState(false);
  const guess = isDense ? ROW_PX.dense : ROW_PX.comfortable;
  const [rowPx, setRowPx] = useState<number>(guess);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller,
    estimateSize: () => rowPx,
    overscan: OVERSCAN,
    enabled: isVirtual,
  });
  useEffect(() => virtual.measure(), [rowPx, virtual]);
  const items = isVirtual ? virtual.getVirtualItems() : rows.map((_row, index) => ({ index, start: 0, end: 0 }));
  const above = isVirtual ? (items[0]?.start ?? 0) : 0;
  const below = isVirtual ? virtual.getTotalSize() - (items.at(-1)?.end ?? 0) : 0;
  const isDrawn = isVirtual && items.length > 0;
  // Rows of two lines are higher than those of one: what stands for the rows that are not drawn is as high as they would be.
  useLayoutEffect(() => {
    const drawn = [...(body.current?.querySelectorAll("tr[data-row]") ?? [])].map((row) => row.getBoundingClientRect().height);
    if (isDrawn && drawn.length > 0) setRowPx(Math.round(drawn.reduce((sum, height) => sum + height, 0) / drawn.length) || guess);
  }, [isDrawn, guess, columns.length]);
  const lastSeen = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (hasMore && !isLoading && isVirtual && lastSeen >= rows.length - 10) onMore?.();
  }, [hasMore, isLoading, isVirtual, lastSeen, rows.length, onMore]);
  useEffect(() => {
    const row = isMoving ? body.current?.querySelector<HTMLElement>(`[data-row="${active}"]`) : null;
    // One far away is drawn once it is scrolled to.
    if (row == null) return;
    row.focus();
    setMoving(false);
  }, [active, isMoving, items]);
  // Where the keyboard enters: the row that was left, or the first in view where that has been scrolled away.
  const left = Math.min(active, rows.length - 1);
  const entry = items.some(({ index }) => index === left) ? left : items[Math.min(items[0]?.index === 0 ? 0 : OVERSCAN, items.length - 1)]?.index;
  const width = columns.length + (onSelect === undefined ? 0 : 1);
  const toggle = (key: string) => {
    const next = new Set(selected);
    if (!next.delete(key)) next.add(key);
    onSelect?.(next);
  };
  const hear = (event: KeyboardEvent, row: Row) => {
    if (event.target !== event.currentTarget) return;
    const step = STEPS[event.key];
    if (step !== undefined) {
      event.preventDefault();
      const next = Math.max(0, Math.min(rows.length - 1, active + step));
      setActive(next);
      setMoving(true);
      if (isVirtual) virtual.scrollToIndex(next);
    } else if (event.key === "Enter") onOpen?.(row);
    else if (event.key === " " && onSelect !== undefined) {
      event.preventDefault();
      toggle(rowKey(row));
    }
  };
  const acts = useRef<Acts<Row>>({ hear, toggle, open: onOpen, setActive });
  acts.current = { hear, toggle, open: onOpen, setActive };
  const padding = isDense ? "py-2" : "py-3.5";
  return (
    <tbody ref={body}>
      {above > 0 && (
        <tr aria-hidden="true">
          <td colSpan={width} style={{ height: above }} />
        </tr>
      )}
      {items.map(({ index }) => {
        const row = rows[index];
        if (row === undefined) return null;
        const id = rowKey(row);
        return (
          <TableRow
            key={id}
            id={id}
            index={index}
            row={row}
            columns={columns}
            under={under}
            isActive={index === entry}
            isChosen={selected === undefined ? undefined : selected.has(id)}
            hasBox={onSelect !== undefined}
            isOpened={onOpen !== undefined}
            padding={padding}
            acts={acts}
          />
        );
      })}
      {below > 0 && (
        <tr aria-hidden="true">
          <td colSpan={width} style={{ height: below }} />
        </tr>
      )}
    </tbody>
  );
}

export function DataTable<Row>(props: TableProps<Row>) {
  const { label, rows, columns, rowKey, onOpen, selected, onSelect, totalCount, hasMore = false, onMore, isLoading = false, fileName, tools } = props;
  const { t } = useLingui();
  const { whole } = useNumbers();
  const shownCount = whole(rows.length);
  const allCount = whole(totalCount ?? rows.length);
  const [isDense, setDense] = useState(() => localStorage.getItem(DENSITY) === "dense");
  const [columnVisibility, setVisibility] = useState<Record<string, boolean>>(() => Object.fromEntries(columns.filter(({ isExtra }) => isExtra).map(({ id }) => [id, false])));
  const defined = useMemo(() => {
    const helper = createColumnHelper<typeof features, Row & object>();
    return helper.columns(columns.map((each) => helper.display({ id: each.id, header: each.header, cell: ({ row }) => each.cell(row.original) })));
  }, [columns]);
  const table = useTable({
    features,
    columns: defined,
    data: rows as readonly (Row & object)[],
    getRowId: rowKey,
    state: { columnVisibility },
    onColumnVisibilityChange: setVisibility as never,
  });
  // As state: the body, which is drawn before, has to hear of it.
  const [scroller, setScroller] = useState<HTMLDivElement | null>(null);
  const isVirtual = rows.length > ALL_DRAWN;

  const shown = useMemo(() => columns.filter(({ id }) => columnVisibility[id] !== false), [columns, columnVisibility]);
  const isNarrow = useSyncExternalStore(onNarrow, isNarrowNow);
  const [beside, under] = useMemo(() => [shown.filter(({ isUnder }) => !isUnder || !isNarrow), shown.filter(({ isUnder }) => isUnder && isNarrow)], [shown, isNarrow]);
  const byId = new Map(columns.map((each) => [each.id, each]));
  const areAll = selected !== undefined && rows.length > 0 && rows.every((row) => selected.has(rowKey(row)));
  return (
    <div>
      <div className="mb-3 flex flex-wrap items-center gap-2">
        <p className="mr-auto text-sm text-muted tabular" aria-live="polite">
          {totalCount === undefined || totalCount === rows.length ? t`${shownCount} shown` : t`${shownCount} of ${allCount} shown`}
        </p>
        {tools}
        <MenuTrigger>
          <AriaButton className="inline-flex min-h-8 items-center gap-1.5 rounded-lg px-2.5 text-sm text-muted hover:bg-sunken">
            {t`View`} <Icon name="down" className="size-4" />
          </AriaButton>
          <Popover placement="bottom end" className="min-w-52 rounded-xl border border-line bg-raised p-1 shadow-raised">
            <Menu
              aria-label={t`View`}
              selectionMode="multiple"
              selectedKeys={[...shown.map(({ id }) => id), ...(isDense ? ["*dense"] : [])]}
              onSelectionChange={(keys) => {
                const has = (id: string) => keys === "all" || keys.has(id);
                setDense(has("*dense"));
                localStorage.setItem(DENSITY, has("*dense") ? "dense" : "comfortable");
                setVisibility(Object.fromEntries(columns.map(({ id }, index) => [id, index === 0 || has(id)])));
              }}
              className="max-h-96 overflow-auto outline-none"
            >
              {[...columns.slice(1).map(({ id, header }) => ({ id, name: header })), { id: "*dense", name: t`Dense rows` }].map(({ id, name }) => (
                <MenuItem key={id} id={id} textValue={name} className="flex cursor-pointer items-center justify-between gap-3 rounded-md px-3 py-1.5 outline-none data-[focused]:bg-brand-soft">
                  {({ isSelected }) => (
                    <>
                      {name}
                      {isSelected && <Icon name="check" className="size-4 text-brand" />}
                    </>
                  )}
                </MenuItem>
              ))}
            </Menu>
          </Popover>
        </MenuTrigger>
        {fileName !== undefined && (
          <Button size="small" look="quiet" className="max-sm:hidden" onPress={() => download(`${fileName}.csv`, toCsv(rows, columns))}>
            CSV
          </Button>
        )}
      </div>
      <div ref={setScroller} className={classes("relative overflow-auto rounded-2xl border border-line bg-surface", isVirtual && "max-h-[calc(100dvh-14rem)] min-h-80")} {...(isVirtual ? {} : { tabIndex: -1 })}>
        <table role="grid" aria-label={label} aria-rowcount={totalCount ?? rows.length} className="w-full text-left">
          <thead className="sticky top-0 z-10">
            {table.getHeaderGroups().map((group) => (
              <tr key={group.id}>
                {onSelect !== undefined && (
                  <th scope="col" className="w-10 border-b border-line bg-sunken py-2.5 pl-4">
                    <input type="checkbox" className="size-4 accent-brand" aria-label={t`Select all that are shown`} checked={areAll} onChange={() => onSelect(areAll ? new Set() : new Set(rows.map(rowKey)))} />
                  </th>
                )}
                {group.headers.map((header) => {
                  const column = byId.get(header.column.id)!;
                  if (!beside.includes(column)) return null;
                  return (
                    <th key={header.id} scope="col" className={classes("border-b border-line bg-sunken px-4 py-2.5 text-sm font-medium whitespace-nowrap text-muted max-sm:px-3 max-[22.5rem]:px-2", column.isNumber && "text-right", column.className)}>
                      {column.header}
                    </th>
                  );
                })}
              </tr>
            ))}
          </thead>
          <Body
            rows={rows}
            rowKey={rowKey}
            columns={beside}
            under={under}
            selected={selected}
            onSelect={onSelect}
            onOpen={onOpen}
            hasMore={hasMore}
            onMore={onMore}
            isLoading={isLoading}
            isDense={isDense}
            isVirtual={isVirtual}
            scroller={scroller}
          />
        </table>
      </div>
      {hasMore && onMore !== undefined && (
        <div className="mt-4 text-center">
          <Button onPress={onMore} isPending={isLoading}>{t`Show more`}</Button>
        </div>
      )}
    </div>
  );
}
