// How a text arrives: on a phone, and in how many segments.
import { useData } from "@/api/hooks";
import { useTold } from "@/api/troubles";
import { graphql } from "@/gql";
import { unitsOf } from "@/pages/campaigns/draft";
import { useSettled } from "@/settled";
import { PhonePreview, SegmentMeter } from "@/ui/phone";
import { Callout } from "@/ui/show";
import { useProblemText } from "@/ui/states";
import { useWarningText } from "@/ui/warnings";

const TemplatePreview = graphql(`
  query TemplatePreview($input: PreviewMessageInput!) {
    messagePreview(input: $input) { from body encoding segments parts missingVariables warnings { code message } }
  }
`);

// Anybody's number in the sandbox: nothing is sent, the text is only shown.
const STAND_IN = "+14155550123";
// A template has no sender of its own.
const OF_SENDER = "sender_not_carried";
const PERSON = { firstName: "Ana", lastName: "Silva", email: "ana@cohortlabs.example" };

export function TextPreview({ body }: { body: string }) {
  const textOf = useProblemText();
  const warningText = useWarningText();
  const settled = useSettled(body);
  const isEmpty = body.trim() === "";
  const reading = useData(TemplatePreview, { input: { to: STAND_IN, body: settled, variables: PERSON } }, { pause: settled.trim() === "" });
  useTold(reading.problem);
  const found = isEmpty ? undefined : reading.data?.messagePreview;
  const encoding = found?.encoding ?? "GSM7";
  return (
    <div className="space-y-3">
      <PhonePreview from={found?.from ?? ""} parts={found?.parts ?? []} body={found?.body ?? (isEmpty ? "" : body)} isStale={settled !== body || reading.isLoading} />
      {found?.segments != null && <SegmentMeter segments={found.segments} encoding={encoding} units={unitsOf(found.parts.join(""), encoding)} />}
      {!isEmpty && reading.problem !== null && <Callout tone="danger">{textOf(reading.problem)}</Callout>}
      {found?.warnings.filter(({ code }) => code !== OF_SENDER).map(({ code, message }) => (
        <Callout key={code + message} tone="warn">
          {warningText({ code, message })}
        </Callout>
      ))}
    </div>
  );
}
