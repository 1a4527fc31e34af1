import { Trans, useLingui } from "@lingui/react/macro";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import type { Problem } from "@/api/problems";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/confirm";
import { Dialog } from "@/ui/dialog";
import { Field, Select } from "@/ui/fields";
import { SearchField } from "@/ui/searchfield";
import { Callout, Card, PageHead } from "@/ui/show";
import { EmptyState, useProblemText } from "@/ui/states";
import { DataTable, type TableColumn } from "@/ui/table";
import { useTell } from "@/ui/tell";
import { useAct, useOps, type Way } from "./api";
import { SENDER_KINDS } from "./names";
import { List } from "./shared";

const ANY = "-";

export function RoutesPage() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const tell = useTell();
  const act = useAct();
  const { workspace } = useSearch({ from: "/operators/routes" });
  const reading = useOps<{ items: Way[]; carriers: string[] }>(`/routes${workspace === undefined ? "" : `?workspace=${encodeURIComponent(workspace)}`}`);
  const [isAdding, setAdding] = useState(false);
  const [removed, setRemoved] = useState<Way | null>(null);
  const kindName = useKindName();
  const columns = useMemo<TableColumn<Way>[]>(
    () => [
      { id: "preference", header: t`Order`, cell: (way) => way.preference, text: (way) => way.preference, isNumber: true },
      { id: "carrier", header: t`Carrier`, cell: (way) => <span className="font-medium">{way.carrier}</span>, text: (way) => way.carrier },
      { id: "regions", header: t`Regions`, cell: (way) => <span className="block max-w-60 truncate">{way.regions.length === 0 ? t`all` : way.regions.join(", ")}</span>, text: (way) => way.regions.join(" ") },
      { id: "sender", header: t`Sender`, cell: (way) => way.sender ?? (way.sender_kind === null ? t`any` : kindName(way.sender_kind)), text: (way) => way.sender ?? way.sender_kind, className: "hidden sm:table-cell" },
      { id: "price", header: t`Price a segment`, cell: (way) => way.price ?? "–", text: (way) => way.price, isNumber: true, className: "hidden md:table-cell" },
      { id: "remove", header: t`Remove`, cell: (way) => <Button size="small" aria-label={t`Remove the route to ${way.carrier}`} onPress={() => setRemoved(way)}>{t`Remove`}</Button> },
    ],
    [t, kindName],
  );
  const adding = <Button look="primary" icon="plus" isDisabled={reading.data === undefined} onPress={() => setAdding(true)}>{t`Add a route`}</Button>;
  const isFirst = reading.data?.items.length === 0 && workspace === undefined;
  const remove = async () => {
    const { problem } = await act.run("DELETE", `/routes/${removed!.id}`);
    tell(problem, t`The route is removed.`);
    reading.retry();
  };
  return (
    <>
      <PageHead title={t`Routes`} lead={<Trans>Which carrier takes which live messages: the lowest order first, then the lowest price. A workspace with routes of its own uses no shared one.</Trans>} actions={isFirst ? undefined : adding} />
      <div className="mb-4 max-w-sm">
        <SearchField label={t`Of a workspace`} placeholder="wsp_…" value={workspace ?? ""} onChange={(next) => void navigate({ to: "/operators/routes", search: next === "" ? {} : { workspace: next }, replace: true })} />
      </div>
      <List
        of={{ rows: reading.data?.items, problem: reading.problem, retry: reading.retry }}
        isFiltered={workspace !== undefined}
        onClear={() => void navigate({ to: "/operators/routes", search: {} })}
        empty={
          <Card>
            <EmptyState icon="segment" title={t`No shared route`} action={adding}>{t`Without one, live messages take the default carrier.`}</EmptyState>
          </Card>
        }
      >
        {(rows) => <DataTable label={t`Routes`} rows={rows} columns={columns} rowKey={(way) => way.id} fileName="routes" />}
      </List>
      {isAdding && <AddRoute workspace={workspace} carriers={reading.data?.carriers ?? []} onClose={() => setAdding(false)} onDone={reading.retry} />}
      <Confirm isOpen={removed !== null} onClose={() => setRemoved(null)} title={t`Remove this route?`} action={t`Remove`} isPending={act.isRunning} onConfirm={remove}>
        <p>{t`What is queued goes by the routes that are left.`}</p>
      </Confirm>
    </>
  );
}

