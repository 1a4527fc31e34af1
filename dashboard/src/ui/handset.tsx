// A phone of the sandbox: what was said on it, and a line to answer as its owner.
import { useLingui } from "@lingui/react/macro";
import { useState } from "react";
import { useChange } from "@/api/hooks";
import { useSession } from "@/api/session";
import { graphql } from "@/gql";
import { Button } from "./button";
import { Field } from "./fields";
import { useProblemText } from "./states";
import { toast } from "./toast";

const Reply = graphql(`
  mutation HandsetReply($input: SimulateReplyInput!) {
    simulateReply(input: $input) {
      __typename
      ... on InboundMessage { id }
      ... on Error { code message param }
    }
  }
`);

/** Return what sends a text as the owner of a phone of the sandbox, to one who wrote to it; whether it was sent. */
export function useAnswerAs(phone: string, to?: string) {
  const textOf = useProblemText();
  const reply = useChange(Reply);
  const send = async (body: string): Promise<boolean> => {
    const { problem } = await reply.run({ input: { from: phone, body, ...(to === undefined ? {} : { to }) } });
    if (problem !== null) toast({ text: textOf(problem), tone: "danger" });
    return problem === null;
  };
  return { send, isRunning: reply.isRunning };
}

/** A line in which to answer as the owner of a phone of the sandbox; nothing in live mode. */
export function AnswerAs({ phone, to }: { phone: string; to?: string | undefined }) {
  const { t } = useLingui();
  const { livemode } = useSession();
  const { send, isRunning } = useAnswerAs(phone, to);
  const [text, setText] = useState("");
  if (livemode) return null;
  const body = text.trim();
  return (
    <form
      className="flex items-end gap-2 border-t border-line p-3"
      onSubmit={(event) => {
        event.preventDefault();
        if (body !== "" && !isRunning) void send(body).then((isSent) => isSent && setText(""));
      }}
    >
      <Field className="min-w-0 flex-1" label={t`Answer as ${phone}`} placeholder="STOP" value={text} onChange={setText} maxLength={1600} />
      <Button type="submit" size="icon" icon="right" aria-label={t`Send the answer`} isPending={isRunning} isDisabled={body === ""} />
    </form>
  );
}
