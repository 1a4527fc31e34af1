// An authenticator app, passkeys, and the recovery codes for when both are lost.
import { Trans, useLingui } from "@lingui/react/macro";
import { useState, type FormEvent, type ReactNode } from "react";
import { useChange, useData } from "@/api/hooks";
import { RECONNECTED } from "@/api/live";
import { OFFLINE, type Problem } from "@/api/problems";
import { resume } from "@/api/session";
import { graphql } from "@/gql";
import type { DashboardFactorsQuery } from "@/gql/graphql";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field } from "@/ui/fields";
import { Badge, Callout, Card, CopyId, Time } from "@/ui/show";
import { States, useProblemText } from "@/ui/states";
import { toast } from "@/ui/toast";
import { hasPasskeys, makePasskey } from "@/ui/passkey";
import { isOfProof, ProofFields, useProof, type Given } from "@/ui/proof";
import { pathOf, qrCode } from "./qr";

const Factors = graphql(`
  query DashboardFactors {
    secondFactors {
      hasTotp
      recoveryCodesLeft
      passkeys { id name isBackedUp createdAt lastUsedAt }
    }
  }
`);
const BeginTotp = graphql(`
  mutation DashboardBeginTotp($currentPassword: String!, $code: String, $passkey: PasskeyAnswerInput) {
    beginTotp(currentPassword: $currentPassword, code: $code, passkey: $passkey) {
      __typename
      ... on TotpSecret { secret uri }
      ... on RateLimitError { retryAfter }
      ... on Error { code message param }
    }
  }
`);
const ConfirmTotp = graphql(`
  mutation DashboardConfirmTotp($code: String!) {
    confirmTotp(code: $code) {
      __typename
      ... on RecoveryCodes { codes }
      ... on RateLimitError { retryAfter }
      ... on Error { code message param }
    }
  }
`);
const RemoveTotp = graphql(`
  mutation DashboardRemoveTotp($currentPassword: String!, $code: String, $passkey: PasskeyAnswerInput) {
    removeTotp(currentPassword: $currentPassword, code: $code, passkey: $passkey) {
      __typename
      ... on RateLimitError { retryAfter }
      ... on Error { code message param }
    }
  }
`);
const MakeCodes = graphql(`
  mutation DashboardMakeCodes($currentPassword: String!, $code: String, $passkey: PasskeyAnswerInput) {
    makeRecoveryCodes(currentPassword: $currentPassword, code: $code, passkey: $passkey) {
      __typename
      ... on RecoveryCodes { codes }
      ... on RateLimitError { retryAfter }
      ... on Error { code message param }
    }
  }
`);
const BeginPasskey = graphql(`
  mutation DashboardBeginPasskey($currentPassword: String!, $code: String, $passkey: PasskeyAnswerInput) {
    beginPasskey(currentPassword: $currentPassword, code: $code, passkey: $passkey) {
      __typename
      ... on PasskeyChallenge { token options }
      ... on RateLimitError { retryAfter }
      ... on Error { code message param }
    }
  }
`);
const AddPasskey = graphql(`
  mutation DashboardAddPasskey($token: String!, $credential: String!, $name: String!) {
    addPasskey(token: $token, credential: $credential, name: $name) {
      __typename
      ... on PasskeyAdded { passkey { id name isBackedUp createdAt lastUsedAt } recoveryCodes }
      ... on Error { code message param }
    }
  }
`);
const RenamePasskey = graphql(`
  mutation DashboardRenamePasskey($id: ID!, $name: String!) {
    renamePasskey(id: $id, name: $name) {
      __typename
      ... on Passkey { id name }
      ... on Error { code message param }
    }
  }
`);
const RemovePasskey = graphql(`
  mutation DashboardRemovePasskey($id: ID!, $currentPassword: String!, $code: String, $passkey: PasskeyAnswerInput) {
    removePasskey(id: $id, currentPassword: $currentPassword, code: $code, passkey: $passkey) {
      __typename
      ... on RateLimitError { retryAfter }
      ... on Error { code message param }
    }
  }
`);

type Known = DashboardFactorsQuery["secondFactors"];
type Passkey = Known["passkeys"][number];

/** What is open over the page. */
type Open =
  | { step: "totp" }
  | { step: "totp-remove" }
  | { step: "codes-make" }
  | { step: "passkey" }
  | { step: "passkey-rename"; passkey: Passkey }
  | { step: "passkey-remove"; passkey: Passkey }
  | { step: "codes"; codes: readonly string[] };

/** Read again who is logged in, and refetch the pages that were refused without a second factor. */
async function renew() {
  await resume().catch(() => undefined);
  window.dispatchEvent(new Event(RECONNECTED));
}

