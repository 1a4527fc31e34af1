import { Trans, useLingui } from "@lingui/react/macro";
import { useNavigate } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { Button as AriaButton, Header, Menu, MenuItem, MenuSection, MenuTrigger, Popover, type Selection } from "react-aria-components";
import { send } from "@/api/client";
import { closeSession, enterMode, enterWorkspace, useSession } from "@/api/session";
import { graphql } from "@/gql";
import { chooseLanguage, LANGUAGES, type Language } from "@/i18n";
import { chooseTheme, useTheme, type Theme } from "@/theme";
import { Segmented } from "@/ui/segmented";
import { Icon } from "@/ui/icons";
import { useRoleName } from "@/ui/states";

const LogOut = graphql(`
  mutation LogOut {
    logOut { __typename }
  }
`);

const POPOVER = "min-w-56 rounded-xl border border-line bg-raised p-1 shadow-raised";
const ITEM = "group flex cursor-pointer items-center justify-between gap-3 rounded-md px-3 py-2 outline-none data-[focused]:bg-brand-soft";

function Item({ id, children }: { id: string; children: ReactNode }) {
  return (
    <MenuItem id={id} className={ITEM} textValue={typeof children === "string" ? children : id}>
      {({ isSelected }) => (
        <>
          <span>{children}</span>
          {isSelected && <Icon name="check" className="size-4 text-brand" />}
        </>
      )}
    </MenuItem>
  );
}

const chosen = (keys: Selection) => (keys === "all" ? undefined : (keys.values().next().value as string | undefined));

export function WorkspaceMenu() {
  const { t } = useLingui();
  const { membership, memberships } = useSession();
  const roleName = useRoleName();
  const name = membership?.workspaceName ?? t`No workspace`;
  if (memberships.length < 2)
    return (
      <p className="px-3 text-sm">
        <span className="block truncate font-medium">{name}</span>
        <span className="text-muted">{roleName(membership?.role)}</span>
      </p>
    );
  return (
    <MenuTrigger>
      <AriaButton aria-label={t`Workspace: ${name}`} className="flex w-full items-center justify-between gap-2 rounded-lg border border-line bg-surface px-3 py-2 text-left hover:border-line-strong">
        <span className="min-w-0">
          <span className="block truncate font-medium">{name}</span>
          <span className="text-sm text-muted">{roleName(membership?.role)}</span>
        </span>
        <Icon name="down" className="size-4 text-muted" />
      </AriaButton>
      <Popover className={POPOVER}>
        <Menu
          aria-label={t`Workspaces`}
          selectionMode="single"
          selectedKeys={membership === null ? [] : [membership.workspaceId]}
          onSelectionChange={(keys) => {
            const id = chosen(keys);
            if (id !== undefined) enterWorkspace(id);
          }}
          className="max-h-96 overflow-auto outline-none"
        >
          {memberships.map((each) => (
            <Item key={each.workspaceId} id={each.workspaceId}>
              {each.workspaceName}
            </Item>
          ))}
        </Menu>
      </Popover>
    </MenuTrigger>
  );
}

export function ModeSwitch() {
  const { t } = useLingui();
  const { livemode } = useSession();
  const choices = [
    { value: "sandbox", label: t`Sandbox` },
    { value: "live", label: t`Live` },
  ] as const;
  return <Segmented label={t`Mode`} hideLabel choices={choices} value={livemode ? "live" : "sandbox"} onChange={(mode) => enterMode(mode === "live")} />;
}

/** Striped, so that nobody takes the sandbox for the real thing or the other way round. */
export function ModeStripe() {
  const { t } = useLingui();
  const { livemode } = useSession();
  if (livemode) return null;
  return (
    <section aria-label={t`Mode`} className="stripes px-4 py-1.5 text-center text-sm font-medium">
      <span className="rounded bg-surface/75 px-2 py-0.5 text-text">
        <Trans>Sandbox: nothing reaches a real phone, and nothing costs.</Trans>
      </span>
    </section>
  );
}

export function UserMenu() {
  const { t, i18n } = useLingui();
  const { user } = useSession();
  const theme = useTheme();
  const navigate = useNavigate();
  const logOut = async () => {
    await send(LogOut, {}).catch(() => undefined);
    closeSession();
    await navigate({ to: "/login" });
  };
  return (
    <MenuTrigger>
      <AriaButton aria-label={t`Account of ${user.name}`} className="flex size-10 items-center justify-center rounded-full bg-brand-soft font-semibold text-brand uppercase hover:bg-line">
        {(user.name || user.email).slice(0, 1)}
      </AriaButton>
      <Popover className={POPOVER} placement="bottom end">
        <div className="border-b border-line px-3 py-2">
          <p className="font-medium">{user.name}</p>
          <p className="text-sm text-muted">{user.email}</p>
        </div>
        <Menu aria-label={t`Account`} onAction={(key) => void (key === "log-out" ? logOut() : key === "account" && navigate({ to: "/account" }))} className="max-h-[70dvh] overflow-auto outline-none">
          <MenuSection aria-label={t`Your account`}>
            <Item id="account">{t`Your account`}</Item>
          </MenuSection>
          <MenuSection
            selectionMode="single"
            selectedKeys={[i18n.locale]}
            onSelectionChange={(keys) => {
              const language = chosen(keys);
              if (language !== undefined) void chooseLanguage(language as Language);
            }}
          >
            <Header className="px-3 pt-2 text-xs font-medium text-muted">{t`Language`}</Header>
            {Object.entries(LANGUAGES).map(([id, name]) => (
              <Item key={id} id={id}>
                {name}
              </Item>
            ))}
          </MenuSection>
          <MenuSection
            selectionMode="single"
            selectedKeys={[theme]}
            onSelectionChange={(keys) => {
              const next = chosen(keys);
              if (next !== undefined) chooseTheme(next as Theme);
            }}
          >
            <Header className="px-3 pt-2 text-xs font-medium text-muted">{t`Appearance`}</Header>
            <Item id="system">{t`As the system`}</Item>
            <Item id="light">{t`Light`}</Item>
            <Item id="dark">{t`Dark`}</Item>
          </MenuSection>
          <MenuSection aria-label={t`Session`}>
            <Item id="log-out">{t`Log out`}</Item>
          </MenuSection>
        </Menu>
      </Popover>
    </MenuTrigger>
  );
}
