// What the menus of the shell hold, loaded when one is first pointed at.
import { useLingui } from "@lingui/react/macro";
import { useNavigate } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { Header, Menu, MenuItem, MenuSection, Popover, type Selection } from "react-aria-components";
import { send } from "@/api/client";
import { closeSession, enterWorkspace, useSession } from "@/api/session";
import { graphql } from "@/gql";
import { chooseLanguage, LANGUAGES, type Language } from "@/i18n";
import { chooseTheme, useTheme, type Theme } from "@/theme";
import { Icon } from "@/ui/icons";
import type { ListProps } from "./menus";

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

export function WorkspaceList({ trigger, onClose }: ListProps) {
  const { t } = useLingui();
  const { membership, memberships } = useSession();
  return (
    <Popover className={POPOVER} triggerRef={trigger} isOpen onOpenChange={(isOpen) => !isOpen && onClose()}>
      <Menu
        autoFocus="first"
        onClose={onClose}
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
  );
}

export function UserList({ trigger, onClose }: ListProps) {
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
    <Popover className={POPOVER} placement="bottom end" triggerRef={trigger} isOpen onOpenChange={(isOpen) => !isOpen && onClose()}>
      <div className="border-b border-line px-3 py-2">
        <p className="font-medium">{user.name}</p>
        <p className="text-sm text-muted">{user.email}</p>
      </div>
      <Menu autoFocus="first" onClose={onClose} aria-label={t`Account`} onAction={(key) => void (key === "log-out" ? logOut() : key === "account" && navigate({ to: "/account" }))} className="max-h-[70dvh] overflow-auto outline-none">
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
  );
}