export function SecondFactors() {
  const { t } = useLingui();
  const reading = useData(Factors, {});
  const [open, setOpen] = useState<Open | null>(null);
  const removeTotp = useChange(RemoveTotp);
  const makeCodes = useChange(MakeCodes);
  const removePasskey = useChange(RemovePasskey);
  const close = () => setOpen(null);
  return (
    <States of={reading}>
      {({ secondFactors: known }) => (
        <div className="grid items-start gap-5 lg:grid-cols-2">
          <App known={known} onOpen={setOpen} />
          <Codes known={known} onOpen={setOpen} />
          <Passkeys known={known} onOpen={setOpen} />
          {open?.step === "totp" && <SetUp onClose={close} onCodes={(codes) => setOpen({ step: "codes", codes })} />}
          {open?.step === "passkey" && (
            <NewPasskey
              onClose={close}
              onDone={(codes) => {
                if (codes.length > 0) setOpen({ step: "codes", codes });
                else close();
              }}
            />
          )}
          {open?.step === "passkey-rename" && <Rename passkey={open.passkey} onClose={close} />}
          {open?.step === "codes" && <ShownOnce codes={open.codes} onClose={close} />}
          {open?.step === "totp-remove" && (
            <ByProof
              title={t`Remove the authenticator app`}
              action={t`Remove`}
              isDanger
              onClose={close}
              onProof={async (given) => {
                const { problem } = await removeTotp.run(given);
                if (problem !== null) return problem;
                await renew();
                toast({ text: t`The authenticator app is removed.` });
                close();
                return null;
              }}
            >
              {known.passkeys.length === 0 ? (
                <Trans>Your password alone logs you in then, and the recovery codes count no more.</Trans>
              ) : (
                <Trans>Your passkeys go on to count.</Trans>
              )}
            </ByProof>
          )}
          {open?.step === "codes-make" && (
            <ByProof
              title={t`New recovery codes`}
              action={t`Make new codes`}
              onClose={close}
              onProof={async (given) => {
                const { done, problem } = await makeCodes.run(given);
                if (problem !== null) return problem;
                setOpen({ step: "codes", codes: done.codes });
                return null;
              }}
            >
              <Trans>The codes that you have now count no more.</Trans>
            </ByProof>
          )}
          {open?.step === "passkey-remove" && (
            <ByProof
              title={t`Remove the passkey`}
              action={t`Remove`}
              isDanger
              onClose={close}
              onProof={async (given) => {
                const { problem } = await removePasskey.run({ id: open.passkey.id, ...given });
                if (problem !== null) return problem;
                await renew();
                toast({ text: t`The passkey is removed.` });
                close();
                return null;
              }}
            >
              <Trans>
                <strong>{open.passkey.name}</strong> logs you in no more. Delete it on your device too.
              </Trans>
            </ByProof>
          )}
        </div>
      )}
    </States>
  );
}

interface PartProps {
  known: Known;
  onOpen: (open: Open) => void;
}

function App({ known, onOpen }: PartProps) {
  const { t } = useLingui();
  return (
    <Card title={t`Authenticator app`} tools={known.hasTotp ? <Badge tone="good" icon="check">{t`On`}</Badge> : <Badge>{t`Off`}</Badge>}>
      <p className="mb-4 text-muted">
        <Trans>After your password, you type the six digits that an app on your phone shows.</Trans>
      </p>
      {known.hasTotp ? (
        <Button onPress={() => onOpen({ step: "totp-remove" })}>{t`Remove the app`}</Button>
      ) : (
        <Button look="primary" onPress={() => onOpen({ step: "totp" })}>{t`Set up an app`}</Button>
      )}
    </Card>
  );
}

function Codes({ known, onOpen }: PartProps) {
  const { t } = useLingui();
  const left = known.recoveryCodesLeft;
  const hasFactor = known.hasTotp || known.passkeys.length > 0;
  return (
    <Card title={t`Recovery codes`} tools={hasFactor ? <Badge tone={left > 3 ? "good" : "warn"}>{t`${left} left`}</Badge> : undefined}>
      <p className="mb-4 text-muted">
        {hasFactor ? <Trans>They log you in without your phone. Each counts once.</Trans> : <Trans>You get ten with your first second factor, for when your phone is lost.</Trans>}
      </p>
      {hasFactor && <Button onPress={() => onOpen({ step: "codes-make" })}>{t`Make new codes`}</Button>}
    </Card>
  );
}

