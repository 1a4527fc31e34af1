import { Trans, useLingui } from "@lingui/react/macro";
import { useChange, useData } from "@/api/hooks";
import { useSession } from "@/api/session";
import { graphql } from "@/gql";
import type { CampaignVariantsQuery } from "@/gql/graphql";
import { Button } from "@/ui/button";
import { Badge, Callout, Card, Count, Time, useNumbers } from "@/ui/show";
import { Skeleton, useProblemText } from "@/ui/states";
import { toast } from "@/ui/toast";
import type { Campaign } from "./campaign";

const Variants = graphql(`
  query CampaignVariants($id: ID!) {
    campaign(id: $id) {
      id
      abTest {
        testPercent
        metric
        testedAt
        endsAt
        winner
        winnerChosenAt
        winnerChosenBy
        leader
        variants {
          variant
          body
          from
          stats { recipients delivered failed creditsUsed }
          test { recipients delivered failed uniqueClicks replied }
          sample { messages successes rate }
        }
        significance { pValue sampleSizes enough significant }
      }
    }
  }
`);
const Choose = graphql(`
  mutation PageChooseWinner($id: ID!, $variant: String!) {
    chooseWinner(id: $id, variant: $variant) {
      __typename
      ... on Campaign { id status }
      ... on Error { code message }
    }
  }
`);

type Test = NonNullable<NonNullable<CampaignVariantsQuery["campaign"]>["abTest"]>;

const LIVE_MS = 5000;

/** The variants of a campaign, with the books of each and whether they differ by more than chance. */
export function AbTest({ campaign: { id, status, dispatchedAt } }: { campaign: Campaign }) {
  const { t } = useLingui();
  const isLive = status === "PREPARING" || status === "SENDING";
  const { data, retry } = useData(Variants, { id }, isLive ? { every: LIVE_MS } : {});
  const test = data?.campaign?.abTest;
  if (data !== undefined && test == null) return null;
  return (
    <Card title={t`A/B test`}>
      {test == null ? (
        <Skeleton className="h-40 w-full" />
      ) : (
        <div className="space-y-4">
          <State test={test} isDispatched={dispatchedAt != null} />
          <Table test={test} id={id} canChoose={test.testedAt != null && test.winner == null && dispatchedAt == null && (status === "SENDING" || status === "PAUSED")} onChosen={retry} />
          <Meaning test={test} />
        </div>
      )}
    </Card>
  );
}

function State({ test: { testPercent, testedAt, endsAt, winner, winnerChosenBy }, isDispatched }: { test: Test; isDispatched: boolean }) {
  const { t } = useLingui();
  if (winner != null) return <Callout tone="good">{winnerChosenBy === "hand" ? t`Variant ${winner} was chosen by hand, and goes to the rest.` : t`Variant ${winner} won, and goes to the rest.`}</Callout>;
  if (testPercent === 100 || isDispatched) return <p className="text-sm text-muted">{t`The variants go to the whole audience.`}</p>;
  if (testedAt == null) return <p className="text-sm text-muted">{t`The test goes to ${testPercent} % of the audience first.`}</p>;
  return (
    <Callout tone="info">
      {endsAt == null ? (
        <Trans>The rest waits until you choose the winner.</Trans>
      ) : (
        <Trans>
          The rest waits: the winner is chosen <Time at={endsAt} style="full" />.
        </Trans>
      )}
    </Callout>
  );
}

function Table({ test, id, canChoose, onChosen }: { test: Test; id: string; canChoose: boolean; onChosen: () => void }) {
  const { t } = useLingui();
  const { percent } = useNumbers();
  const { membership } = useSession();
  const textOf = useProblemText();
  const choose = useChange(Choose);
  const names: Record<Test["metric"], string> = { DELIVERY: t`Delivered`, CLICK: t`Clicked`, REPLY: t`Replied`, CONVERSION: t`People who bought` };
  const cell = "border-t border-line px-4 py-2.5 text-right max-sm:px-2";
  const pick = async (variant: string) => {
    const { problem } = await choose.run({ id, variant });
    toast(problem === null ? { text: t`Variant ${variant} goes to the rest.` } : { text: textOf(problem), tone: "danger" });
    onChosen();
  };
  return (
    <div className="overflow-x-auto" tabIndex={0} role="region" aria-label={t`Variants`}>
      <table className="w-full text-left">
        <thead className="text-sm text-muted">
          <tr>
            <th scope="col" className="py-2 pr-4 font-medium">{t`Variant`}</th>
            <th scope="col" className="px-4 py-2 text-right font-medium">{t`In the test`}</th>
            <th scope="col" className="px-4 py-2 text-right font-medium">{names[test.metric]}</th>
            <th scope="col" className="px-4 py-2 text-right font-medium max-sm:hidden">{t`Recipients`}</th>
            <th scope="col" className="px-4 py-2 text-right font-medium max-sm:hidden">{t`Credits`}</th>
            {canChoose && membership?.role !== "READ_ONLY" && <th scope="col" className="py-2 pl-4 font-medium">{t`Winner`}</th>}
          </tr>
        </thead>
        <tbody>
          {test.variants.map(({ variant, body, from, stats, test: tested, sample }) => (
            <tr key={variant} data-variant={variant}>
              <th scope="row" className="border-t border-line py-2.5 pr-4 font-normal max-sm:pr-2">
                <span className="flex flex-wrap items-center gap-2">
                  <span className="font-medium">{variant}</span>
                  {test.winner === variant ? <Badge tone="good">{t`Winner`}</Badge> : test.winner == null && test.significance.significant && test.leader === variant && <Badge tone="info">{t`Leads`}</Badge>}
                </span>
                <span className="mt-1 line-clamp-2 max-w-md break-words text-sm text-muted">{body}</span>
                <span className="text-sm text-muted">{t`From ${from}`}</span>
              </th>
              <td className={cell}><Count value={tested.recipients} /></td>
              <td className={cell}>{sample.messages === 0 ? "–" : `${percent(sample.rate)} (${sample.successes}/${sample.messages})`}</td>
              <td className={`${cell} max-sm:hidden`}><Count value={stats.recipients} /></td>
              <td className={`${cell} max-sm:hidden`}><Count value={stats.creditsUsed} /></td>
              {canChoose && membership?.role !== "READ_ONLY" && (
                <td className="border-t border-line py-2.5 pl-4 max-sm:pl-2">
                  <Button size="small" className="max-sm:whitespace-normal!" isPending={choose.isRunning} onPress={() => pick(variant)}>{t`Send ${variant} to the rest`}</Button>
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Meaning({ test: { leader, significance } }: { test: Test }) {
  const { t } = useLingui();
  const { percent } = useNumbers();
  const sizes = significance.sampleSizes.join(", ");
  const chance = percent(significance.pValue);
  const text = !significance.enough
    ? t`There are too few messages yet to tell the variants apart (samples of ${sizes}).`
    : significance.significant
      ? t`Variant ${leader} leads. Were the variants equally good, they would differ this much in ${chance} of tests (samples of ${sizes}).`
      : t`The difference may well be chance: were the variants equally good, they would differ this much in ${chance} of tests (samples of ${sizes}).`;
  return <p className="text-sm text-muted">{text}</p>;
}
