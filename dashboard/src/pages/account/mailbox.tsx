// Where mail is to be looked for: in development, on a page of the service.
import { useLingui } from "@lingui/react/macro";
import { useEffect, useState } from "react";
import { ButtonAnchor } from "@/ui/button";

const MAILBOX = "/dev/mail";

/** A link to the mailbox of development; nothing where mail is really sent. */
export function MailboxLink({ size = "medium" }: { size?: "medium" | "small" }) {
  const { t } = useLingui();
  const [isThere, setThere] = useState(false);
  useEffect(() => {
    fetch(MAILBOX, { method: "HEAD" }).then(
      ({ ok }) => setThere(ok),
      () => undefined,
    );
  }, []);
  if (!isThere) return null;
  return (
    <ButtonAnchor href={MAILBOX} target="_blank" rel="noreferrer" size={size} icon="inbox" className="whitespace-normal!">
      {t`Open the mailbox`}
    </ButtonAnchor>
  );
}
