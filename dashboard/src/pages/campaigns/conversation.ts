// What was said on the sandbox's phone beside the composer.
import { useData } from "@/api/hooks";
import { useSession } from "@/api/session";
import { graphql } from "@/gql";
import type { Said } from "@/ui/phone";

const Conversation = graphql(`
  query ComposeHandset($phone: String!) {
    handsetMessages(phone: $phone, first: 5) {
      nodes { inbound { id body } message { id body } }
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
