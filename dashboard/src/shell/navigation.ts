// What the navigation lists. A page group appears once its address is written here.
import { msg } from "@lingui/core/macro";
import type { MessageDescriptor } from "@lingui/core";
import type { LinkProps } from "@tanstack/react-router";
import type { IconName } from "@/ui/icons";

export interface Place {
  label: MessageDescriptor;
  icon: IconName;
  /** The route; none until the page is built. */
  to?: LinkProps["to"];
  /** What number stands beside it. */
  badge?: "unread";
  /** Whether it is of the sandbox alone. */
  isSandbox?: true;
}

export interface PlaceGroup {
  label?: MessageDescriptor;
  places: readonly Place[];
}

export const NAVIGATION: readonly PlaceGroup[] = [
  {
    places: [
      { label: msg`Home`, icon: "home", to: "/" },
      { label: msg`Campaigns`, icon: "campaign", to: "/campaigns" },
      { label: msg`Sequences`, icon: "sequence", to: "/sequences" },
      { label: msg`Templates`, icon: "template", to: "/templates" },
      { label: msg`Conversions`, icon: "conversions", to: "/conversions" },
      { label: msg`Inbox`, icon: "inbox", to: "/inbox", badge: "unread" },
      { label: msg`Messages`, icon: "message", to: "/messages" },
      { label: msg`Handset`, icon: "phone", to: "/handset", isSandbox: true },
    ],
  },
  {
    label: msg`Audience`,
    places: [
      { label: msg`Contacts`, icon: "contacts", to: "/contacts" },
      { label: msg`Lists`, icon: "lists", to: "/lists" },
      { label: msg`Segments`, icon: "segment", to: "/segments" },
      { label: msg`Imports`, icon: "imports", to: "/imports" },
      { label: msg`Connections`, icon: "refresh", to: "/connections" },
      { label: msg`Keywords`, icon: "keyword", to: "/keywords" },
      { label: msg`Suppressions`, icon: "suppression", to: "/suppressions" },
    ],
  },
  {
    label: msg`Workspace`,
    places: [
      { label: msg`Credits`, icon: "credits", to: "/credits" },
      { label: msg`Exports`, icon: "exports", to: "/exports" },
      { label: msg`Developers`, icon: "developers", to: "/developers" },
      { label: msg`Settings`, icon: "settings", to: "/settings" },
    ],
  },
];

export const BUILT: readonly (Place & { to: NonNullable<Place["to"]> })[] = NAVIGATION.flatMap(({ places }) => places).filter(
  (each): each is Place & { to: NonNullable<Place["to"]> } => each.to !== undefined,
);
