// Writes the call of an operation in a language: with curl, or with the library for it.
export const LANGUAGES = ["curl", "Python", "Node.js", "Ruby", "PHP", "Go"];
const NAMES = { Python: "python", "Node.js": "node", Ruby: "ruby", PHP: "php", Go: "go" };
const HOSTED = "https://api.massivesms.com";

/** The path of an example, with the parameters that an operation cannot do without. */
function addressOf({ path, operation, origin }) {
  const parameters = operation.parameters ?? [];
  const value = (each) => each.example ?? each.schema?.example ?? each.schema?.default ?? each.schema?.enum?.[0] ?? `{${each.name}}`;
  const filled = path.replace(/\{(\w+)\}/g, (whole, name) => {
    const found = parameters.find((each) => each.in === "path" && each.name === name);
    return found ? encodeURIComponent(value(found)) : whole;
  });
  const query = parameters.filter((each) => each.in === "query" && each.required);
  const text = query.map((each) => `${each.name}=${encodeURIComponent(value(each))}`).join("&");
  return origin + filled + (text && `?${text}`);
}

const quoted = (text) => text.replaceAll("'", "'\\''");

function curl({ verb, address, body, keyed, key }) {
  return [
    `curl ${verb === "GET" || (verb === "POST" && body) ? "" : `-X ${verb} `}'${quoted(address)}'`,
    `  -H "Authorization: Bearer ${key || "$MASSIVESMS_API_KEY"}"`,
    keyed && `  -H "Idempotency-Key: $(uuidgen)"`,
    body && `  -H 'Content-Type: application/json'`,
    body && `  -d '${quoted(JSON.stringify(body, null, 2))}'`,
  ].filter(Boolean).join(" \\\n");
}

const given = (pairs) => pairs.filter(([, value]) => value).map(([name, value]) => `${name}${JSON.stringify(value)}`).join(", ");
const single = (text) => text.replaceAll('"', "'");

/** The lines before a call: they make a client with the reader's key and host; without, both are of the environment. */
const SETUP = {
  Python: (key, host) => `from massivesms import MassiveSMS\n\nclient = MassiveSMS(${given([["api_key=", key], ["base_url=", host]])})\n`,
  "Node.js": (key, host) => {
    const options = given([["apiKey: ", key], ["baseUrl: ", host]]);
    return `import { MassiveSMS } from "@massivesms/node";\n\nconst client = new MassiveSMS(${options && `{ ${options} }`});\n`;
  },
  Ruby: (key, host) => {
    const options = given([["api_key: ", key], ["base_url: ", host]]);
    return `require "massivesms"\n\nclient = MassiveSMS::Client.new${options && `(${options})`}\n`;
  },
  PHP: (key, host) => {
    const options = single(given([["'api_key' => ", key], ["'base_url' => ", host]]));
    return `require 'vendor/autoload.php';\n\n$client = new \\MassiveSMS\\Client(${options && `[${options}]`});\n`;
  },
  Go: (key, host) => `client := massivesms.New(${JSON.stringify(key)}${host && `, massivesms.WithBaseURL(${JSON.stringify(host)})`})\nctx := context.Background()\n`,
};

/**
 * The call of an operation, by its path, method and description in the document. `samples` holds the calls of the
 * libraries by operation and language; `key` is the reader's, or nothing.
 */
export function sampleOf(language, { path, method, operation, origin, samples, key = "" }) {
  if (language === "curl") {
    return curl({
      verb: method.toUpperCase(),
      address: addressOf({ path, operation, origin }),
      body: operation.requestBody?.content?.["application/json"]?.example,
      keyed: (operation.parameters ?? []).some((each) => each.$ref === "#/components/parameters/IdempotencyKey"),
      key,
    });
  }
  const call = samples?.[operation.operationId]?.[NAMES[language]];
  if (!call) return "";
  return `${SETUP[language](key, origin === HOSTED ? "" : origin)}\n${call}`;
}
