// Why messages were not delivered, in the reader's language: the service says it in English, with a stable code.
import { useLingui } from "@lingui/react/macro";

interface Failure {
  code: string;
  message: string;
}

/** Say why a message failed or was skipped; a code that is not known here, as the service says it. */
export function FailureText({ of: { code, message } }: { of: Failure }) {
  const { t } = useLingui();
  // As in FAILURES of msvs/api/resources.py, which tests/test_dashboard_texts.py holds them against.
  const texts: Record<string, string> = {
    invalid_number: t`The carrier says that the number does not exist.`,
    carrier_filtered: t`The carrier filtered the message as unwanted.`,
    unreachable: t`The handset could not be reached.`,
    carrier_rejected: t`The carrier refused the message.`,
    sender_rejected: t`The carrier refused the sender.`,
    sender_not_allowed: t`No sender that is the workspace's may be used for the recipient's region.`,
    no_route: t`No carrier takes messages to the recipient's region from this sender.`,
    insufficient_credits: t`The balance did not cover the message when it was due.`,
    recipient_opted_out: t`The recipient opted out.`,
    recipient_not_opted_in: t`The recipient has not opted in.`,
    recipient_unreachable: t`Messages to the recipient's number failed again and again.`,
    excluded_list: t`The recipient is on a list that the campaign excludes.`,
    excluded_segment: t`The recipient matches a segment that the campaign excludes.`,
    excluded_campaign: t`The recipient is one of a campaign that this one excludes.`,
    messaged_recently: t`The recipient got a message in the days that the campaign excludes.`,
    frequency_cap: t`The recipient got as many messages as a cap on messages to one contact allows.`,
    sequence_left: t`The contact left the sequence before the message was sent.`,
    recipient_deleted: t`The contact was deleted before the message was due.`,
    outcome_unknown: t`The carrier's answer was lost and no report came; the message was not sent again.`,
    expired: t`The message was not handed over before its expires_at.`,
    region_blocked: t`The number's region is blocked.`,
    region_not_enabled: t`The number's region is off until the workspace enables it.`,
    daily_cap_reached: t`The workspace's credits of the UTC day were used up when the message was due.`,
    number_type_blocked: t`Numbers of this kind are not sent to.`,
    variable_missing: t`A variable of the body has no value and no fallback.`,
    body_too_long: t`The rendered body is longer than 1600 characters.`,
    body_empty: t`The rendered body is blank.`,
  };
  return <>{texts[code] ?? message}</>;
}
