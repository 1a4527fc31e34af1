// What the pages of imports share: what is read of one, how far it is, and how its rows are counted.
import { useLingui } from "@lingui/react/macro";
import { graphql } from "@/gql";
import type { ImportFullFragment, ImportStatus } from "@/gql/graphql";
import { numbersOf } from "@/ui/formats";
import { Badge, type Tone } from "@/ui/show";

export const ImportFull = graphql(`
  fragment ImportFull on ContactImport {
    id
    status
    fileName
    fileSize
    fileKind
    encoding
    delimiter
    columns { name key type field samples }
    listId
    defaultRegion
    update
    evidence { source at text ip userAgent version }
    counts { rows created updated unchanged duplicate suppressed invalid remaining optedIn pending withoutOptIn addedToList undone kept }
    rowsRead
    rowsDone
    error { code message }
    createdAt
    startedAt
    endedAt
    undoUntil
  }
`);

export type Import = ImportFullFragment;
export type Counts = Import["counts"];

/** What a worker has to do with. */
export const DUE: ReadonlySet<ImportStatus> = new Set(["QUEUED", "READING", "CHECKING", "RUNNING", "UNDOING"]);

const TONES: Record<ImportStatus, Tone> = {
  UPLOADING: "info",
  QUEUED: "neutral",
  READING: "brand",
  NEEDS_MAPPING: "warn",
  CHECKING: "brand",
  CHECKED: "info",
  RUNNING: "brand",
  COMPLETED: "good",
  CANCELED: "neutral",
  FAILED: "danger",
  EXPIRED: "neutral",
  UNDOING: "brand",
  UNDONE: "neutral",
};

export function useImportNames(): Record<ImportStatus, string> {
  const { t } = useLingui();
  return {
    UPLOADING: t`Uploading`,
    QUEUED: t`Waiting`,
    READING: t`Being read`,
    NEEDS_MAPPING: t`Needs its columns`,
    CHECKING: t`Being checked`,
    CHECKED: t`Ready to run`,
    RUNNING: t`Running`,
    COMPLETED: t`Completed`,
    CANCELED: t`Canceled`,
    FAILED: t`Failed`,
    EXPIRED: t`Expired`,
    UNDOING: t`Being undone`,
    UNDONE: t`Undone`,
  };
}

export function ImportBadge({ status }: { status: ImportStatus }) {
  return <Badge tone={TONES[status]}>{useImportNames()[status]}</Badge>;
}

/** Return how bytes are told, such as 1.2 MB. */
export function useBytes() {
  const { i18n } = useLingui();
  return (bytes: number) => {
    const [unit, size] = bytes >= 1_000_000 ? (["megabyte", 1_000_000] as const) : bytes >= 1000 ? (["kilobyte", 1000] as const) : (["byte", 1] as const);
    return numbersOf(i18n.locale, { style: "unit", unit, unitDisplay: unit === "byte" ? "long" : "short", maximumFractionDigits: 1 }).format(bytes / size);
  };
}
