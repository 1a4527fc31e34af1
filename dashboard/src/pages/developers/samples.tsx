import { Trans, useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useSession } from "@/api/session";
import { CopyButton } from "@/ui/copy";
import { Segmented } from "@/ui/fields";
import { Card } from "@/ui/show";
import { Code } from "./parts";
import { sampleOf, type Language, type Task } from "./samplecode";

const LANGUAGES = [
  { value: "curl", label: "curl" },
  { value: "python", label: "Python" },
  { value: "node", label: "Node.js" },
] as const satisfies readonly { value: Language; label: string }[];

export function Samples() {
  const { t } = useLingui();
  const { livemode } = useSession();
  const [language, setLanguage] = useState<Language>("curl");
  const tasks: readonly { task: Task; title: string }[] = [
    { task: "send", title: t`Send a message` },
    { task: "graphql", title: t`Ask GraphQL` },
    { task: "verify", title: t`Check a webhook's signature` },
  ];
  return (
    <div className="space-y-5">
      <div className="flex flex-wrap items-end justify-between gap-3">
        <p className="max-w-xl text-muted">
          <Trans>
            They call this service. Put a <Link to="/developers">key</Link> into MSVS_KEY first.
          </Trans>{" "}
          {livemode && t`With a live key this reaches a real phone.`}
        </p>
        <Segmented label={t`Language`} hideLabel choices={LANGUAGES} value={language} onChange={setLanguage} />
      </div>
      {tasks.map(({ task, title }) => {
        const code = sampleOf(task, language, location.origin);
        return code === null ? null : (
          <Card key={task} title={title} tools={<CopyButton text={code} label={t`Copy`} />}>
            <Code label={title}>{code}</Code>
          </Card>
        );
      })}
    </div>
  );
}
