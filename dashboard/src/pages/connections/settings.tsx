// The form of a connector's settings, as the connector declares them. A secret that is kept is never shown again.
import { useLingui } from "@lingui/react/macro";
import { Checkbox, Field, Select } from "@/ui/fields";
import type { Problem } from "@/api/problems";
import { useSettingName, type Setting, type Source } from "./shared";

export type Values = Readonly<Record<string, string>>;

const NONE = "-";

/** Return the setting that a problem is about. */
export const settingOf = (problem: Problem | null, settings: readonly Setting[]): string | undefined => {
  const told = problem?.param?.split(".").pop()?.replaceAll("_", "").toLowerCase();
  return settings.find(({ name }) => name.replaceAll("_", "") === told)?.name;
};

interface Props {
  settings: readonly Setting[];
  values: Values;
  onChange: (values: Values) => void;
  /** What is wrong with which of them. */
  wrong?: { name: string; message: string } | null;
  /** Whether secrets are there already, and a blank one leaves them as they are. */
  isKept?: boolean;
  /** What the account has to choose from, once it was read. */
  known?: Source["settingChoices"];
}

export function SettingsForm({ settings, values, onChange, wrong = null, isKept = false, known = [] }: Props) {
  const { t } = useLingui();
  const nameOf = useSettingName();
  return (
    <div className="space-y-4">
      {settings.map(({ name, label, kind, required, help, example, choices }) => {
        const value = values[name] ?? "";
        const set = (next: string) => onChange({ ...values, [name]: next });
        const title = nameOf(name, label);
        const error = wrong?.name === name ? wrong.message : undefined;
        const there = kind === "choice" ? choices : (known.find(({ setting }) => setting === name)?.choices ?? []);
        if (there.length > 0)
          return (
            <Select key={name} label={title} hint={help} choices={[{ value: NONE, label: t`Nothing` }, ...there.map((each) => ({ value: each.value, label: each.label })), ...(value === "" || there.some((each) => each.value === value) ? [] : [{ value, label: value }])]} value={value === "" ? NONE : value} onChange={(next) => set(next === NONE ? "" : next)} error={error} />
          );
        if (kind === "boolean")
          return (
            <Checkbox key={name} isSelected={value === "true"} onChange={(next) => set(next ? "true" : "")} hint={help}>
              {title}
            </Checkbox>
          );
        const isSecret = kind === "secret";
        const isOptional = !required;
        return (
          <Field
            key={name}
            label={isOptional ? t`${title} (optional)` : title}
            hint={
              <>
                {help}
                {isSecret && isKept && <span className="block">{t`It is kept, and not shown. Leave it blank to keep it.`}</span>}
              </>
            }
            value={value}
            onChange={set}
            isRequired={required && !(isSecret && isKept)}
            type={isSecret && name !== "url" ? "password" : "text"}
            autoComplete="off"
            error={error}
            {...(example === null ? {} : { placeholder: example })}
          />
        );
      })}
    </div>
  );
}

/** Whether all that a connector cannot work without is there; what the account has is chosen once it was read. */
export const areFilled = (settings: readonly Setting[], values: Values) => settings.every(({ name, required, listed }) => !required || listed || (values[name] ?? "").trim() !== "");

/** Return settings without blank ones. */
export const filled = (values: Values): Record<string, string> => Object.fromEntries(Object.entries(values).filter(([, value]) => value.trim() !== ""));

/** Return what is known of settings; secrets are never shown. */
export const shownOf = (settings: readonly Setting[], source: Source): Values => Object.fromEntries(settings.map(({ name, kind }) => [name, kind === "secret" ? "" : String(source.settings[name] ?? "")]));

/** Return the settings that were changed. */
export const changedOf = (before: Values, now: Values): Record<string, string> => Object.fromEntries(Object.entries(now).filter(([name, value]) => value !== before[name]));
