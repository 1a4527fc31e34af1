// The handset: what the phones of the sandbox received, as it happens, and answers as their owners.
import { Trans, useLingui } from "@lingui/react/macro";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { useData } from "@/api/hooks";
import { enterMode, useSession } from "@/api/session";
import { graphql } from "@/gql";
import type { HandsetListQuery } from "@/gql/graphql";
import { Button } from "@/ui/button";
import { classes } from "@/ui/classes";
import { Field } from "@/ui/fields";
import { Badge, Card, PageHead, Time } from "@/ui/show";
import { EmptyState, Loading, States } from "@/ui/states";
import { Phone } from "./phone";

const HandsetList = graphql(`
  query HandsetList {
    handsets {
      phone
      optedOut
      contact { id firstName lastName }
      lastMessage { body createdAt inbound { id } message { id } }
    }
    sandboxNumbers { phone script }
  }
`);
const REFRESH_MS = 5000;
const PHONE = /^\+[1-9]\d{6,14}$/;

export function HandsetPage() {
  const { t } = useLingui();
  const { livemode } = useSession();
  const { phone } = useSearch({ from: "/shell/handset" });
  const list = useData(HandsetList, {}, { pause: livemode, every: REFRESH_MS });
  const head = <PageHead title={t`Handset`} lead={t`The phones of the sandbox: what they received, and what their owners answer. No real phone is reached.`} />;
  if (livemode)
    return (
      <>
        {head}
        <Card>
          <EmptyState icon="phone" title={t`The handset is of the sandbox`} action={<Button look="primary" onPress={() => enterMode(false)}>{t`Switch to the sandbox`}</Button>}>
            <Trans>In live mode messages reach real phones, and their answers are in the inbox.</Trans>
          </EmptyState>
        </Card>
      </>
    );
  return (
    <>
      <div className={classes(phone !== undefined && "max-lg:sr-only")}>{head}</div>
      <div className="grid grid-cols-1 gap-4 lg:h-[calc(100dvh-14.5rem)] lg:min-h-[32rem] lg:grid-cols-[20rem_minmax(0,1fr)]">
        <section aria-label={t`Phones`} className={classes("relative min-h-0 min-w-0 flex-col overflow-y-auto rounded-2xl border border-line bg-surface lg:flex", phone === undefined ? "flex" : "hidden")}>
          <OpenPhone />
          <States of={list} loading={<div className="p-3"><Loading /></div>}>
            {({ handsets, sandboxNumbers }) => (
              <>
                {handsets.length === 0 && <p className="px-4 py-6 text-center text-sm text-muted">{t`No phone has received anything yet. Open a test number, and send it a first message.`}</p>}
                <ul className="divide-y divide-line">
                  {handsets.map((each) => (
                    <li key={each.phone}>
                      <Owner handset={each} isCurrent={each.phone === phone} />
                    </li>
                  ))}
                </ul>
                <Scripted numbers={sandboxNumbers} current={phone} isOpen={handsets.length === 0} />
              </>
            )}
          </States>
        </section>
        {phone === undefined ? (
          <section aria-label={t`Phone`} className="hidden min-w-0 items-center justify-center rounded-2xl border border-line bg-surface lg:flex">
            <EmptyState icon="phone" title={t`No phone is open`}>
              <Trans>Choose one on the left, or type any number.</Trans>
            </EmptyState>
          </section>
        ) : (
          <Phone key={phone} phone={phone} onChange={list.retry} />
        )}
      </div>
    </>
  );
}

/** Any number is a phone of the sandbox. */
function OpenPhone() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const [typed, setTyped] = useState("");
  const [isWrong, setWrong] = useState(false);
  return (
    <form
      noValidate
      className="flex items-start gap-2 border-b border-line p-3"
      onSubmit={(event) => {
        event.preventDefault();
        const phone = typed.replace(/[\s().-]/g, "");
        setWrong(!PHONE.test(phone));
        if (!PHONE.test(phone)) return;
        setTyped("");
        void navigate({ to: "/handset", search: { phone } });
      }}
    >
      <Field
        className="min-w-0 flex-1"
        label={t`Any number`}
        inputMode="tel"
        placeholder="+1 212 555 0123"
        value={typed}
        onChange={(next) => {
          setTyped(next);
          setWrong(false);
        }}
        error={isWrong ? t`Write it with its country code, such as +12125550123.` : undefined}
      />
      <Button type="submit" className="mt-7">{t`Open phone`}</Button>
    </form>
  );
}

const ROW = "block px-4 py-3 text-text no-underline outline-offset-[-2px]";
const shade = (isCurrent: boolean) => (isCurrent ? "bg-brand-soft" : "hover:bg-sunken");

function Owner({ handset: { phone, optedOut, contact, lastMessage }, isCurrent }: { handset: HandsetListQuery["handsets"][number]; isCurrent: boolean }) {
  const { t } = useLingui();
  const name = [contact?.firstName, contact?.lastName].filter(Boolean).join(" ");
  return (
    <Link to="/handset" search={{ phone }} resetScroll={false} aria-current={isCurrent ? "true" : undefined} className={classes(ROW, shade(isCurrent))}>
      <span className="flex items-baseline justify-between gap-3">
        <span className="min-w-0 truncate font-medium tabular">{name || phone}</span>
        {lastMessage != null && (
          <span className="text-xs text-muted">
            <Time at={lastMessage.createdAt} style="relative" />
          </span>
        )}
      </span>
      {name !== "" && <span className="block text-xs text-muted tabular">{phone}</span>}
      <span className="mt-0.5 block truncate text-sm text-muted">
        {lastMessage?.inbound != null && `${t`Answered:`} `}
        {lastMessage?.body}
      </span>
      {optedOut && (
        <span className="mt-1.5 block">
          <Badge tone="danger">{t`Opted out`}</Badge>
        </span>
      )}
    </Link>
  );
}

function Scripted({ numbers, current, isOpen }: { numbers: HandsetListQuery["sandboxNumbers"]; current: string | undefined; isOpen: boolean }) {
  return (
    <details open={isOpen} className="border-t border-line">
      <summary className="cursor-pointer px-4 py-3 font-medium outline-offset-[-2px] hover:bg-sunken">
        <Trans>Test numbers</Trans>
      </summary>
      <p className="px-4 pb-2 text-sm text-muted">
        <Trans>Each behaves in its own way. To any other number a message is delivered after about a second.</Trans>
      </p>
      <ul className="divide-y divide-line">
        {numbers.map(({ phone, script }) => (
          <li key={phone}>
            <Link to="/handset" search={{ phone }} resetScroll={false} aria-current={phone === current ? "true" : undefined} className={classes(ROW, shade(phone === current))}>
              <span className="block font-medium tabular">{phone}</span>
              <span className="block text-sm text-muted">{script}</span>
            </Link>
          </li>
        ))}
      </ul>
    </details>
  );
}
