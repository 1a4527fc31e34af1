// Proving once more who is logged in, before what cannot be taken back: the password, and a second factor for who has one.
import { useLingui } from "@lingui/react/macro";
import { useState } from "react";
import { useChange } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { useSession } from "@/api/session";
import { graphql } from "@/gql";
import { Button } from "./button";
import { Field } from "./fields";
import { givePasskey, hasPasskeys } from "./passkey";
import { Callout } from "./show";
import { useProblemText } from "./states";

const BeginConfirmation = graphql(`
  mutation ProofBeginPasskey {
    beginPasskeyConfirmation {
      __typename
      ... on PasskeyChallenge { token options }
      ... on RateLimitError { retryAfter }
      ... on Error { code message param }
    }
  }
`);

/** What a mutation that asks for it takes. */
export interface Given {
  currentPassword: string;
  code?: string;
  passkey?: { token: string; credential: string };
}

export interface Proof {
  password: string;
  setPassword: (value: string) => void;
  code: string;
  setCode: (value: string) => void;
  isByPasskey: boolean;
  setByPasskey: (value: boolean) => void;
  isComplete: boolean;
  /** Ask for the passkey where one is to be used, then send. Returns what went wrong, or null. */
  send: (mutation: (given: Given) => Promise<{ problem: Problem | null }>) => Promise<Problem | null>;
}

export function useProof(): Proof {
  const { user } = useSession();
  const begin = useChange(BeginConfirmation);
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [isByPasskey, setByPasskey] = useState(false);
  const send: Proof["send"] = async (mutation) => {
    const given: Given = { currentPassword: password };
    if (user.hasSecondFactor && !isByPasskey) given.code = code.trim();
    if (user.hasSecondFactor && isByPasskey) {
      const { done, problem } = await begin.run({});
      if (done === null) return problem;
      try {
        given.passkey = { token: done.token, credential: await givePasskey(done.options) };
      } catch (error) {
        const told = (error as { problem?: Problem }).problem;
        if (told === undefined) throw error;
        return told;
      }
    }
    const { problem } = await mutation(given);
    setCode("");
    return problem;
  };
  const isComplete = password !== "" && (!user.hasSecondFactor || isByPasskey || code.trim() !== "");
  return { password, setPassword, code, setCode, isByPasskey, setByPasskey, isComplete, send };
}

/** Tell whether the fields of a proof show a problem themselves. */
export const isOfProof = (problem: Problem): boolean => problem.code === "password_wrong" || problem.param === "code" || problem.param === "passkey";

export function ProofFields({ of: proof, problem, passwordLabel, autoFocus = false }: { of: Proof; problem: Problem | null; passwordLabel?: string; autoFocus?: boolean }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const { user } = useSession();
  const isFactor = problem !== null && problem.code !== "password_wrong" && isOfProof(problem);
  return (
    <>
      <Field
        label={passwordLabel ?? t`Your password`}
        type="password"
        autoComplete="current-password"
        value={proof.password}
        onChange={proof.setPassword}
        error={problem?.code === "password_wrong" ? t`The password is wrong.` : undefined}
        autoFocus={autoFocus}
      />
      {user.hasSecondFactor && !proof.isByPasskey && (
        <Field
          label={t`Code of your app, or a recovery code`}
          autoComplete="one-time-code"
          value={proof.code}
          onChange={proof.setCode}
          error={isFactor ? t`The code is wrong, or was used already.` : undefined}
        />
      )}
      {proof.isByPasskey && isFactor && <Callout tone="danger">{textOf(problem)}</Callout>}
      {user.hasSecondFactor && hasPasskeys() && (
        <Button look="quiet" size="small" onPress={() => proof.setByPasskey(!proof.isByPasskey)}>
          {proof.isByPasskey ? t`Use a code instead` : t`Use a passkey instead`}
        </Button>
      )}
    </>
  );
}
