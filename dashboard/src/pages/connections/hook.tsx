// The address that a tool posts people to: a secret, read when it is asked for, and hidden again.
import { Trans, useLingui } from "@lingui/react/macro";
import { useState } from "react";
import { useReadNow } from "@/api/hooks";
import { graphql } from "@/gql";
import { useMayWrite } from "@/pages/contacts/shared";
import { Button } from "@/ui/button";
import { CopyButton } from "@/ui/copy";
import { Callout, Card } from "@/ui/show";
import { toast } from "@/ui/toast";

const HookData = graphql(`
  query ConnectionHook($id: ID!) {
    contactList(id: $id) { id source { type hookUrl } }
  }
`);

export function HookCard({ id, isWaiting }: { id: string; isWaiting: boolean }) {
  const { t } = useLingui();
  const mayWrite = useMayWrite();
  const readNow = useReadNow();
  const [address, setAddress] = useState<string | null>(null);
  if (!mayWrite) return null;
  const show = async () => {
    const found = (await readNow(HookData, { id }))?.contactList?.source?.hookUrl ?? null;
    if (found === null) toast({ text: t`The address could not be read. Try it again.`, tone: "danger" });
    setAddress(found);
  };
  return (
    <Card title={t`Address to post people to`}>
      <div className="space-y-4">
        {isWaiting && <Callout tone="info">{t`The first people who are posted are only looked at. Their fields are shown here, for you to confirm; then post them again.`}</Callout>}
        {address === null ? (
          <Button onPress={() => void show()}>{t`Show the address`}</Button>
        ) : (
          <div className="rounded-xl border border-line bg-sunken p-3">
            <code className="block font-mono text-sm break-all" data-hook>
              {address}
            </code>
            <div className="mt-3 flex flex-wrap gap-2">
              <CopyButton text={address} label={t`Copy`} look="primary" />
              <Button size="small" look="quiet" onPress={() => setAddress(null)}>{t`Hide`}</Button>
            </div>
          </div>
        )}
        <p className="text-sm text-muted">
          <Trans>It is a secret: anyone who has it may post people. Zapier and Make post to it with their webhook steps, as JSON or as a form.</Trans>
        </p>
      </div>
    </Card>
  );
}
