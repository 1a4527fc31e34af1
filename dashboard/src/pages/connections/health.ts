// How a connection stands, told from its source and its newest sync.
import type { SourceStatus, SyncStatus } from "@/gql/graphql";

/** What a worker has to do with. */
export const isMoving = (sync: { status: SyncStatus } | null | undefined) => sync != null && (sync.status === "QUEUED" || sync.status === "RUNNING");

export type Health = "CHECKING" | "WAITING" | "CHECKED" | "SYNCING" | "ACTIVE" | "PAUSED" | "HELD" | "RETRYING" | "STOPPED";

export interface Told {
  status: SourceStatus;
  paused: boolean;
  error?: { code: string } | null | undefined;
  lastSync?: { status: SyncStatus } | null | undefined;
}

/** Return how a connection stands, in one word for each thing that there is to do. */
export function healthOf({ status, paused, error, lastSync }: Told): Health {
  if (lastSync?.status === "HELD") return "HELD";
  if (status === "STOPPED") return "STOPPED";
  if (paused) return "PAUSED";
  if (status === "CHECKED") return "CHECKED";
  if (error != null) return status === "CHECKING" && lastSync == null ? "WAITING" : "RETRYING";
  if (status === "CHECKING") return lastSync == null ? "WAITING" : "CHECKING";
  return isMoving(lastSync) ? "SYNCING" : "ACTIVE";
}