function Passkeys({ known, onOpen }: PartProps) {
  const { t } = useLingui();
  return (
    <Card title={t`Passkeys`} className="lg:col-span-2" tools={hasPasskeys() ? <Button size="small" icon="plus" onPress={() => onOpen({ step: "passkey" })}>{t`Add a passkey`}</Button> : undefined}>
      <p className="text-muted">
        <Trans>Your device, a security key or a password manager shows that it is you; nothing can be read off or typed into a wrong page.</Trans>
      </p>
      {known.passkeys.length > 0 && (
        <ul className="mt-3 divide-y divide-line">
          {known.passkeys.map((passkey) => (
            <li key={passkey.id} className="flex flex-wrap items-center justify-between gap-3 py-3">
              <div className="min-w-0">
                <p className="flex flex-wrap items-center gap-2 font-medium">
                  <span className="min-w-0 break-words">{passkey.name}</span>
                  {passkey.isBackedUp && <Badge tone="info">{t`In more than one device`}</Badge>}
                </p>
                <p className="text-sm text-muted">
                  {passkey.lastUsedAt === null ? (
                    <Trans>
                      Added <Time at={passkey.createdAt} style="day" />, not used yet
                    </Trans>
                  ) : (
                    <Trans>
                      Added <Time at={passkey.createdAt} style="day" />, last used <Time at={passkey.lastUsedAt} style="relative" />
                    </Trans>
                  )}
                </p>
              </div>
              <div className="flex gap-2">
                <Button size="small" look="quiet" aria-label={t`Rename ${passkey.name}`} onPress={() => onOpen({ step: "passkey-rename", passkey })}>{t`Rename`}</Button>
                <Button size="small" aria-label={t`Remove ${passkey.name}`} onPress={() => onOpen({ step: "passkey-remove", passkey })}>{t`Remove`}</Button>
              </div>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

interface AskProps {
  title: string;
  action: string;
  isDanger?: boolean;
  children?: ReactNode;
  onClose: () => void;
  onProof: (given: Given) => Promise<Problem | null>;
}

/** A step that asks for the password again, and for a second factor of who has one. */
function ByProof({ title, onClose, ...rest }: AskProps) {
  return (
    <Dialog isOpen onClose={onClose} title={title}>
      <ProofForm onClose={onClose} {...rest} />
    </Dialog>
  );
}

function ProofForm({ action, isDanger = false, children, onClose, onProof }: Omit<AskProps, "title">) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const proof = useProof();
  const [problem, setProblem] = useState<Problem | null>(null);
  const [isRunning, setRunning] = useState(false);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setRunning(true);
    try {
      setProblem(await proof.send(async (given) => ({ problem: await onProof(given) })));
    } catch (error) {
      setProblem((error as { problem?: Problem }).problem ?? OFFLINE);
    } finally {
      setRunning(false);
    }
  };
  return (
    <form onSubmit={submit} className="space-y-4" noValidate>
      {problem !== null && !isOfProof(problem) && <Callout tone="danger">{textOf(problem)}</Callout>}
      {children !== undefined && <div>{children}</div>}
      <ProofFields of={proof} problem={problem} autoFocus />
      <div className="flex flex-wrap justify-end gap-2">
        <Button onPress={onClose}>{t`Not now`}</Button>
        <Button type="submit" look={isDanger ? "danger" : "primary"} isPending={isRunning} isDisabled={!proof.isComplete}>
          {action}
        </Button>
      </div>
    </form>
  );
}

/** Three steps: the proof, the secret into the app, a code out of it. */
function SetUp({ onClose, onCodes }: { onClose: () => void; onCodes: (codes: readonly string[]) => void }) {
  const { t } = useLingui();
  const begin = useChange(BeginTotp);
  const [shared, setShared] = useState<{ secret: string; uri: string } | null>(null);
  return (
    <Dialog isOpen onClose={onClose} title={t`Set up an authenticator app`}>
      {shared === null ? (
        <ProofForm
          action={t`Go on`}
          onClose={onClose}
          onProof={async (given) => {
            const { done, problem } = await begin.run(given);
            if (problem === null) setShared({ secret: done.secret, uri: done.uri });
            return problem;
          }}
        />
      ) : (
        <Shared {...shared} onCodes={onCodes} />
      )}
    </Dialog>
  );
}

function Shared({ secret, uri, onCodes }: { secret: string; uri: string; onCodes: (codes: readonly string[]) => void }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const confirm = useChange(ConfirmTotp);
  const [code, setCode] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const drawn = qrCode(uri);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const outcome = await confirm.run({ code: code.trim() });
    setProblem(outcome.problem);
    if (outcome.problem !== null) return;
    onCodes(outcome.done.codes);
    await renew();
  };
  const isWrong = problem?.code === "second_factor_invalid";
  return (
    <form onSubmit={submit} className="space-y-4" noValidate>
      {problem !== null && !isWrong && <Callout tone="danger">{textOf(problem)}</Callout>}
      <p>
        <Trans>Scan this with the app, or on this phone, open it there.</Trans>
      </p>
      {drawn !== null && (
        <svg viewBox={`-4 -4 ${drawn.length + 8} ${drawn.length + 8}`} role="img" aria-label={t`QR code for the app`} shapeRendering="crispEdges" className="mx-auto block w-56 max-w-full rounded-lg bg-white fill-black">
          <path d={pathOf(drawn)} />
        </svg>
      )}
      <div className="flex flex-wrap items-center justify-center gap-x-4 gap-y-1 text-sm">
        <a href={uri}>{t`Open in an app`}</a>
        <CopyId id={secret} />
      </div>
      <Field
        label={t`Code`}
        hint={t`The six digits that the app shows now.`}
        name="code"
        autoComplete="one-time-code"
        inputMode="numeric"
        value={code}
        onChange={setCode}
        error={isWrong ? t`That is not the code of this moment. Look at the app again.` : undefined}
        autoFocus
      />
      <Button type="submit" look="primary" className="w-full" isPending={confirm.isRunning} isDisabled={code.trim() === ""}>{t`Turn it on`}</Button>
    </form>
  );
}

function ShownOnce({ codes, onClose }: { codes: readonly string[]; onClose: () => void }) {
  const { t } = useLingui();
  const text = codes.join("\n");
  const file = `data:text/plain;charset=utf-8,${encodeURIComponent(`MassiveSMS\n\n${text}\n`)}`;
  const actions = (
    <>
      <Button
        icon="copy"
        onPress={async () => {
          await navigator.clipboard.writeText(text);
          toast({ text: t`Copied` });
        }}
      >
        {t`Copy`}
      </Button>
      <a href={file} download="massivesms-recovery-codes.txt" className="inline-flex min-h-10 items-center rounded-lg border border-line-strong bg-surface px-4 py-2 font-medium text-text no-underline hover:bg-sunken">
        {t`Download`}
      </a>
      <Button look="primary" onPress={onClose}>{t`I have put them away`}</Button>
    </>
  );
  return (
    <Dialog isOpen onClose={onClose} title={t`Your recovery codes`} actions={actions} isAlert>
      <p className="mb-4">
        <Trans>They are shown this once. Put them where your phone is not: each logs you in once, without it.</Trans>
      </p>
      <ul className="grid grid-cols-1 gap-2 rounded-xl bg-sunken p-4 font-mono sm:grid-cols-2">
        {codes.map((code) => (
          <li key={code} className="text-center break-all">
            {code}
          </li>
        ))}
      </ul>
    </Dialog>
  );
}

function NewPasskey({ onClose, onDone }: { onClose: () => void; onDone: (codes: readonly string[]) => void }) {
  const { t } = useLingui();
  const begin = useChange(BeginPasskey);
  const add = useChange(AddPasskey);
  const [name, setName] = useState("");
  return (
    <ByProof
      title={t`Add a passkey`}
      action={t`Go on`}
      onClose={onClose}
      onProof={async (given) => {
        const begun = await begin.run(given);
        if (begun.problem !== null) return begun.problem;
        const credential = await makePasskey(begun.done.options);
        const added = await add.run({ token: begun.done.token, credential, name: name.trim() || t`Passkey` });
        if (added.problem !== null) return added.problem;
        onDone(added.done.recoveryCodes);
        toast({ text: t`The passkey is added.` });
        await renew();
        return null;
      }}
    >
      <div className="space-y-4">
        <p>
          <Trans>Your browser asks next which device should keep it.</Trans>
        </p>
        <Field label={t`What to call it`} placeholder={t`Laptop`} maxLength={100} value={name} onChange={setName} />
      </div>
    </ByProof>
  );
}

function Rename({ passkey, onClose }: { passkey: Passkey; onClose: () => void }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const rename = useChange(RenamePasskey);
  const [name, setName] = useState(passkey.name);
  const [problem, setProblem] = useState<Problem | null>(null);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const outcome = await rename.run({ id: passkey.id, name: name.trim() });
    setProblem(outcome.problem);
    if (outcome.problem === null) onClose();
  };
  return (
    <Dialog isOpen onClose={onClose} title={t`Rename the passkey`}>
      <form onSubmit={submit} className="space-y-4" noValidate>
        <Field label={t`What to call it`} maxLength={100} value={name} onChange={setName} error={problem === null ? undefined : textOf(problem)} autoFocus />
        <div className="flex flex-wrap justify-end gap-2">
          <Button onPress={onClose}>{t`Not now`}</Button>
          <Button type="submit" look="primary" isPending={rename.isRunning} isDisabled={name.trim() === ""}>{t`Rename`}</Button>
        </div>
      </form>
    </Dialog>
  );
}
