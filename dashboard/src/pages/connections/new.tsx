import { Trans, useLingui } from "@lingui/react/macro";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { useChange } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { graphql } from "@/gql";
import { useMayWrite } from "@/pages/contacts/shared";
import { Button, ButtonLink } from "@/ui/button";
import { Field } from "@/ui/fields";
import { Badge, Callout, Card, PageHead } from "@/ui/show";
import { EmptyState, States, useProblemText } from "@/ui/states";
import { RedirectNote } from "./grant";
import { areFilled, filled, SettingsForm, settingOf, type Values } from "./settings";
import { useConnectors, type Connector } from "./shared";
import { Steps } from "./steps";

const Connect = graphql(`
  mutation PageConnectList($name: String!, $source: ListSourceInput!) {
    createList(name: $name, source: $source) {
      __typename
      ... on ContactList { ...ConnectionFull }
      ... on Error { code message param }
    }
  }
`);

export function NewConnectionPage() {
  const { t } = useLingui();
  const mayWrite = useMayWrite();
  const { type } = useSearch({ from: "/shell/connections/new" });
  const reading = useConnectors();
  return (
    <>
      <PageHead
        above={
          <Link to="/connections" className="mb-1 inline-block text-sm">
            {t`Connections`}
          </Link>
        }
        title={t`Connect a service`}
        lead={t`Nothing changes until you have seen what a first sync would do.`}
      />
      {!mayWrite ? (
        <Card>
          <EmptyState icon="suppression" title={t`Your role reads only`} action={<ButtonLink to="/connections">{t`All connections`}</ButtonLink>}>
            <Trans>An owner, an admin or a member can connect a service.</Trans>
          </EmptyState>
        </Card>
      ) : (
        <States of={reading}>
          {({ connectors }) => {
            const connector = connectors.find((each) => each.type === type);
            return connector === undefined ? <Services connectors={connectors} /> : <Access key={connector.type} connector={connector} />;
          }}
        </States>
      )}
    </>
  );
}

function Services({ connectors }: { connectors: readonly Connector[] }) {
  const { t } = useLingui();
  return (
    <>
      <Steps at="service" />
      <ul aria-label={t`Services`} className="grid gap-4 sm:grid-cols-2 xl:grid-cols-3">
        {connectors.map(({ type, label, capabilities: can }) => (
          <li key={type}>
            <Link
              to="/connections/new"
              search={{ type }}
              className="flex h-full flex-col gap-3 rounded-2xl border border-line bg-surface p-5 text-text no-underline shadow-card hover:border-brand"
            >
              <span className="text-base font-semibold">{label}</span>
              <span className="flex flex-wrap gap-1.5">
                <Badge>{can.reads ? t`By a schedule` : t`People are posted`}</Badge>
                {can.registersHook && <Badge>{t`Changes at once`}</Badge>}
                {can.writesOptOuts && <Badge>{t`Takes opt-outs back`}</Badge>}
                {can.reportsConsent && <Badge tone="good">{t`Knows consent to texts`}</Badge>}
              </span>
            </Link>
          </li>
        ))}
      </ul>
    </>
  );
}

function Access({ connector }: { connector: Connector }) {
  const { t } = useLingui();
  const navigate = useNavigate();
  const textOf = useProblemText();
  const connect = useChange(Connect);
  const { type, label, settings, capabilities: can } = connector;
  const [name, setName] = useState(label);
  const [values, setValues] = useState<Values>({});
  const [problem, setProblem] = useState<Problem | null>(null);
  // What the account has is chosen once it was read.
  const asked = can.reads ? settings.filter(({ listed }) => !listed) : settings;
  const about = settingOf(problem, asked);
  const isOfName = problem?.param === "name";
  const begin = async () => {
    setProblem(null);
    const { done, problem: found } = await connect.run({ name: name.trim(), source: { type, settings: filled(values) } });
    setProblem(found);
    if (done !== null) await navigate({ to: "/connections/$id", params: { id: done.id }, replace: true });
  };
  return (
    <>
      <Steps at="settings" />
      <Card title={label} className="max-w-3xl" tools={<ButtonLink size="small" to="/connections/new">{t`Another service`}</ButtonLink>}>
        <div className="space-y-4">
          <Field label={t`Name of the list`} value={name} onChange={setName} maxLength={200} isRequired error={isOfName && problem !== null ? textOf(problem) : undefined} />
          <SettingsForm settings={asked} values={values} onChange={setValues} wrong={about === undefined || problem === null ? null : { name: about, message: textOf(problem) }} />
          {can.grantsAccess && <RedirectNote />}
          <p className="text-sm text-muted">
            {can.reads ? <Trans>Secrets are kept encrypted and never shown again. The next step reads who is there, and changes nothing.</Trans> : <Trans>The next step has the address that the other tool posts people to.</Trans>}
          </p>
          {problem !== null && about === undefined && !isOfName && <Callout tone="danger">{textOf(problem)}</Callout>}
          <Button look="primary" isPending={connect.isRunning} isDisabled={name.trim() === "" || !areFilled(settings, values)} onPress={() => void begin()}>
            {can.reads ? t`Connect and look` : t`Make the address`}
          </Button>
        </div>
      </Card>
    </>
  );
}
