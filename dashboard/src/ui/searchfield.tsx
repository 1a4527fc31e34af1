import { useEffect, useState } from "react";
import { Field } from "./fields";

const PAUSE_MS = 300;

/** A filter that takes effect a moment after the last key. */
export function SearchField({ label, value, onChange, placeholder, className, hint, maxLength }: { label: string; value: string; onChange: (value: string) => void; placeholder?: string; className?: string; hint?: string; maxLength?: number }) {
  const [typed, setTyped] = useState(value);
  useEffect(() => setTyped(value), [value]);
  useEffect(() => {
    if (typed.trim() === value) return undefined;
    const timer = setTimeout(() => onChange(typed.trim()), PAUSE_MS);
    return () => clearTimeout(timer);
    // The address follows what is typed, not what the page calls it by.
  }, [typed]);
  return <Field label={label} type="search" {...(hint === undefined ? {} : { hint })} {...(maxLength === undefined ? {} : { maxLength })} value={typed} onChange={setTyped} {...(placeholder === undefined ? {} : { placeholder })} className={className ?? ""} />;
}
