import { useEffect, useRef, type RefObject } from "react";
import { classes } from "./classes";

interface Props {
  label: string;
  tabs: readonly { value: string; label: string; count?: number | undefined }[];
  value: string;
  onChange: (value: string) => void;
}

/** Keep what is open of a row in view: as it changes, and again when a phone is turned. */
export function useInView(row: RefObject<HTMLElement | null>, open: string) {
  useEffect(() => {
    const nav = row.current;
    if (nav === null) return undefined;
    const observer = new ResizeObserver(() => {
      const current = nav.querySelector<HTMLElement>("[aria-current]");
      if (current !== null) nav.scrollLeft = current.offsetLeft - nav.offsetLeft - (nav.clientWidth - current.offsetWidth) / 2;
    });
    observer.observe(nav);
    return () => observer.disconnect();
  }, [row, open]);
}

/** Parts of a page that the address names. */
export function Tabs({ label, tabs, value, onChange }: Props) {
  const row = useRef<HTMLElement>(null);
  useInView(row, value);
  return (
    <nav ref={row} aria-label={label} className="mb-5 flex gap-1 overflow-x-auto border-b border-line">
      {tabs.map((each) => (
        <button
          key={each.value}
          type="button"
          aria-current={each.value === value ? "page" : undefined}
          onClick={() => onChange(each.value)}
          className={classes(
            "-mb-px border-b-2 px-3 py-2 whitespace-nowrap outline-offset-[-2px]",
            each.value === value ? "border-brand font-medium text-text" : "border-transparent text-muted hover:text-text",
          )}
        >
          {each.label}
          {each.count !== undefined && <span className="ml-1.5 text-sm text-muted tabular">{each.count}</span>}
        </button>
      ))}
    </nav>
  );
}
