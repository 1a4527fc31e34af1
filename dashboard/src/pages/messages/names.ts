import { useLingui } from "@lingui/react/macro";
import { useMemo } from "react";
import type { MessageOrigin } from "@/gql/graphql";

export function useOriginNames(): Record<MessageOrigin, string> {
  const { t } = useLingui();
  return useMemo(() => ({ API: t`API`, CAMPAIGN: t`Campaign`, DASHBOARD: t`Dashboard`, AUTOMATIC: t`The service itself` }), [t]);
}

/** A code as words, for what has no translation. */
export const words = (code: string) => code.toLowerCase().replaceAll("_", " ");
