// What the pages of exports share: the names of kinds and states, and how bytes are told.
import { useLingui } from "@lingui/react/macro";
import type { ExportKind, ExportStatus } from "@/gql/graphql";
import { numbersOf } from "@/ui/formats";
import { Badge, type Tone } from "@/ui/show";

/** What a worker has to do with. */
export const DUE: ReadonlySet<ExportStatus> = new Set(["QUEUED", "RUNNING"]);

const TONES: Record<ExportStatus, Tone> = {
  QUEUED: "neutral",
  RUNNING: "brand",
  COMPLETED: "good",
  CANCELED: "neutral",
  FAILED: "danger",
  EXPIRED: "neutral",
};

export function useExportNames(): Record<ExportStatus, string> {
  const { t } = useLingui();
  return {
    QUEUED: t`Waiting`,
    RUNNING: t`Being written`,
    COMPLETED: t`Ready`,
    CANCELED: t`Canceled`,
    FAILED: t`Failed`,
    EXPIRED: t`Expired`,
  };
}

export function useKindNames(): Record<ExportKind, string> {
  const { t } = useLingui();
  return {
    CONTACTS: t`Contacts`,
    MESSAGES: t`Messages`,
    CAMPAIGN_RESULTS: t`Results of a campaign`,
    SUPPRESSIONS: t`Suppressions`,
    LEDGER: t`Ledger of credits`,
    EVENTS: t`Events`,
    CONVERSIONS: t`Conversions`,
  };
}

export function ExportBadge({ status }: { status: ExportStatus }) {
  return <Badge tone={TONES[status]}>{useExportNames()[status]}</Badge>;
}

/** Return how bytes are told, such as 1.2 MB. */
export function useBytes() {
  const { i18n } = useLingui();
  return (bytes: number) => {
    const [unit, size] = bytes >= 1_000_000 ? (["megabyte", 1_000_000] as const) : bytes >= 1000 ? (["kilobyte", 1000] as const) : (["byte", 1] as const);
    return numbersOf(i18n.locale, { style: "unit", unit, unitDisplay: unit === "byte" ? "long" : "short", maximumFractionDigits: 1 }).format(bytes / size);
  };
}
