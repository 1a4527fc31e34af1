import { useLingui } from "@lingui/react/macro";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useChange } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { graphql } from "@/gql";
import type { CreateContactInput } from "@/gql/graphql";
import { Button, ButtonLink } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field } from "@/ui/fields";
import { Callout } from "@/ui/show";
import { useProblemText } from "@/ui/states";
import { toast } from "@/ui/toast";

const Create = graphql(`
  mutation AddContact($input: CreateContactInput!) {
    createContact(input: $input) {
      __typename
      ... on Contact { ...ContactRow }
      ... on ConflictError { existingId optedOutAt }
      ... on Error { code message param }
    }
  }
`);

const FIELDS = ["phone", "firstName", "lastName", "email"] as const;
type Name = (typeof FIELDS)[number];

export function AddContact({ onClose }: { onClose: () => void }) {
  const { t } = useLingui();
  const navigate = useNavigate();
  const textOf = useProblemText();
  const create = useChange(Create);
  const [values, setValues] = useState<Record<Name, string>>({ phone: "", firstName: "", lastName: "", email: "" });
  const [source, setSource] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const labels: Record<Name, string> = { phone: t`Phone`, firstName: t`First name`, lastName: t`Last name`, email: t`E-mail` };
  const at = problem?.param?.split(".").pop();
  const isOfField = FIELDS.includes(at as Name);
  const save = async () => {
    const input: CreateContactInput = { phone: values.phone.replace(/[\s().-]/g, "") };
    for (const name of FIELDS.slice(1)) if (values[name].trim() !== "") input[name] = values[name].trim();
    if (source.trim() !== "") input.optIn = { source: source.trim(), renewed: false };
    const { done, problem: found } = await create.run({ input });
    setProblem(found);
    if (done === null) return;
    toast({ text: t`The contact is added.` });
    onClose();
    await navigate({ to: "/contacts/$id", params: { id: done.id } });
  };
  const existing = problem?.details["existingId"];
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t`Add a contact`}
      actions={
        <>
          <Button onPress={onClose}>{t`Not now`}</Button>
          <Button look="primary" isDisabled={values.phone.trim() === ""} isPending={create.isRunning} onPress={save}>{t`Add contact`}</Button>
        </>
      }
    >
      <form
        className="space-y-4"
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        <div className="grid gap-4 sm:grid-cols-2">
          {FIELDS.map((name) => (
            <Field
              key={name}
              label={labels[name]}
              {...(name === "phone" ? { type: "tel", hint: t`With + and the country, such as +12125550142.`, isRequired: true, autoFocus: true, className: "sm:col-span-2" } : {})}
              value={values[name]}
              onChange={(next) => setValues({ ...values, [name]: next })}
              error={at === name ? textOf(problem!) : undefined}
            />
          ))}
        </div>
        <Field label={t`Where they agreed to be texted`} hint={t`Such as web_form or event. Left empty, the consent is unknown.`} value={source} onChange={setSource} />
        {problem !== null && !isOfField && (
          <Callout tone="danger" action={typeof existing === "string" ? <ButtonLink size="small" to="/contacts/$id" params={{ id: existing }}>{t`Open it`}</ButtonLink> : undefined}>
            {textOf(problem)}
          </Callout>
        )}
        <button type="submit" hidden />
      </form>
    </Dialog>
  );
}
