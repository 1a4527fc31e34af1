// The sandbox's phone beside the composer: what it received and answered before, and a line to answer as its owner.
import { useLingui } from "@lingui/react/macro";
import { useState } from "react";
import { useChange, useData } from "@/api/hooks";
import { useSession } from "@/api/session";
import { graphql } from "@/gql";
import { Button } from "@/ui/button";
import { Field } from "@/ui/fields";
import type { Said } from "@/ui/phone";
import { useProblemText } from "@/ui/states";
import { toast } from "@/ui/toast";

const Conversation = graphql(`
  query ComposeHandset($phone: String!) {
    handsetMessages(phone: $phone, first: 5) {
      nodes { inbound { id body } message { id body } }
    }
  }
`);
const Reply = graphql(`
  mutation ComposeReply($input: SimulateReplyInput!) {
    simulateReply(input: $input) {
      __typename
      ... on InboundMessage { id }
      ... on Error { code message param }
    }
  }
`);
const REFRESH_MS = 5000;

/** Return what was said on a phone of the sandbox, the oldest first; nothing in live mode. */
export function useConversation(phone: string): readonly Said[] {
  const { livemode } = useSession();
  const { data } = useData(Conversation, { phone }, { pause: livemode, every: REFRESH_MS });
  const said = (data?.handsetMessages.nodes ?? []).map(({ inbound, message }) =>
    inbound == null ? { id: message?.id ?? "", text: message?.body ?? "", isTheirs: false } : { id: inbound.id, text: inbound.body, isTheirs: true },
  );
  return livemode ? [] : said.reverse();
}

/** A line in which to answer as the owner of a phone of the sandbox. */
export function AnswerAs({ phone }: { phone: string }) {
  const { t } = useLingui();
  const { livemode } = useSession();
  const textOf = useProblemText();
  const reply = useChange(Reply);
  const [text, setText] = useState("");
  if (livemode) return null;
  const send = async () => {
    if (text.trim() === "") return;
    const { problem } = await reply.run({ input: { from: phone, body: text.trim() } });
    if (problem === null) setText("");
    else toast({ text: textOf(problem), tone: "danger" });
  };
  return (
    <form
      className="flex items-end gap-2 border-t border-line p-3"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <Field className="min-w-0 flex-1" label={t`Answer as ${phone}`} placeholder="STOP" value={text} onChange={setText} maxLength={1600} />
      <Button type="submit" size="icon" icon="right" aria-label={t`Send the answer`} isPending={reply.isRunning} isDisabled={text.trim() === ""} />
    </form>
  );
}
