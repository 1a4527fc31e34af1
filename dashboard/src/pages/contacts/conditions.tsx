// The editor of a segment's filter: groups within groups, conditions, and each of them turned around.
import { Trans, useLingui } from "@lingui/react/macro";
import type { ReactNode } from "react";
import { instantOf, localOf } from "@/pages/campaigns/times";
import { useStatusNames } from "@/status";
import { Button } from "@/ui/button";
import { Checkbox, Field, Segmented, Select } from "@/ui/fields";
import { useZone } from "@/ui/show";
import { newComparison, newEngagement, newGroup, newHasTag, newOnList, type Comparison, type Fields, type Group, type Item, type Mode } from "./filter";
import { useLists } from "./shared";
import { TagChoice } from "./tags";

const MAX_DEPTH = 4;
const MANY = new Set(["in", "not_in"]);

interface Shared<Kind extends Item> {
  item: Kind;
  fields: Fields;
  onChange: (item: Item) => void;
}

export function useFieldNames() {
  const { t } = useLingui();
  const fields: Record<string, string> = {
    first_name: t`First name`,
    last_name: t`Last name`,
    email: t`E-mail`,
    phone: t`Phone`,
    region: t`Region`,
    opt_in_status: t`Consent`,
    created_at: t`Added`,
    opt_in_at: t`Opted in at`,
  };
  const ops: Record<string, string> = {
    eq: t`is`,
    ne: t`is not`,
    in: t`is one of`,
    not_in: t`is none of`,
    contains: t`contains`,
    starts_with: t`starts with`,
    exists: t`is there`,
    gt: t`is more than`,
    gte: t`is at least`,
    lt: t`is less than`,
    lte: t`is at most`,
    before: t`is before`,
    after: t`is after`,
  };
  return { nameOf: (field: string) => fields[field] ?? field.replace(/^attributes\./, ""), opOf: (op: string) => ops[op] ?? op };
}

export function GroupEditor({ item: group, fields, onChange, depth = 1, onRemove, path = "" }: Shared<Group> & { depth?: number; onRemove?: () => void; path?: string }) {
  const { t } = useLingui();
  const lists = useLists();
  const modes = [
    { value: "all", label: t`All of these` },
    { value: "any", label: t`Any of these` },
  ] as const;
  const put = (items: Item[]) => onChange({ ...group, items });
  const add = (item: Item) => put([...group.items, item]);
  const replace = (next: Item) => put(group.items.map((each) => (each.key === next.key ? next : each)));
  const remove = (key: number) => put(group.items.filter((each) => each.key !== key));
  return (
    <div role="group" aria-label={path === "" ? t`Conditions` : t`Group ${path}`} className={depth === 1 ? "" : "rounded-xl border border-line bg-sunken p-3"}>
      <div className="flex flex-wrap items-center justify-between gap-2">
        <Segmented<Mode> label={t`Who meets`} hideLabel choices={modes} value={group.mode} onChange={(mode) => onChange({ ...group, mode })} />
        {onRemove !== undefined && (
          <span className="flex items-center gap-2">
            <Checkbox isSelected={group.isNot} onChange={(isNot) => onChange({ ...group, isNot })}>{t`Not`}</Checkbox>
            <Button size="icon" look="quiet" icon="close" aria-label={t`Remove group ${path}`} onPress={onRemove} />
          </span>
        )}
      </div>
      <ul className="mt-3 space-y-3">
        {group.items.map((each, index) => {
          const place = path === "" ? String(index + 1) : `${path}.${index + 1}`;
          return (
            <li key={each.key}>
              {each.kind === "group" ? (
                <GroupEditor item={each} fields={fields} onChange={replace} depth={depth + 1} onRemove={() => remove(each.key)} path={place} />
              ) : (
                <Condition item={each} fields={fields} onChange={replace} onRemove={() => remove(each.key)} place={place} />
              )}
            </li>
          );
        })}
      </ul>
      {group.items.length === 0 && (
        <p className="mt-3 text-sm text-muted">
          <Trans>Add a condition that contacts must meet.</Trans>
        </p>
      )}
      <div className="mt-3 flex flex-wrap gap-2">
        <Button size="small" icon="plus" onPress={() => fields[0] !== undefined && add(newComparison(fields[0]))}>{t`Field`}</Button>
        <Button size="small" icon="plus" isDisabled={lists.length === 0} onPress={() => add(newOnList(lists[0]?.id ?? ""))}>{t`On a list`}</Button>
        <Button size="small" icon="plus" onPress={() => add(newHasTag(""))}>{t`With a tag`}</Button>
        <Button size="small" icon="plus" onPress={() => add(newEngagement())}>{t`Messages`}</Button>
        {depth < MAX_DEPTH && <Button size="small" icon="plus" onPress={() => add(newGroup(group.mode === "all" ? "any" : "all"))}>{t`Group`}</Button>}
      </div>
    </div>
  );
}

