// What a user is told until the address is confirmed.
import { Trans, useLingui } from "@lingui/react/macro";
import { useState } from "react";
import { send } from "@/api/client";
import { problemOfResult } from "@/api/problems";
import { graphql } from "@/gql";
import type { DashboardResendConfirmationMutation } from "@/gql/graphql";
import { Button } from "@/ui/button";
import { useProblemText } from "@/ui/states";
import { toast } from "@/ui/toast";
import { thrownProblem } from "./frame";
import { MailboxLink } from "./mailbox";

const Resend = graphql(`
  mutation DashboardResendConfirmation {
    resendConfirmation {
      __typename
      ... on RateLimitError { retryAfter }
      ... on Error { code message }
    }
  }
`);

/** Send the link once more; what came of it is said at the edge of the page. */
export function ResendButton({ size = "medium" }: { size?: "medium" | "small" }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const [isSending, setSending] = useState(false);
  const resend = async () => {
    setSending(true);
    try {
      const { resendConfirmation } = await send<DashboardResendConfirmationMutation>(Resend, {});
      const problem = problemOfResult(resendConfirmation);
      if (problem !== null) toast({ text: textOf(problem), tone: "danger" });
      else toast({ text: t`The link is on its way again.` });
    } catch (error) {
      toast({ text: textOf(thrownProblem(error)), tone: "danger" });
    } finally {
      setSending(false);
    }
  };
  return <Button size={size} onPress={resend} isPending={isSending}>{t`Send the link again`}</Button>;
}

export function Unconfirmed({ email }: { email: string }) {
  const { t } = useLingui();
  return (
    <section aria-label={t`Confirm your address`} className="flex flex-wrap items-center justify-center gap-x-4 gap-y-2 border-b border-line bg-warn-soft px-4 py-2 text-sm text-warn">
      <p className="max-w-full break-words">
        <Trans>
          Open the link that we sent to <strong>{email}</strong>. Until then you work in the sandbox, and invite nobody.
        </Trans>
      </p>
      <ResendButton size="small" />
      <MailboxLink size="small" />
    </section>
  );
}
