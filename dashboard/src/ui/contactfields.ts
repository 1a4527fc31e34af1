import { useLingui } from "@lingui/react/macro";
import { useMemo } from "react";

/** Return what each field that a column can fill is called. */
export function useFieldNames() {
  const { t } = useLingui();
  return {
    phone: t`Phone`,
    first_name: t`First name`,
    last_name: t`Last name`,
    full_name: t`Full name`,
    email: t`E-mail`,
    timezone: t`Time zone`,
    external_id: t`Your id`,
    country: t`Country`,
    consent: t`Consent to texts`,
    consent_at: t`Consent: when`,
    consent_source: t`Consent: where`,
    consent_ip: t`Consent: IP address`,
    consent_text: t`Consent: words`,
    opted_out: t`Opted out of texts`,
    status: t`Whether they left`,
  };
}

/** Return what names a region by its code; undefined for a code that no region has. */
export function useRegionName() {
  const { i18n } = useLingui();
  const names = useMemo(() => new Intl.DisplayNames(i18n.locale, { type: "region", fallback: "none" }), [i18n.locale]);
  return (code: string) => (/^[A-Za-z]{2}$/.test(code) ? names.of(code.toUpperCase()) : undefined);
}
