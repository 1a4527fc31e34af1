// Which notifications also come by mail; each choice is kept at once.
import { Trans, useLingui } from "@lingui/react/macro";
import { useChange, useData } from "@/api/hooks";
import { graphql } from "@/gql";
import { Switch } from "@/ui/fields";
import { Card } from "@/ui/show";
import { States } from "@/ui/states";
import { useTell } from "@/ui/tell";
import { useKindNames } from "./names";

const Mails = graphql(`
  query NotificationMailList { notificationMails { kind byMail } }
`);
const Choose = graphql(`
  mutation NotificationMailChoose($kinds: [NotificationKind!]!) {
    chooseNotificationMail(kinds: $kinds) {
      __typename
      ... on NotificationMails { mails { kind byMail } }
      ... on Error { code message param }
    }
  }
`);

export function MailChoices() {
  const { t } = useLingui();
  const tell = useTell();
  const names = useKindNames();
  const reading = useData(Mails, {});
  const choose = useChange(Choose);
  return (
    <Card title={t`By mail`} className="max-w-2xl">
      <p className="mb-4 text-muted">
        <Trans>What happens in live also comes to your address. A new device and changes of your password are always mailed.</Trans>
      </p>
      <States of={reading}>
        {({ notificationMails }) => (
          <div className="space-y-4">
            {notificationMails.map(({ kind, byMail }) => (
              <Switch
                key={kind}
                isSelected={byMail}
                isDisabled={choose.isRunning}
                onChange={async (on) => {
                  const kinds = notificationMails.filter((each) => (each.kind === kind ? on : each.byMail)).map((each) => each.kind);
                  tell((await choose.run({ kinds })).problem, t`Saved.`);
                }}
              >
                {names[kind]}
              </Switch>
            ))}
          </div>
        )}
      </States>
    </Card>
  );
}
