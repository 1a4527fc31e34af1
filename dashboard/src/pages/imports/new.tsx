import { Trans, useLingui } from "@lingui/react/macro";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { useClient } from "urql";
import { useChange } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { useSession } from "@/api/session";
import { graphql } from "@/gql";
import { useLists, useMayWrite } from "@/pages/contacts/shared";
import { Button, ButtonLink } from "@/ui/button";
import { TextArea } from "@/ui/fields";
import { Callout, Card, PageHead } from "@/ui/show";
import { EmptyState, useProblemText } from "@/ui/states";
import { FileDrop } from "./drop";
import { Steps } from "./steps";
import { upload } from "./upload";

const Create = graphql(`
  mutation PageCreateImport($input: CreateImportInput!) {
    createImport(input: $input) {
      __typename
      ... on ContactImport { ...ImportFull }
      ... on Error { code message param }
    }
  }
`);

// Phones of the sandbox, which deliver.
const EXAMPLE = "phone,first name\n+12125550142,Ana\n+12125550143,Kofi\n+12125550144,Mei";

const hasPhone = (line: string) => line.split(/[,;\t]/).some((cell) => cell.replace(/\D/g, "").length >= 7 && /^["'\s+\d().-]+$/.test(cell));

/** Whether the first of several columns' rows is a person, so that it would be taken for the titles. */
const lacksTitles = (text: string) => {
  const first = text.trimStart().split(/\r?\n/, 1)[0] ?? "";
  return /[,;\t]/.test(first) && hasPhone(first);
};

export function NewImportPage() {
  const { t } = useLingui();
  const { livemode } = useSession();
  const client = useClient();
  const navigate = useNavigate();
  const mayWrite = useMayWrite();
  const textOf = useProblemText();
  const { list } = useSearch({ from: "/shell/imports/new" });
  const name = useLists().find(({ id }) => id === list)?.name;
  const create = useChange(Create);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [isEmpty, setEmpty] = useState(false);
  const [text, setText] = useState("");
  const begin = async (file: File) => {
    setEmpty(file.size === 0);
    setProblem(null);
    if (file.size === 0) return;
    const { done, problem: found } = await create.run({ input: { fileName: file.name, dryRun: true, ...(list === undefined ? {} : { listId: list }) } });
    setProblem(found);
    if (done === null) return;
    void upload(client, done.id, file, 0);
    await navigate({ to: "/imports/$id", params: { id: done.id } });
  };
  const isUntitled = lacksTitles(text);
  return (
    <>
      <PageHead
        above={
          <Link to="/imports" className="mb-1 inline-block text-sm">
            {t`Imports`}
          </Link>
        }
        title={t`Import contacts`}
        lead={name === undefined ? t`Nothing changes until you have seen what would come of the file.` : t`They go on the list “${name}”. Nothing changes until you have seen what would come of the file.`}
      />
      {!mayWrite ? (
        <Card>
          <EmptyState icon="suppression" title={t`Your role reads only`} action={<ButtonLink to="/imports">{t`All imports`}</ButtonLink>}>
            <Trans>An owner, an admin or a member can import contacts.</Trans>
          </EmptyState>
        </Card>
      ) : (
        <>
          <Steps at="file" />
          <div className="max-w-3xl space-y-6">
            <FileDrop label={t`Drop a file here, or choose one`} hint={t`CSV in any encoding, or Excel (.xlsx), also as .gz, of at most 256 MB.`} isBusy={create.isRunning} onFile={(file) => void begin(file)} />
            {isEmpty && <Callout tone="danger">{t`The file is empty.`}</Callout>}
            {problem !== null && <Callout tone="danger">{textOf(problem)}</Callout>}
            <Card>
              <TextArea
                label={t`Or paste rows`}
                hint={t`As they are copied from a spreadsheet. The first row names the columns.`}
                placeholder={"phone,first name,email,plan\n+12125550142,Ana,ana@example.com,gold"}
                value={text}
                onChange={setText}
                rows={5}
              />
              {isUntitled && <div className="mt-3"><Callout tone="warn">{t`Let the first row name the columns, such as phone and first name. It would be lost otherwise.`}</Callout></div>}
              <div className="mt-4 flex flex-wrap gap-2">
                <Button look={text.trim() === "" ? "secondary" : "primary"} isDisabled={text.trim() === "" || isUntitled} isPending={create.isRunning} onPress={() => begin(new File([text.trimEnd(), "\n"], "pasted.csv", { type: "text/csv" }))}>
                  {t`Go on with these rows`}
                </Button>
                {!livemode && text === "" && <Button look="quiet" onPress={() => setText(EXAMPLE)}>{t`Fill in an example`}</Button>}
              </div>
            </Card>
          </div>
        </>
      )}
    </>
  );
}
