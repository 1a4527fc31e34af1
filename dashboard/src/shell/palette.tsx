// ⌘K: pages and actions at once; what the workspace holds by name, by phone as people write it, by e-mail address or by id.
import { useLingui } from "@lingui/react/macro";
import { useNavigate, useRouter } from "@tanstack/react-router";
import { useEffect, useId, useMemo, useRef, useState } from "react";
import { Dialog as AriaDialog, Modal, ModalOverlay } from "react-aria-components";
import { useClient } from "urql";
import { enterMode, useSession } from "@/api/session";
import { graphql } from "@/gql";
import { chooseTheme } from "@/theme";
import { classes } from "@/ui/classes";
import { Icon, type IconName } from "@/ui/icons";
import { BUILT } from "./navigation";

const PaletteSearch = graphql(`
  query PaletteSearch($q: String!) {
    search(q: $q) {
      contacts { id phone firstName lastName }
      campaigns { id name status }
      messages { id to body }
      lists { id name contactCount }
      segments { id name }
    }
  }
`);

interface Hit {
  key: string;
  icon: IconName;
  name: string;
  more?: string | undefined;
  act: () => void;
}

const DELAY_MS = 150;
const LONGEST = 100;
const plain = (text: string) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

export default function Palette({ onClose }: { onClose: () => void }) {
  const { t, i18n } = useLingui();
  const client = useClient();
  const router = useRouter();
  const navigate = useNavigate();
  const { livemode } = useSession();
  const [text, setText] = useState("");
  const [found, setFound] = useState<readonly Hit[]>([]);
  const [active, setActive] = useState(0);
  const id = useId();
  const list = useRef<HTMLUListElement>(null);

  const has = (path: string) => router.routesByPath[path as keyof typeof router.routesByPath] !== undefined;
  const open = (path: string) => {
    onClose();
    void navigate({ to: path as "/" });
  };
  const fixed = useMemo<readonly Hit[]>(() => {
    const act = (does: () => void) => () => {
      onClose();
      does();
    };
    return [
      ...BUILT.filter(({ isSandbox }) => !(isSandbox && livemode)).map(({ label, icon, to }) => ({ key: `page ${to}`, icon, name: i18n._(label), more: t`Page`, act: () => open(to) })),
      ...(has("/campaigns/new") ? [{ key: "new campaign", icon: "plus" as const, name: t`New campaign`, more: t`Action`, act: () => open("/campaigns/new") }] : []),
      ...(has("/sequences/new") ? [{ key: "new sequence", icon: "plus" as const, name: t`New sequence`, more: t`Action`, act: () => open("/sequences/new") }] : []),
      ...(has("/templates") ? [{ key: "new template", icon: "plus" as const, name: t`New template`, more: t`Action`, act: () => open("/templates?open=new") }] : []),
      { key: "mode", icon: "refresh", name: livemode ? t`Switch to the sandbox` : t`Switch to live`, more: t`Action`, act: act(() => enterMode(!livemode)) },
      { key: "dark", icon: "sun", name: t`Dark appearance`, more: t`Action`, act: act(() => chooseTheme("dark")) },
      { key: "light", icon: "sun", name: t`Light appearance`, more: t`Action`, act: act(() => chooseTheme("light")) },
      { key: "docs", icon: "info", name: t`Documentation`, more: t`Action`, act: act(() => window.open("/docs/", "_blank", "noreferrer")) },
    ];
    // The routes and what opens them never change.
    // oxlint-disable-next-line react-hooks/exhaustive-deps
  }, [i18n.locale, livemode]);

  useEffect(() => {
    const asked = text.trim();
    if (asked.length < 2) {
      setFound([]);
      return undefined;
    }
    let isOver = false;
    const look = async () => {
      const { data } = await client.query(PaletteSearch, { q: asked.slice(0, LONGEST) }).toPromise();
      const hits: Hit[] = [];
      const add = (path: string, rows: Hit[] | undefined) => {
        if (has(path)) hits.push(...(rows ?? []));
      };
      const of = data?.search;
      add("/contacts/$id", of?.contacts.map(({ id: key, phone, firstName, lastName }) => ({ key, icon: "contacts", name: [firstName, lastName].filter(Boolean).join(" ") || phone, more: phone, act: () => open(`/contacts/${key}`) })));
      add("/campaigns/$id", of?.campaigns.map(({ id: key, name, status }) => ({ key, icon: "campaign", name, more: t`Campaign`, act: () => open(status === "DRAFT" ? `/campaigns/new?id=${key}` : `/campaigns/${key}`) })));
      add("/messages", of?.messages.map(({ id: key, to, body }) => ({ key, icon: "message", name: body, more: to, act: () => open(`/messages?id=${key}`) })));
      add("/lists/$id", of?.lists.map(({ id: key, name }) => ({ key, icon: "lists", name, more: t`List`, act: () => open(`/lists/${key}`) })));
      add("/segments/$id", of?.segments.map(({ id: key, name }) => ({ key, icon: "segment", name, more: t`Segment`, act: () => open(`/segments/${key}`) })));
      if (!isOver) setFound(hits);
    };
    const timer = setTimeout(() => void look(), DELAY_MS);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
    // oxlint-disable-next-line react-hooks/exhaustive-deps
  }, [text, client]);

  const hits = [...fixed.filter(({ name }) => plain(name).includes(plain(text.trim()))), ...found];
  const at = Math.min(active, Math.max(0, hits.length - 1));
  useEffect(() => {
    // It answers with a promise by now, which is no cleanup.
    void list.current?.children[at]?.scrollIntoView({ block: "nearest" });
  }, [at]);

  return (
    <ModalOverlay isOpen onOpenChange={(open_) => !open_ && onClose()} isDismissable className="fixed inset-0 z-50 flex items-start justify-center bg-black/40 p-3 pt-[10vh]">
      <Modal className="panel w-full max-w-xl overflow-hidden rounded-2xl border border-line bg-raised shadow-raised">
        <AriaDialog aria-label={t`Search`} className="outline-none">
          <div className="flex items-center gap-3 border-b border-line px-4">
            <Icon name="search" className="size-5 text-muted" />
            <input
              autoFocus
              role="combobox"
              aria-expanded="true"
              aria-controls={id}
              aria-activedescendant={hits[at] === undefined ? undefined : `${id}-${at}`}
              aria-label={t`Search contacts, campaigns, messages, pages and actions`}
              placeholder={t`Search contacts, campaigns, messages, pages and actions`}
              className="min-h-13 flex-1 bg-transparent outline-none placeholder:text-muted"
              value={text}
              onChange={(event) => {
                setText(event.target.value);
                setActive(0);
              }}
              onKeyDown={(event) => {
                if (event.key === "ArrowDown" || event.key === "ArrowUp") {
                  event.preventDefault();
                  const step = event.key === "ArrowDown" ? 1 : -1;
                  setActive((at + step + hits.length) % Math.max(1, hits.length));
                }
                if (event.key === "Enter") hits[at]?.act();
              }}
            />
          </div>
          <ul id={id} role="listbox" aria-label={t`Results`} ref={list} className="relative max-h-[50dvh] overflow-y-auto p-1">
            {hits.map(({ key, icon, name, more, act }, index) => (
              <li
                key={key}
                id={`${id}-${index}`}
                role="option"
                aria-selected={index === at}
                onPointerMove={() => setActive(index)}
                onClick={act}
                className={classes("flex cursor-pointer items-center gap-3 rounded-lg px-3 py-2", index === at && "bg-brand-soft")}
              >
                <Icon name={icon} className="size-4.5 text-muted" />
                <span className="min-w-0 flex-1 truncate">{name}</span>
                {more !== undefined && <span className="max-w-48 truncate text-sm text-muted">{more}</span>}
              </li>
            ))}
          </ul>
          {hits.length === 0 && <p className="px-4 pb-4 text-muted">{t`Nothing found.`}</p>}
        </AriaDialog>
      </Modal>
    </ModalOverlay>
  );
}
