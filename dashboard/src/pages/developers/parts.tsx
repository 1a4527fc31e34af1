// What the developers' pages share.
import { useLingui } from "@lingui/react/macro";
import { useEffect, useState, type ReactNode } from "react";
import { Button } from "@/ui/button";
import { CopyButton } from "@/ui/copy";
import { Dialog } from "@/ui/dialog";
import { Field } from "@/ui/fields";
import { Callout } from "@/ui/show";

/** A secret in the one moment in which it is shown; only the button closes it. */
export function ShownOnce({ secret, title, children, onClose }: { secret: string | null; title: string; children: ReactNode; onClose: () => void }) {
  const { t } = useLingui();
  return (
    <Dialog isOpen={secret !== null} onClose={onClose} title={title} isAlert actions={<Button look="primary" onPress={onClose}>{t`I have kept it`}</Button>}>
      <div className="space-y-4">
        <Callout tone="warn">{t`It is shown this once. Keep it where your secrets are; nobody can read it again.`}</Callout>
        <div className="rounded-xl border border-line bg-sunken p-3">
          <code className="block font-mono text-sm break-all">{secret}</code>
          <div className="mt-3">
            <CopyButton text={secret ?? ""} label={t`Copy`} look="primary" />
          </div>
        </div>
        <div className="text-muted">{children}</div>
      </div>
    </Dialog>
  );
}

/** A filter that is written: it holds at Enter, or when the field is left. */
export function TextFilter({ label, value, onChange, placeholder }: { label: string; value: string | undefined; onChange: (value: string | undefined) => void; placeholder?: string }) {
  const [text, setText] = useState(value ?? "");
  useEffect(() => setText(value ?? ""), [value]);
  const commit = () => {
    const next = text.trim() || undefined;
    if (next !== value) onChange(next);
  };
  return (
    <Field
      label={label}
      className="w-full sm:w-52"
      value={text}
      onChange={setText}
      onBlur={commit}
      onKeyDown={(event) => event.key === "Enter" && commit()}
      {...(placeholder === undefined ? {} : { placeholder })}
    />
  );
}

/** A block of code, which scrolls by the keyboard too. */
export function Code({ label, children }: { label: string; children: string }) {
  return (
    <pre tabIndex={0} role="region" aria-label={label} className="max-h-[28rem] overflow-auto rounded-xl border border-line bg-sunken p-4 font-mono text-sm leading-relaxed">
      {children}
    </pre>
  );
}
