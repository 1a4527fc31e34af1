// Passkeys, as the browser makes and uses them. What it is given and what it answers is JSON.
import { t } from "@lingui/core/macro";
import type { Problem } from "@/api/problems";

export const hasPasskeys = (): boolean => typeof PublicKeyCredential !== "undefined" && "parseRequestOptionsFromJSON" in PublicKeyCredential;

const refused = (message: string): Error => {
  const problem: Problem = { kind: "input", code: "passkey_refused", message, details: {} };
  return Object.assign(new Error(message), { problem });
};

async function answered(asked: Promise<Credential | null>): Promise<string> {
  try {
    const credential = await asked;
    if (credential === null) throw refused(t`The browser gave no passkey.`);
    return JSON.stringify((credential as PublicKeyCredential).toJSON());
  } catch (error) {
    const { name } = error as Error;
    if (name === "SecurityError") throw refused(t`Passkeys do not work at this address. On your own machine, open the dashboard at localhost.`);
    if (name === "InvalidStateError") throw refused(t`This device has a passkey for your account already.`);
    if (name === "NotAllowedError" || name === "AbortError") throw refused(t`The passkey was not given. Try again when you are ready.`);
    throw error;
  }
}

/** Use a passkey; the answer as JSON. Throws an error with a problem. */
export const givePasskey = (options: string): Promise<string> =>
  answered(navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(JSON.parse(options) as PublicKeyCredentialRequestOptionsJSON) }));

/** Make a passkey; the answer as JSON. Throws an error with a problem. */
export const makePasskey = (options: string): Promise<string> =>
  answered(navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(JSON.parse(options) as PublicKeyCredentialCreationOptionsJSON) }));
