// Beside a text that is written: use a template, or keep the text as one.
import { Trans, useLingui } from "@lingui/react/macro";
import { lazy, Suspense, useState } from "react";
import { useMayWrite } from "@/pages/contacts/shared";
import { Button } from "@/ui/button";
import { toast } from "@/ui/toast";

const load = () => import("./pick");
const Pick = lazy(async () => ({ default: (await load()).PickTemplate }));
const Keep = lazy(async () => ({ default: (await load()).KeepTemplate }));

interface Props {
  body: string;
  onChange: (body: string) => void;
}

export function TemplateTools({ body, onChange }: Props) {
  const { t } = useLingui();
  const mayWrite = useMayWrite();
  const [open, setOpen] = useState<"pick" | "keep" | null>(null);
  const hasText = body.trim() !== "";
  const take = (text: string) => {
    setOpen(null);
    onChange(text);
    // A text that was written is not lost by a slip.
    if (hasText && text !== body) toast({ text: t`The template took the place of your text.`, tone: "info", action: { label: t`Undo`, act: () => onChange(body) } });
  };
  return (
    <div className="flex flex-wrap items-center gap-2">
      <Button size="small" icon="template" onPress={() => setOpen("pick")}>
        <Trans>Use a template</Trans>
      </Button>
      {mayWrite && (
        <Button size="small" look="quiet" isDisabled={!hasText} onPress={() => setOpen("keep")}>
          <Trans>Save as template</Trans>
        </Button>
      )}
      <Suspense>
        {open === "pick" && <Pick hasText={hasText} onPick={take} onClose={() => setOpen(null)} />}
        {open === "keep" && <Keep body={body} onClose={() => setOpen(null)} />}
      </Suspense>
    </div>
  );
}
