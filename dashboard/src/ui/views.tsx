// Saved views: the filters of a page under a name, for all members of the workspace.
import { Trans, useLingui } from "@lingui/react/macro";
import { useState } from "react";
import { useChange, useData } from "@/api/hooks";
import { useSession } from "@/api/session";
import { graphql } from "@/gql";
import type { SavedViewsOfQuery, ViewPage } from "@/gql/graphql";
import { Button } from "./button";
import { Confirm } from "./confirm";
import { Dialog } from "./dialog";
import { Field } from "./fields";
import { Icon } from "./icons";
import { isSame, kept, type Filters } from "./kept";
import { useProblemText } from "./states";
import { toast } from "./toast";

const ViewsData = graphql(`
  query SavedViewsOf($page: ViewPage!) { savedViews(page: $page) { id name filters version } }
`);
const Create = graphql(`
  mutation SaveViewOf($input: CreateSavedViewInput!) {
    createSavedView(input: $input) {
      __typename
      ... on SavedView { id name filters version }
      ... on Error { code message param }
    }
  }
`);
const Replace = graphql(`
  mutation ReplaceViewOf($id: ID!, $input: UpdateSavedViewInput!) {
    updateSavedView(id: $id, input: $input) {
      __typename
      ... on SavedView { id name filters version }
      ... on Error { code message param }
    }
  }
`);
const Delete = graphql(`
  mutation DeleteViewOf($id: ID!) {
    deleteSavedView(id: $id) {
      __typename
      ... on Error { code message }
    }
  }
`);

const LONGEST = 60;

type View = SavedViewsOfQuery["savedViews"][number];

export function SavedViews({ page, filters, onChoose }: { page: ViewPage; filters: Filters; onChoose: (filters: Filters) => void }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const { membership } = useSession();
  const mayWrite = membership !== null && membership.role !== "READ_ONLY";
  const { data, retry } = useData(ViewsData, { page });
  const remove = useChange(Delete);
  const [isSaving, setSaving] = useState(false);
  const [deleted, setDeleted] = useState<View | null>(null);
  const views = data?.savedViews ?? [];
  const hasFilters = Object.keys(kept(filters)).length > 0;
  const isKept = views.some((view) => isSame(view.filters, filters));
  const maySave = mayWrite && hasFilters && !isKept;
  if (views.length === 0 && !maySave) return null;
  return (
    <div role="group" aria-label={t`Saved views`} className="mb-4 flex flex-wrap items-center gap-2">
      {views.map((view) => {
        const isOpen = isSame(view.filters, filters);
        return (
          <span key={view.id} className={`inline-flex items-center rounded-full border text-sm ${isOpen ? "border-brand bg-brand-soft text-brand" : "border-line"}`}>
            <button type="button" aria-pressed={isOpen} className={`max-w-56 truncate rounded-full py-1 pl-3 ${mayWrite ? "pr-1" : "pr-3"}`} onClick={() => onChoose(isOpen ? {} : view.filters)}>
              {view.name}
            </button>
            {mayWrite && (
              <button type="button" aria-label={t`Delete the view ${view.name}`} className="rounded-r-full py-1.5 pr-2.5 pl-1.5" onClick={() => setDeleted(view)}>
                <Icon name="close" className="size-3.5" />
              </button>
            )}
          </span>
        );
      })}
      {maySave && <Button size="small" look="quiet" icon="plus" onPress={() => setSaving(true)}>{t`Save this view`}</Button>}
      {isSaving && <SaveDialog page={page} filters={filters} views={views} onClose={() => setSaving(false)} onStale={retry} />}
      {deleted !== null && (
        <Confirm
          isOpen
          onClose={() => setDeleted(null)}
          title={t`Delete the view “${deleted.name}”?`}
          action={t`Delete`}
          isPending={remove.isRunning}
          onConfirm={async () => {
            const { problem } = await remove.run({ id: deleted.id });
            setDeleted(null);
            if (problem !== null) toast({ text: textOf(problem), tone: "danger" });
            // What somebody else deleted meanwhile is gone, too.
            if (problem?.kind === "missing") retry();
          }}
        >
          <p>
            <Trans>It goes for all members of the workspace. What it shows stays.</Trans>
          </p>
        </Confirm>
      )}
    </div>
  );
}

interface SaveProps {
  page: ViewPage;
  filters: Filters;
  views: readonly View[];
  onClose: () => void;
  onStale: () => void;
}

function SaveDialog({ page, filters, views, onClose, onStale }: SaveProps) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const create = useChange(Create);
  const replace = useChange(Replace);
  const [name, setName] = useState("");
  const [refused, setRefused] = useState<string | null>(null);
  const called = name.trim();
  const taken = views.find((view) => view.name === called);
  const isRunning = create.isRunning || replace.isRunning;
  const save = async () => {
    if (called === "" || isRunning) return;
    const wanted = kept(filters);
    const { problem } =
      taken === undefined ? await create.run({ input: { page, name: called, filters: wanted } }) : await replace.run({ id: taken.id, input: { filters: wanted, version: taken.version } });
    if (problem === null) return onClose();
    setRefused(textOf(problem));
    // Somebody else saved, changed or deleted a view meanwhile.
    if (problem.kind === "missing" || /^(saved_view_exists|version_conflict)$/.test(problem.code)) onStale();
  };
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t`Save this view`}
      actions={
        <>
          <Button onPress={onClose}>{t`Not now`}</Button>
          <Button look="primary" isDisabled={called === ""} isPending={isRunning} onPress={() => void save()}>
            {taken === undefined ? t`Save` : t`Replace it`}
          </Button>
        </>
      }
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        <Field
          label={t`Name of the view`}
          hint={taken === undefined ? t`All members of the workspace see it.` : t`There is a view of this name. Saving gives it these filters.`}
          error={refused ?? undefined}
          value={name}
          onChange={(next) => {
            setName(next);
            setRefused(null);
          }}
          maxLength={LONGEST}
          autoFocus
        />
      </form>
    </Dialog>
  );
}
