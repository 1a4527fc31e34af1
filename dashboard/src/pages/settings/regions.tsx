// Which countries messages go to, and at which hours campaigns reach people there.
import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { useMemo, useState } from "react";
import { useData } from "@/api/hooks";
import { graphql } from "@/gql";
import type { SettingsRegionsQuery } from "@/gql/graphql";
import { useRegionName } from "@/ui/contactfields";
import { Field, Segmented, Switch } from "@/ui/fields";
import { timesOf } from "@/ui/formats";
import { Callout } from "@/ui/show";
import { States } from "@/ui/states";

const RegionsData = graphql(`
  query SettingsRegions {
    regions {
      code
      callingCode
      mainRegion
      isBlocked
      isOffUntilEnabled
      weekdayHours { opens closes }
      weekendHours { opens closes }
      closedWeekdays
      isClosedOnHolidays
    }
  }
`);

type Region = SettingsRegionsQuery["regions"][number];

interface Props {
  blocked: readonly string[];
  enabled: readonly string[];
  onChange: (blocked: string[], enabled: string[]) => void;
  error: string | undefined;
  isOff: boolean;
}

/** Return whether a workspace's own settings let messages out to a region, apart from the country it belongs to. */
const isOn = ({ code, isBlocked, isOffUntilEnabled }: Region, { blocked, enabled }: Pick<Props, "blocked" | "enabled">) => !isBlocked && !blocked.includes(code) && (!isOffUntilEnabled || enabled.includes(code));

export function Regions(props: Props) {
  const { t } = useLingui();
  const reading = useData(RegionsData, {});
  return (
    <div className="space-y-3">
      <h2 className="font-semibold">{t`Countries`}</h2>
      <p className="text-sm text-muted">
        <Trans>Messages go to every country that is on. Those where fraud with SMS is common are off from the start.</Trans>
      </p>
      <States of={reading}>{({ regions }) => <List regions={regions} {...props} />}</States>
    </div>
  );
}

const plain = (text: string) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

function List({ regions, blocked, enabled, onChange, error, isOff }: Props & { regions: readonly Region[] }) {
  const { t, i18n } = useLingui();
  const nameOf = useRegionName();
  const hoursOf = useHours();
  const [sought, setSought] = useState("");
  const [shown, setShown] = useState<"off" | "all">("off");
  const rows = useMemo(
    () => regions.map((region) => ({ region, name: nameOf(region.code) ?? region.code })).sort((a, b) => a.name.localeCompare(b.name, i18n.locale)),
    [regions, nameOf, i18n.locale],
  );
  // What was off when the list was opened stays in it while it is switched on and off.
  const [listed] = useState(() => new Set(regions.filter((region) => !isOn(region, { blocked, enabled })).map(({ code }) => code)));
  const onCount = regions.filter((region) => isOn(region, { blocked, enabled })).length;
  const offCount = regions.length - onCount;
  const words = plain(sought.trim());
  const digits = words.replace(/\D/g, "");
  const found = rows.filter(({ region, name }) => {
    if (words !== "") return plain(name).includes(words) || region.code.toLowerCase() === words || (digits !== "" && String(region.callingCode) === digits);
    return shown === "all" || listed.has(region.code) || !isOn(region, { blocked, enabled });
  });
  const flip = (region: Region, on: boolean) => {
    const { code } = region;
    const others = blocked.filter((each) => each !== code);
    const named = enabled.filter((each) => each !== code);
    if (!region.isOffUntilEnabled) return onChange(on ? others : [...others, code].sort(), [...enabled]);
    return onChange(others, on ? [...named, code].sort() : named);
  };
  const hintOf = (region: Region) => {
    const owner = regions.find(({ code }) => code === region.mainRegion);
    const follows = owner !== undefined && !isOn(owner, { blocked, enabled }) ? t`Off with ${nameOf(owner.code) ?? owner.code}` : undefined;
    const why = region.isBlocked ? t`Never: sanctions` : follows;
    return [`${region.code} · +${region.callingCode}`, why ?? hoursOf(region)].join(" · ");
  };
  return (
    <>
      {error !== undefined && <Callout tone="danger">{error}</Callout>}
      <div className="flex flex-wrap items-end gap-3">
        <Field className="min-w-0 flex-1 basis-56" label={t`Find a country`} type="search" placeholder={t`Name, two letters or calling code`} value={sought} onChange={setSought} />
        {words === "" && (
          <Segmented
            label={t`Countries that are shown`}
            hideLabel
            choices={[
              { value: "off", label: t({ message: "Off", context: "countries" }) },
              { value: "all", label: t({ message: "All", context: "countries" }) },
            ]}
            value={shown}
            onChange={setShown}
          />
        )}
      </div>
      <p className="text-sm" aria-live="polite">
        <Plural value={onCount} one="# country is on." other="# countries are on." /> <Plural value={offCount} one="# is off." other="# are off." />
      </p>
      {found.length === 0 ? (
        <p className="rounded-lg border border-line px-4 py-6 text-center text-sm text-muted">{t`No country matches.`}</p>
      ) : (
        <div role="region" aria-label={t`Countries`} tabIndex={0} className="relative max-h-96 overflow-y-auto rounded-lg border border-line">
          <ul className="divide-y divide-line">
            {found.map(({ region, name }) => (
              <li key={region.code} className="px-4 py-2.5">
                <Switch isSelected={isOn(region, { blocked, enabled })} onChange={(on) => flip(region, on)} isDisabled={isOff || region.isBlocked} hint={hintOf(region)}>
                  {name}
                </Switch>
              </li>
            ))}
          </ul>
        </div>
      )}
      <p className="text-sm text-muted">
        <Trans>The hours are those of campaigns that keep quiet hours, where the recipient is.</Trans>
      </p>
    </>
  );
}

/** Return what says a region's hours of campaigns in one line. */
function useHours() {
  const { t, i18n } = useLingui();
  const days = useMemo(() => {
    const weekday = timesOf(i18n.locale, { weekday: "short", timeZone: "UTC" });
    // 1 January 2024 was a Monday.
    return Array.from({ length: 7 }, (_, index) => weekday.format(Date.UTC(2024, 0, 1 + index)));
  }, [i18n.locale]);
  return ({ weekdayHours, weekendHours, closedWeekdays, isClosedOnHolidays }: Region) => {
    const said = ({ opens, closes }: Region["weekdayHours"]) => `${opens}–${closes}`;
    const parts = [said(weekdayHours)];
    if (said(weekendHours) !== said(weekdayHours)) parts.push(t`weekends ${said(weekendHours)}`);
    const shut = [...closedWeekdays.map((day) => days[day]), ...(isClosedOnHolidays ? [t`public holidays`] : [])].join(", ");
    if (shut !== "") parts.push(t`not on ${shut}`);
    return parts.join(" · ");
  };
}
