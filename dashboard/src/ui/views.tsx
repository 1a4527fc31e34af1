// Saved views: filters of a page under a name, kept in this browser for a workspace.
import { useLingui } from "@lingui/react/macro";
import { useState } from "react";
import { useSession } from "@/api/session";
import { Button } from "./button";
import { Dialog } from "./dialog";
import { Field } from "./fields";
import { Icon } from "./icons";
import { isSame, kept, MOST, readViews, type Filters, type View } from "./kept";

const LONGEST = 60;

export function SavedViews({ page, filters, onChoose }: { page: string; filters: Filters; onChoose: (filters: Filters) => void }) {
  const { t } = useLingui();
  const { membership, user } = useSession();
  const key = `msvs.views.${page}.${user.id}.${membership?.workspaceId ?? ""}`;
  const [views, setViews] = useState<readonly View[]>(() => readViews(localStorage.getItem(key)));
  const [name, setName] = useState<string | null>(null);
  const write = (next: readonly View[]) => {
    setViews(next);
    try {
      localStorage.setItem(key, JSON.stringify(next));
    } catch {
      // It holds for as long as the page is open then.
    }
  };
  const hasFilters = Object.keys(kept(filters)).length > 0;
  const isKept = views.some((view) => isSame(view.filters, filters));
  if (views.length === 0 && !hasFilters) return null;
  const save = () => {
    const called = (name ?? "").trim();
    if (called === "") return;
    write([...views.filter((view) => view.name !== called), { name: called, filters: kept(filters) }].slice(-MOST));
    setName(null);
  };
  return (
    <div role="group" aria-label={t`Saved views`} className="mb-4 flex flex-wrap items-center gap-2">
      {views.map((view) => {
        const isOpen = isSame(view.filters, filters);
        return (
          <span key={view.name} className={`inline-flex items-center rounded-full border text-sm ${isOpen ? "border-brand bg-brand-soft text-brand" : "border-line"}`}>
            <button type="button" aria-pressed={isOpen} className="max-w-56 truncate rounded-l-full py-1 pl-3" onClick={() => onChoose(isOpen ? {} : view.filters)}>
              {view.name}
            </button>
            <button type="button" aria-label={t`Delete the view ${view.name}`} className="rounded-r-full px-2 py-1" onClick={() => write(views.filter((each) => each !== view))}>
              <Icon name="close" className="size-3.5" />
            </button>
          </span>
        );
      })}
      {hasFilters && !isKept && <Button size="small" look="quiet" icon="plus" onPress={() => setName("")}>{t`Save this view`}</Button>}
      {name !== null && (
        <Dialog
          isOpen
          onClose={() => setName(null)}
          title={t`Save this view`}
          actions={
            <>
              <Button onPress={() => setName(null)}>{t`Not now`}</Button>
              <Button look="primary" isDisabled={name.trim() === ""} onPress={save}>{t`Save`}</Button>
            </>
          }
        >
          <form
            onSubmit={(event) => {
              event.preventDefault();
              save();
            }}
          >
            <Field label={t`Name of the view`} value={name} onChange={setName} maxLength={LONGEST} autoFocus />
          </form>
        </Dialog>
      )}
    </div>
  );
}