function Condition({ item, fields, onChange, onRemove, place }: Shared<Exclude<Item, Group>> & { onRemove: () => void; place: string }) {
  const { t } = useLingui();
  let body: ReactNode;
  if (item.kind === "field") body = <ComparisonEditor item={item} fields={fields} onChange={onChange} />;
  else if (item.kind === "list") body = <ListEditor item={item} onChange={onChange} />;
  else if (item.kind === "tag") body = <TagChoice label={t`With the tag`} none={t`Choose a tag`} className="sm:col-span-3" value={item.tag === "" ? undefined : item.tag} onChange={(tag) => onChange({ ...item, tag: tag ?? "" })} />;
  else body = <EngagementEditor item={item} onChange={onChange} />;
  return (
    <div role="group" aria-label={t`Condition ${place}`} className="rounded-xl border border-line bg-surface p-3">
      <div className="grid gap-3 sm:grid-cols-3">{body}</div>
      <div className="mt-2 flex items-center justify-between gap-3">
        <Checkbox isSelected={item.isNot} onChange={(isNot) => onChange({ ...item, isNot })}>{t`Not`}</Checkbox>
        <Button size="small" look="quiet" aria-label={t`Remove condition ${place}`} onPress={onRemove}>{t`Remove`}</Button>
      </div>
    </div>
  );
}

function ComparisonEditor({ item, fields, onChange }: Shared<Comparison>) {
  const { t } = useLingui();
  const { nameOf, opOf } = useFieldNames();
  const known = fields.find(({ field }) => field === item.field);
  const ops = known?.ops ?? [];
  const choices = [...fields.map(({ field }) => ({ value: field, label: nameOf(field) })), ...(known === undefined ? [{ value: item.field, label: nameOf(item.field) }] : [])];
  return (
    <>
      <Select label={t`Field`} choices={choices} value={item.field} onChange={(next) => onChange({ ...newComparison(fields.find(({ field }) => field === next)!), key: item.key, isNot: item.isNot })} />
      <Select
        label={t`Comparison`}
        choices={(ops.includes(item.op) ? ops : [...ops, item.op]).map((op) => ({ value: op, label: opOf(op) }))}
        value={item.op}
        onChange={(op) => onChange({ ...item, op, ...(op === "exists" ? { value: "true" } : item.op === "exists" ? { value: "" } : {}) })}
      />
      <ValueEditor item={item} fields={fields} onChange={onChange} />
    </>
  );
}

function ValueEditor({ item, fields, onChange }: Shared<Comparison>) {
  const { t } = useLingui();
  const zone = useZone();
  const names = useStatusNames().optIns;
  const known = fields.find(({ field }) => field === item.field);
  const type = known?.type ?? "TEXT";
  const put = (value: string) => onChange({ ...item, value });
  if (item.op === "exists" || type === "BOOLEAN")
    return (
      <Select
        label={t`Value`}
        choices={[
          { value: "true", label: t`Yes` },
          { value: "false", label: t`No` },
        ]}
        value={item.value === "false" ? "false" : "true"}
        onChange={put}
      />
    );
  if (type === "CHOICE" && !MANY.has(item.op)) return <Select label={t`Value`} choices={(known?.values ?? []).map((value) => ({ value, label: names[value.toUpperCase() as keyof typeof names] ?? value }))} value={item.value} onChange={put} />;
  if (type === "TIME") return <Field label={t`Value`} type="datetime-local" value={item.value === "" ? "" : localOf(item.value, zone)} onChange={(next) => put(instantOf(next, zone) ?? "")} />;
  const often = (known?.values ?? []).slice(0, 3).join(", ");
  return (
    <Field
      label={t`Value`}
      type={type === "DATE" && !MANY.has(item.op) ? "date" : "text"}
      {...(type === "NUMBER" ? { inputMode: "decimal" as const } : {})}
      value={item.value}
      onChange={put}
      hint={MANY.has(item.op) ? t`Commas between them.` : often === "" ? undefined : t`Such as ${often}`}
    />
  );
}

function ListEditor({ item, onChange }: Pick<Shared<Extract<Item, { kind: "list" }>>, "item" | "onChange">) {
  const { t } = useLingui();
  const lists = useLists();
  return <Select label={t`On the list`} className="sm:col-span-3" choices={[...lists.map(({ id, name }) => ({ value: id, label: name })), ...(lists.some(({ id }) => id === item.list) ? [] : [{ value: item.list, label: item.list }])]} value={item.list} onChange={(list) => onChange({ ...item, list })} />;
}

function EngagementEditor({ item, onChange }: Pick<Shared<Extract<Item, { kind: "engagement" }>>, "item" | "onChange">) {
  const { t } = useLingui();
  const choices = [
    { value: "sent", label: t`Was sent` },
    { value: "delivered", label: t`Received` },
    { value: "replied", label: t`Replied to` },
  ];
  return (
    <>
      <Select label={t`Messages`} choices={choices} value={item.engagement} onChange={(engagement) => onChange({ ...item, engagement })} />
      <Field label={t`At least`} inputMode="numeric" value={item.atLeast} onChange={(atLeast) => onChange({ ...item, atLeast })} />
      <Field label={t`In the last days`} inputMode="numeric" value={item.days} onChange={(days) => onChange({ ...item, days })} hint={t`Ever, where it is left empty.`} />
    </>
  );
}
