import { useLingui } from "@lingui/react/macro";
import { useState } from "react";
import { Button } from "./button";

const SHOWN_MS = 2000;

/** Copies a text, and says so for a moment. */
export function CopyButton({ text, label, look = "secondary" }: { text: string; label: string; look?: "primary" | "secondary" }) {
  const { t } = useLingui();
  const [isCopied, setCopied] = useState(false);
  return (
    <Button
      look={look}
      size="small"
      icon={isCopied ? "check" : "copy"}
      onPress={async () => {
        await navigator.clipboard.writeText(text);
        setCopied(true);
        setTimeout(() => setCopied(false), SHOWN_MS);
      }}
    >
      <span aria-live="polite">{isCopied ? t`Copied` : label}</span>
    </Button>
  );
}
