// Who may decide about a campaign that waits for a second person, and why others may not.

export interface Asked {
  state: string;
  /** The id of a user or of an API key; null if unknown. */
  requestedBy: string | null;
}

export interface Decider {
  userId: string;
  isAdmin: boolean;
  /** Who made the key that asked, where a key did and it is known. */
  keyOwner: string | null;
}

/** Return why somebody may not decide about a campaign; null where they may. */
export function whyNot({ requestedBy }: Asked, { userId, isAdmin, keyOwner }: Decider): "role" | "own" | "own_key" | null {
  if (!isAdmin) return "role";
  if (requestedBy === userId) return "own";
  return requestedBy !== null && keyOwner === userId ? "own_key" : null;
}

/** Return whether a campaign needs an approval that it does not have. */
export const isUnapproved = (approval: { state: string } | null | undefined): boolean => approval != null && approval.state !== "approved";

interface Standing {
  status: string;
  pauseReason?: string | null;
  startedAt?: string | null;
  approval?: { state: string } | null;
}

/** Return whether a campaign can be changed: none of its messages is made, and nothing sets it going meanwhile. */
export const isEditable = ({ status, pauseReason, startedAt, approval }: Standing): boolean =>
  status === "DRAFT" || status === "SCHEDULED" || (status === "PAUSED" && (pauseReason === "approval_required" || (pauseReason === "manual" && (startedAt == null || isUnapproved(approval)))));

interface Told {
  type: string;
  createdAt: string;
  data: Record<string, unknown>;
}

export interface Moment {
  what: "asked" | "approved" | "rejected";
  at: string;
  who: string | null;
  comment: string | null;
  count: number | null;
}

const WHATS: Record<string, Moment["what"]> = { CAMPAIGN_APPROVAL_REQUESTED: "asked", CAMPAIGN_APPROVED: "approved", CAMPAIGN_REJECTED: "rejected" };

const textOf = (value: unknown): string | null => (typeof value === "string" ? value : null);

/** Return what was asked and decided, of a campaign's events, in their order. */
export function historyOf(events: readonly Told[]): Moment[] {
  return events.flatMap(({ type, createdAt, data }) => {
    const what = WHATS[type];
    if (what === undefined) return [];
    const approval = (data["approval"] ?? {}) as Record<string, unknown>;
    const count = approval["recipient_count"];
    return [{ what, at: createdAt, who: textOf(approval[what === "asked" ? "requested_by" : "decided_by"]), comment: textOf(approval["comment"]), count: typeof count === "number" ? count : null }];
  });
}
