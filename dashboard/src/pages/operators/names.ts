// The queues and the acts that the address may name.
export const QUEUES = ["messages", "campaigns", "reports", "webhooks", "mail", "billing", "imports", "maintenance"] as const;
export const ACTIONS = [
  "credits_granted", "workspace_held", "workspace_released", "route_added", "route_removed", "job_requeued", "changed",
  "signed_in", "sign_in_refused", "signed_out", "added", "reset", "disabled",
] as const;
export const SENDER_KINDS = ["long_code", "toll_free", "short_code", "alphanumeric"] as const;
