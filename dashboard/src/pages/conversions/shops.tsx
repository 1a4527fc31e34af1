import { Trans, useLingui } from "@lingui/react/macro";
import { useState, type FormEvent } from "react";
import { useChange, useData } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { graphql } from "@/gql";
import type { ShopListQuery } from "@/gql/graphql";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/confirm";
import { CopyButton } from "@/ui/copy";
import { Dialog } from "@/ui/dialog";
import { Field, Select } from "@/ui/fields";
import { Badge, Callout, Card, Count, Time } from "@/ui/show";
import { useProblemText } from "@/ui/states";
import { useIsAdmin, useTell } from "@/ui/tell";

const ShopList = graphql(`
  query ShopList {
    orderHooks(first: 20) { nodes { id type name hasSecret recorded ignored lastOrderAt } totalCount }
  }
`);
const Add = graphql(`
  mutation ShopAdd($input: CreateOrderHookInput!) {
    createOrderHook(input: $input) {
      __typename
      ... on CreatedOrderHook { url orderHook { id } }
      ... on Error { code message param }
    }
  }
`);
const Change = graphql(`
  mutation ShopChange($id: ID!, $input: UpdateOrderHookInput!) {
    updateOrderHook(id: $id, input: $input) {
      __typename
      ... on OrderHook { id name hasSecret }
      ... on Error { code message param }
    }
  }
`);
const Remove = graphql(`
  mutation ShopRemove($id: ID!) {
    deleteOrderHook(id: $id) {
      __typename
      ... on Deleted { id }
      ... on Error { code message param }
    }
  }
`);

type Shop = ShopListQuery["orderHooks"]["nodes"][number];

const SERVICES = { stripe: "Stripe", shopify: "Shopify" } as const;
const KINDS = [
  { value: "stripe", label: "Stripe" },
  { value: "shopify", label: "Shopify" },
] as const;

/** The shops that post their orders: each address is shown once, and the secret that signs is never shown. */
export function Shops() {
  const { t } = useLingui();
  const isAdmin = useIsAdmin();
  const tell = useTell();
  const shops = useData(ShopList, {}).data?.orderHooks.nodes;
  const add = useChange(Add);
  const remove = useChange(Remove);
  const [type, setType] = useState<"stripe" | "shopify">("stripe");
  const [url, setUrl] = useState<string | null>(null);
  const [signed, setSigned] = useState<Shop | null>(null);
  const [gone, setGone] = useState<Shop | null>(null);
  if (shops === undefined) return null;
  const nameOf = ({ name, type: kind }: Shop) => name ?? SERVICES[kind as "stripe"] ?? kind;
  return (
    <Card title={t`Shops`} className="mb-6">
      <p className="text-sm text-muted">
        <Trans>Shopify or your own Stripe account posts each order here. Orders of your contacts are recorded; all others are left out.</Trans>
      </p>
      <ul className="mt-3 divide-y divide-line">
        {shops.map((shop) => (
          <li key={shop.id} className="flex flex-wrap items-center gap-x-4 gap-y-2 py-3">
            <span className="min-w-40 flex-1 font-medium">{nameOf(shop)}</span>
            {!shop.hasSecret && <Badge tone="warn">{t`Needs its secret`}</Badge>}
            <span className="text-sm text-muted">
              <Trans>
                <Count value={shop.recorded} /> recorded, <Count value={shop.ignored} /> left out
              </Trans>
            </span>
            {shop.lastOrderAt != null && <span className="text-sm text-muted"><Time at={shop.lastOrderAt} /></span>}
            {isAdmin && (
              <span className="flex gap-2">
                <Button size="small" onPress={() => setSigned(shop)}>{t`Set secret`}</Button>
                <Button size="small" look="danger" onPress={() => setGone(shop)}>{t`Delete`}</Button>
              </span>
            )}
          </li>
        ))}
      </ul>
      {isAdmin && (
        <div className="mt-3 flex flex-wrap items-end gap-3">
          <Select label={t`Service`} choices={KINDS} value={type} onChange={setType} />
          <Button
            icon="plus"
            isPending={add.isRunning}
            onPress={async () => {
              const { done, problem } = await add.run({ input: { type } });
              if (done === null) tell(problem, "");
              else setUrl(done.url);
            }}
          >{t`Add a shop`}</Button>
        </div>
      )}
      <Dialog isOpen={url !== null} onClose={() => setUrl(null)} title={t`The address for your shop`} isAlert actions={<Button look="primary" onPress={() => setUrl(null)}>{t`I have entered it`}</Button>}>
        <div className="space-y-4">
          <Callout tone="warn">{t`It is shown this once.`}</Callout>
          <code className="block font-mono text-sm break-all">{url}</code>
          <CopyButton text={url ?? ""} label={t`Copy`} look="primary" />
          <p className="text-muted">
            <Trans>Enter it at the webhooks of your shop. Then set the secret that your shop shows: until then, nothing is taken.</Trans>
          </p>
        </div>
      </Dialog>
      {signed !== null && <Sign key={signed.id} shop={signed} title={nameOf(signed)} onClose={() => setSigned(null)} />}
      <Confirm
        isOpen={gone !== null}
        onClose={() => setGone(null)}
        title={t`Delete “${gone === null ? "" : nameOf(gone)}”?`}
        action={t`Delete`}
        isPending={remove.isRunning}
        onConfirm={async () => {
          if (gone !== null && tell((await remove.run({ id: gone.id })).problem, t`Deleted.`)) setGone(null);
        }}
      >
        <p>
          <Trans>Its address takes nothing any more. What was recorded stays.</Trans>
        </p>
      </Confirm>
    </Card>
  );
}

function Sign({ shop, title, onClose }: { shop: Shop; title: string; onClose: () => void }) {
  const { t } = useLingui();
  const tell = useTell();
  const textOf = useProblemText();
  const change = useChange(Change);
  const [secret, setSecret] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const isUnfit = problem?.param === "signingSecret" || problem?.param === "signing_secret";
  const save = async (event?: FormEvent) => {
    event?.preventDefault();
    if (secret.trim() === "") return;
    const found = (await change.run({ id: shop.id, input: { signingSecret: secret.trim() } })).problem;
    setProblem(found);
    if (found === null && tell(null, t`Saved.`)) onClose();
  };
  return (
    <Dialog isOpen onClose={onClose} title={title} actions={<Button look="primary" isPending={change.isRunning} isDisabled={secret.trim() === ""} onPress={() => void save()}>{t`Save`}</Button>}>
      <form onSubmit={(event) => void save(event)} className="space-y-4">
        <Field label={t`Signing secret`} type="password" autoComplete="off" hint={t`As your shop shows it beside the webhook. It is kept encrypted and never shown.`} value={secret} onChange={setSecret} error={isUnfit ? t`From 8 to 256 letters, digits and signs, without spaces.` : undefined} />
        {problem !== null && !isUnfit && <Callout tone="danger">{textOf(problem)}</Callout>}
      </form>
    </Dialog>
  );
}
