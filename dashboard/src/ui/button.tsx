import { createLink, type LinkComponent } from "@tanstack/react-router";
import { forwardRef, type AnchorHTMLAttributes, type ReactNode } from "react";
import { Button as AriaButton, type ButtonProps as AriaProps } from "react-aria-components";
import { classes } from "./classes";
import { Icon, type IconName } from "./icons";

export type Look = "primary" | "secondary" | "quiet" | "danger";

const BASE =
  "inline-flex items-center justify-center gap-2 rounded-lg font-medium whitespace-nowrap no-underline transition-colors select-none motion-reduce:transition-none data-[disabled]:opacity-55 data-[pending]:opacity-70 disabled:opacity-55";
const LOOKS: Record<Look, string> = {
  primary: "bg-brand text-on-brand hover:bg-brand-strong",
  secondary: "border border-line-strong bg-surface text-text hover:bg-sunken",
  quiet: "text-text hover:bg-sunken",
  danger: "border border-danger bg-danger-soft text-danger hover:bg-surface",
};
const SIZES = { medium: "min-h-10 px-4 py-2", small: "min-h-8 px-3 py-1 text-sm", icon: "size-10" } as const;

interface Shape {
  look?: Look;
  size?: keyof typeof SIZES;
  icon?: IconName;
}

const shape = ({ look = "secondary", size = "medium" }: Shape, more?: string) => classes(BASE, LOOKS[look], SIZES[size], more);

export interface ButtonProps extends Omit<AriaProps, "className" | "children">, Shape {
  className?: string;
  children?: ReactNode;
}

/** A button that keeps the focus while what it began is under way, and takes no second press meanwhile. */
export function Button({ look, size, icon, className, children, isPending = false, onPress, type, ...rest }: ButtonProps) {
  const own = isPending ? { type: "button" as const, "aria-disabled": true } : { ...(onPress && { onPress }), ...(type && { type }) };
  return (
    <AriaButton {...rest} {...own} data-pending={isPending || undefined} className={shape({ ...(look && { look }), ...(size && { size }) }, className)}>
      {icon !== undefined && <Icon name={icon} className="size-4.5" />}
      {children}
    </AriaButton>
  );
}

interface AnchorProps extends AnchorHTMLAttributes<HTMLAnchorElement>, Shape {}

const Anchor = forwardRef<HTMLAnchorElement, AnchorProps>(({ look, size, icon, className, children, ...rest }, ref) => (
  <a ref={ref} {...rest} className={shape({ ...(look && { look }), ...(size && { size }) }, className)}>
    {icon !== undefined && <Icon name={icon} className="size-4.5" />}
    {children}
  </a>
));

/** A link to a page that looks like a button. */
export const ButtonLink: LinkComponent<typeof Anchor> = createLink(Anchor);
/** The same for an address outside the dashboard. */
export const ButtonAnchor = Anchor;
