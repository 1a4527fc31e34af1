import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useChange } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { useSession } from "@/api/session";
import { graphql } from "@/gql";
import { MessageBadge } from "@/status";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field, Segmented } from "@/ui/fields";
import { Callout } from "@/ui/show";
import { useProblemText } from "@/ui/states";
import type { MessageStatus } from "@/gql/graphql";

const SendTest = graphql(`
  mutation SendTest($id: ID!, $to: [String!]!, $variant: String) {
    sendCampaignTest(id: $id, to: $to, variant: $variant) {
      __typename
      ... on CampaignTest { messages { id to body status } }
      ... on Error { code message param }
    }
  }
`);
const NAMES: readonly string[] = [..."ABCDE"];
const SANDBOX_PHONE = "+14155550123";

export function TestSend({ id, variants, onClose }: { id: string; variants: number; onClose: () => void }) {
  const { t } = useLingui();
  const { livemode } = useSession();
  const textOf = useProblemText();
  const send = useChange(SendTest);
  const [variant, setVariant] = useState("A");
  const [phones, setPhones] = useState(livemode ? "" : SANDBOX_PHONE);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [sent, setSent] = useState<readonly { id: string; to: string; status: MessageStatus }[]>([]);
  const to = phones.split(/[\s,;]+/).filter((each) => each !== "");
  const go = async () => {
    const { done, problem: found } = await send.run({ id, to, variant: variants === 0 ? null : variant });
    setProblem(found);
    setSent(done?.messages ?? []);
  };
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t`Send a test`}
      actions={
        <>
          <Button onPress={onClose}>{sent.length > 0 ? t`Done` : t`Not now`}</Button>
          <Button look="primary" isDisabled={to.length === 0} isPending={send.isRunning} onPress={go}>{t`Send`}</Button>
        </>
      }
    >
      <div className="space-y-4">
        <p className="text-muted">
          <Trans>Phones of your own get the text as single messages. Variables take their fallbacks.</Trans>
        </p>
        {problem !== null && <Callout tone="danger">{textOf(problem)}</Callout>}
        {variants > 0 && <Segmented label={t`Variant`} choices={NAMES.slice(0, variants).map((value) => ({ value, label: value }))} value={variant} onChange={setVariant} />}
        <Field label={t`Phones`} hint={t`With country code; several by a comma.`} value={phones} onChange={setPhones} inputMode="tel" autoFocus />
        {sent.length > 0 && (
          <Callout tone="good">
            <p>
              <Plural value={sent.length} one="# message is on its way." other="# messages are on their way." />
            </p>
            <ul className="mt-1 space-y-1">
              {sent.map(({ id: key, to: phone, status }) => (
                <li key={key} className="flex items-center gap-2 tabular">
                  {phone} <MessageBadge status={status} />
                </li>
              ))}
            </ul>
            {!livemode && (
              <Link to="/handset" search={{ phone: sent[0]!.to }} target="_blank">
                <Trans>See it on the handset</Trans>
              </Link>
            )}
          </Callout>
        )}
      </div>
    </Dialog>
  );
}