function useKindName() {
  const { t } = useLingui();
  const names: Record<string, string> = { long_code: t`Long code`, toll_free: t`Toll-free`, short_code: t`Short code`, alphanumeric: t`Alphanumeric` };
  return (kind: string) => names[kind] ?? kind;
}

function AddRoute({ workspace, carriers, onClose, onDone }: { workspace: string | undefined; carriers: readonly string[]; onClose: () => void; onDone: () => void }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const tell = useTell();
  const act = useAct();
  const kindName = useKindName();
  const [carrier, setCarrier] = useState(carriers[0] ?? "");
  const [regions, setRegions] = useState("");
  const [sender, setSender] = useState("");
  const [kind, setKind] = useState(ANY);
  const [order, setOrder] = useState("100");
  const [price, setPrice] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const at = problem?.param?.split(/[.[]/)[0];
  const save = async () => {
    const { problem: found } = await act.run("POST", "/routes", {
      carrier,
      regions: regions.toUpperCase().split(/[\s,;]+/).filter(Boolean),
      preference: Number(order),
      ...(workspace !== undefined && { workspace }),
      ...(sender.trim() !== "" && { sender: sender.trim() }),
      ...(kind !== ANY && { sender_kind: kind }),
      ...(price.trim() !== "" && { price: price.trim().replace(",", ".") }),
    });
    setProblem(found);
    if (found !== null) return;
    tell(null, t`The route is added.`);
    onDone();
    onClose();
  };
  const errorOf = (name: string) => (at === name ? textOf(problem!) : undefined);
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t`Add a route`}
      actions={
        <>
          <Button onPress={onClose}>{t`Not now`}</Button>
          <Button look="primary" isDisabled={!/^-?\d{1,5}$/.test(order.trim())} isPending={act.isRunning} onPress={save}>{t`Add`}</Button>
        </>
      }
    >
      <form
        className="space-y-4"
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        {workspace !== undefined && <Callout tone="info">{t`Of ${workspace} alone. It then uses no shared route.`}</Callout>}
        <Select label={t`Carrier`} choices={carriers.map((each) => ({ value: each, label: each }))} value={carrier} onChange={setCarrier} error={errorOf("carrier")} />
        <Field label={t`Regions`} hint={t`ISO 3166-1 codes such as US, BR; empty for all.`} value={regions} onChange={setRegions} error={errorOf("regions")} />
        <Field label={t`Sender`} hint={t`Empty for any.`} value={sender} onChange={setSender} error={errorOf("sender")} />
        <Select label={t`Kind of sender`} choices={[{ value: ANY, label: t`Any` }, ...SENDER_KINDS.map((each) => ({ value: each as string, label: kindName(each) }))]} value={kind} onChange={setKind} error={errorOf("sender_kind")} />
        <div className="grid gap-4 sm:grid-cols-2">
          <Field label={t`Order`} hint={t`The lowest goes first.`} inputMode="numeric" value={order} onChange={setOrder} error={errorOf("preference")} />
          <Field label={t`Price a segment`} hint={t`Between equals the lowest goes first.`} inputMode="decimal" value={price} onChange={setPrice} error={errorOf("price")} />
        </div>
        {problem !== null && !["carrier", "regions", "sender", "sender_kind", "preference", "price"].includes(at ?? "") && <Callout tone="danger">{textOf(problem)}</Callout>}
        <button type="submit" hidden />
      </form>
    </Dialog>
  );
}
