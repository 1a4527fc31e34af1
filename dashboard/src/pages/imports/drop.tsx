import { useLingui } from "@lingui/react/macro";
import { useId, useState } from "react";
import { classes } from "@/ui/classes";
import { Icon } from "@/ui/icons";

const KINDS = ".csv,.tsv,.txt,.xlsx,.gz,text/csv,text/plain,text/tab-separated-values,application/gzip,application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

/** Where a file is dropped or chosen, also by the keyboard. */
export function FileDrop({ label, hint, isBusy = false, onFile }: { label: string; hint: string; isBusy?: boolean; onFile: (file: File) => void }) {
  const { t } = useLingui();
  const id = useId();
  const [isOver, setOver] = useState(false);
  return (
    <label
      className={classes(
        "relative flex cursor-pointer flex-col items-center gap-1 rounded-2xl border-2 border-dashed px-4 py-10 text-center has-[:focus-visible]:outline-2 has-[:focus-visible]:outline-offset-2 has-[:focus-visible]:outline-brand",
        isOver ? "border-brand bg-brand-soft" : "border-line-strong bg-surface hover:bg-sunken",
      )}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        const [file] = event.dataTransfer.files;
        if (file !== undefined && !isBusy) onFile(file);
      }}
    >
      <span className="mb-3 flex size-14 items-center justify-center rounded-2xl bg-brand-soft text-brand">
        <Icon name="imports" className="size-7" />
      </span>
      <span className="font-medium">{label}</span>
      <span className="text-sm text-muted" id={id}>
        {isBusy ? t`Reading the file…` : hint}
      </span>
      <input
        type="file"
        accept={KINDS}
        disabled={isBusy}
        aria-label={label}
        aria-describedby={id}
        className="absolute inset-0 size-full cursor-pointer opacity-0"
        onChange={(event) => {
          const [file] = event.target.files ?? [];
          // The same file may be chosen again.
          event.target.value = "";
          if (file !== undefined) onFile(file);
        }}
      />
    </label>
  );
}
