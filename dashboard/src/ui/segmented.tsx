import { Label, Radio, RadioGroup } from "react-aria-components";
import { classes } from "./classes";
import type { Choice } from "./fields";

interface SegmentedProps<Value extends string> {
  label: string;
  choices: readonly Choice<Value>[];
  value: Value;
  onChange: (value: Value) => void;
  hideLabel?: boolean;
}

/** One of few choices, all of them seen. */
export function Segmented<Value extends string>({ label, choices, value, onChange, hideLabel }: SegmentedProps<Value>) {
  return (
    <RadioGroup value={value} onChange={(next) => onChange(next as Value)} orientation="horizontal" {...(hideLabel ? { "aria-label": label } : {})}>
      {!hideLabel && <Label className="mb-1 block text-sm font-medium">{label}</Label>}
      <div className="inline-flex flex-wrap gap-1 rounded-lg border border-line bg-bg p-1">
        {choices.map((each) => (
          <Radio
            key={each.value}
            value={each.value}
            className={({ isSelected, isFocusVisible }) =>
              classes(
                "relative cursor-pointer rounded-md px-3 py-1 text-sm",
                isSelected ? "bg-raised font-medium text-text shadow-card ring-1 ring-line-strong/40" : "text-muted hover:text-text",
                isFocusVisible && "outline-2 outline-brand",
              )
            }
          >
            {each.label}
          </Radio>
        ))}
      </div>
    </RadioGroup>
  );
}
