import type { ReactNode } from "react";
import {
  Checkbox as AriaCheckbox,
  FieldError,
  Input,
  Label,
  ListBox,
  ListBoxItem,
  Popover,
  Select as AriaSelect,
  SelectValue,
  Button as AriaButton,
  Switch as AriaSwitch,
  Text,
  TextArea as AriaTextArea,
  TextField as AriaTextField,
  type TextFieldProps,
} from "react-aria-components";
import { Icon } from "./icons";

interface Named {
  label: ReactNode;
  hint?: ReactNode;
  error?: string | undefined;
}

function Around({ label, hint, error, children, tools }: Named & { children: ReactNode; tools?: ReactNode }) {
  return (
    <>
      <div className="mb-1 flex min-h-6 items-end justify-between gap-3">
        <Label className="text-sm font-medium">{label}</Label>
        {tools}
      </div>
      {children}
      {hint !== undefined && !error && (
        <Text slot="description" className="mt-1 block text-sm wrap-anywhere text-muted">
          {hint}
        </Text>
      )}
      <FieldError className="mt-1 block text-sm font-medium wrap-anywhere text-danger">{error}</FieldError>
    </>
  );
}

type FieldProps = Omit<TextFieldProps, "className" | "children"> & Named & { placeholder?: string; className?: string; tools?: ReactNode };

export function Field({ label, hint, error, placeholder, className, tools, ...rest }: FieldProps) {
  return (
    <AriaTextField {...rest} className={className ?? ""} isInvalid={Boolean(error)} validationBehavior="aria">
      <Around label={label} hint={hint} error={error} tools={tools}>
        <Input className="field" placeholder={placeholder} />
      </Around>
    </AriaTextField>
  );
}

export function TextArea({ label, hint, error, placeholder, className, tools, rows = 4, ...rest }: FieldProps & { rows?: number }) {
  return (
    <AriaTextField {...rest} className={className ?? ""} isInvalid={Boolean(error)} validationBehavior="aria">
      <Around label={label} hint={hint} error={error} tools={tools}>
        <AriaTextArea className="field resize-y leading-relaxed" rows={rows} placeholder={placeholder} />
      </Around>
    </AriaTextField>
  );
}

export interface Choice<Value extends string> {
  value: Value;
  label: string;
  hint?: string;
}

interface SelectProps<Value extends string> {
  label: string;
  hideLabel?: boolean;
  hint?: ReactNode;
  error?: string | undefined;
  choices: readonly Choice<Value>[];
  value: Value | null;
  onChange: (value: Value) => void;
  placeholder?: string;
  className?: string;
  isDisabled?: boolean;
}

export function Select<Value extends string>({ label, hideLabel, hint, error, choices, value, onChange, placeholder, className, isDisabled }: SelectProps<Value>) {
  return (
    <AriaSelect
      // A long choice is cut off, rather than making its column wider than the page.
      className={`min-w-0 ${className ?? ""}`}
      {...(hideLabel ? { "aria-label": label } : {})}
      value={value}
      onChange={(key) => key !== null && onChange(String(key) as Value)}
      isInvalid={Boolean(error)}
      isDisabled={isDisabled ?? false}
      {...(placeholder === undefined ? {} : { placeholder })}
    >
      {!hideLabel && <Label className="mb-1 flex min-h-6 items-end text-sm font-medium">{label}</Label>}
      <AriaButton className="field flex items-center justify-between gap-2 text-left">
        <SelectValue className="truncate data-[placeholder]:text-muted [&_[slot=description]]:hidden [&_svg]:hidden" />
        <Icon name="down" className="size-4 text-muted" />
      </AriaButton>
      {hint !== undefined && !error && (
        <Text slot="description" className="mt-1 block text-sm text-muted">
          {hint}
        </Text>
      )}
      <FieldError className="mt-1 block text-sm font-medium wrap-anywhere text-danger">{error}</FieldError>
      <Popover className="min-w-(--trigger-width) rounded-lg border border-line bg-raised p-1 shadow-raised">
        <ListBox items={choices} className="max-h-80 overflow-auto outline-none">
          {({ value: id, label: text, hint: more }) => (
            <ListBoxItem id={id} textValue={text} className="flex cursor-default items-center justify-between gap-4 rounded-md px-3 py-2 outline-none data-[focused]:bg-brand-soft">
              <span>
                <Text slot="label">{text}</Text>
                {more !== undefined && (
                  <Text slot="description" className="block text-sm text-muted">
                    {more}
                  </Text>
                )}
              </span>
              {id === value && <Icon name="check" className="size-4 text-brand" />}
            </ListBoxItem>
          )}
        </ListBox>
      </Popover>
    </AriaSelect>
  );
}

interface TickProps {
  children: ReactNode;
  hint?: ReactNode;
  isSelected: boolean;
  onChange: (selected: boolean) => void;
  isDisabled?: boolean;
}

export function Checkbox({ children, hint, ...rest }: TickProps) {
  return (
    <AriaCheckbox {...rest} className="group relative flex items-start gap-3 data-[disabled]:opacity-55">
      <span className="mt-0.5 flex size-5 shrink-0 items-center justify-center rounded border border-line-strong bg-surface text-on-brand group-data-[focus-visible]:outline-2 group-data-[focus-visible]:outline-offset-2 group-data-[focus-visible]:outline-brand group-data-[selected]:border-brand group-data-[selected]:bg-brand">
        <Icon name="check" className="size-3.5 opacity-0 group-data-[selected]:opacity-100" />
      </span>
      <span>
        {children}
        {hint !== undefined && <span className="block text-sm text-muted">{hint}</span>}
      </span>
    </AriaCheckbox>
  );
}

export function Switch({ children, hint, ...rest }: TickProps) {
  return (
    <AriaSwitch {...rest} className="group relative flex items-start gap-3 data-[disabled]:opacity-55">
      <span className="mt-0.5 flex h-5 w-9 shrink-0 rounded-full bg-line-strong p-0.5 transition-colors group-data-[focus-visible]:outline-2 group-data-[focus-visible]:outline-offset-2 group-data-[focus-visible]:outline-brand group-data-[selected]:bg-brand">
        <span className="size-4 rounded-full bg-surface transition-transform group-data-[selected]:translate-x-4" />
      </span>
      <span>
        {children}
        {hint !== undefined && <span className="block text-sm text-muted">{hint}</span>}
      </span>
    </AriaSwitch>
  );
}

export { Segmented } from "./segmented";
