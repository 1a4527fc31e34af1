// Warnings of the service, in the reader's language: it says them in English, with a stable code.
import { plural } from "@lingui/core/macro";
import { useLingui } from "@lingui/react/macro";

interface Warning {
  code: string;
  message: string;
}

const NUMBER = /\d+/g;

const numbersIn = (message: string): number[] => [...message.matchAll(NUMBER)].map(([each]) => Number(each));
const quotedIn = (message: string): string | undefined => /'([^']+)'/.exec(message)?.[1];

/** Return what says a warning; one that is not known here, or said otherwise, is as the service says it. */
export function useWarningText(): (warning: Warning) => string {
  const { t } = useLingui();
  const ofSender = (said: string): string | undefined => {
    const [, region, kind] = /^Carriers in (\w\w) take no (\w+(?: \w+)?) sender\.$/.exec(said) ?? /^Carriers in (\w\w) take a (\w+(?: \w+)?) sender only/.exec(said) ?? [];
    if (region === undefined) {
      const other = /^A \w+(?: \w+)? sender of another country does not reach (\w\w)\.$/.exec(said)?.[1];
      return other === undefined ? undefined : t`This sender is of another country, and does not reach ${other}.`;
    }
    const isName = kind === "alphanumeric";
    if (said.includes("only once")) return isName ? t`Carriers in ${region} take a name as the sender only once it is registered.` : t`Carriers in ${region} take this sender only once it is registered.`;
    return isName ? t`Carriers in ${region} take no name as the sender. Choose a number.` : t`Carriers in ${region} do not take this kind of sender.`;
  };
  return ({ code, message }) => {
    const [first, second] = numbersIn(message);
    const quoted = quotedIn(message);
    switch (code) {
      case "link_shortener": {
        const host = /such as (\S+)\. /.exec(message)?.[1];
        return host === undefined ? message : t`Carriers block links of public shorteners such as ${host}. Link to a domain of your own.`;
      }
      case "opt_out_words_missing":
        return t`The text does not say how to opt out. Laws and carriers ask for words such as “Reply STOP to opt out.” in marketing messages.`;
      case "leading_variable_without_fallback":
        return quoted === undefined ? message : t`The text begins with the variable “${quoted}”, which has no fallback: contacts without a value do not get it. Add what stands in for it behind a |.`;
      case "many_segments":
        return first === undefined ? message : t`${plural(first, { one: "The message takes # segment, and each is paid for. Most carriers advise at most three.", other: "The message takes # segments, and each is paid for. Most carriers advise at most three." })}`;
      case "ucs2_single_character":
        return quoted === undefined ? message : t`The character “${quoted}” alone makes this Unicode: 70 characters fit into a segment instead of 160.`;
      case "recipients_without_evidence":
        return first === undefined || second === undefined
          ? message
          : t`${plural(first, { one: "# contact has no evidence that it agreed.", other: "# contacts have no evidence that they agreed." })}`;
      case "test_too_small":
        return first === undefined
          ? message
          : t`${plural(first, { one: "The smallest variant gets about # message. Between so few, differences are mostly chance.", other: "The smallest variant gets about # messages. Between so few, differences are mostly chance." })}`;
      case "double_braces": {
        const [, written, sent, meant] = /^(\{\{.+\}\}) is sent as the text (\{.+\})\. Write (\{.+\}) for/.exec(message) ?? [];
        return written === undefined ? message : t`${written} is sent as the text ${sent}. Write ${meant} for the value of a variable.`;
      }
      case "foreign_merge_tag": {
        const [, tag, meant] = /^'(.+)' looks like .+ Write (\{.+\}) for/.exec(message) ?? [];
        return tag === undefined ? message : t`“${tag}” looks like the merge tag of another service. Write ${meant} for the value of a variable.`;
      }
      case "decomposed_letters": {
        const [, composed, short, given, long] = /segments are (\d+) \((\S+)\) instead of (\d+) \((\S+)\)\.$/.exec(message) ?? [];
        return composed === undefined ? message : t`The text has letters and their marks apart. Composed (Unicode NFC), its segments are ${composed} (${short}) instead of ${given} (${long}).`;
      }
      case "daily_cap_reached": {
        const [, total, day, left] = /cost of (\d+) credits .+ cap of (\S+): (-?\d+)\. /.exec(message) ?? [];
        return total === undefined ? message : t`The estimated cost, in credits, is ${total}, and the cap of ${day} leaves ${left}. The campaign would pause there and go on the next day.`;
      }
      case "test_without_links": {
        const names = /in variant (\w(?:, \w)*): /.exec(message)?.[1];
        return names === undefined ? message : t`Nobody can click in variant ${names}: shorten its links, and write one with https.`;
      }
      case "utm_unused":
        return t`UTM parameters are added to shortened links alone: shorten the links, or write the parameters into them.`;
      case "sender_not_carried": {
        const counted = /^(\d+) recipients looked at: (.+)$/.exec(message);
        const said = ofSender(counted?.[2] ?? message);
        if (said === undefined) return message;
        const count = Number(counted?.[1] ?? 0);
        return counted === null ? said : t`${plural(count, { one: `# recipient: ${said}`, other: `# recipients: ${said}` })}`;
      }
      default:
        return message;
    }
  };
}
