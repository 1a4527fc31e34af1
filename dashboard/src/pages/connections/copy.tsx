import { useLingui } from "@lingui/react/macro";
import { useState } from "react";
import { Button } from "@/ui/button";

export function CopyButton({ text, label }: { text: string; label: string }) {
  const { t } = useLingui();
  const [isCopied, setCopied] = useState(false);
  return (
    <Button
      look="primary"
      size="small"
      icon={isCopied ? "check" : "copy"}
      onPress={async () => {
        await navigator.clipboard.writeText(text);
        setCopied(true);
        setTimeout(() => setCopied(false), 2000);
      }}
    >
      <span aria-live="polite">{isCopied ? t`Copied` : label}</span>
    </Button>
  );
}
