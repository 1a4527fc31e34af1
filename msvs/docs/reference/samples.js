// Writes the request of an operation in a language, with what its language has for HTTP.
export const LANGUAGES = ["curl", "Python", "Node.js"];

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
const indented = (text, by) => text.replaceAll("\n", `\n${" ".repeat(by)}`);

/** JSON as Python writes it; words inside of strings stay. */
function pythonOf(value, depth = 0) {
  const inner = " ".repeat(4 * (depth + 1));
  const end = " ".repeat(4 * depth);
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value !== "object") return JSON.stringify(value);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  const items = Array.isArray(value)
    ? value.map((each) => pythonOf(each, depth + 1))
    : Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}: ${pythonOf(each, depth + 1)}`);
  return items.length ? `${open}\n${items.map((item) => `${inner}${item},\n`).join("")}${end}${close}` : open + close;
}

const WRITERS = {
  curl: ({ verb, address, body, keyed }) =>
    [
      `curl ${verb === "GET" || (verb === "POST" && body) ? "" : `-X ${verb} `}'${quoted(address)}'`,
      `  -H "Authorization: Bearer $KEY"`,
      keyed && `  -H "Idempotency-Key: $(uuidgen)"`,
      body && `  -H 'Content-Type: application/json'`,
      body && `  -d '${quoted(JSON.stringify(body, null, 2))}'`,
    ].filter(Boolean).join(" \\\n"),

  Python: ({ verb, address, body, keyed }) =>
    [
      "import os",
      keyed && "import uuid",
      "\nimport httpx\n",
      "answer = httpx.request(",
      `    ${JSON.stringify(verb)},`,
      `    ${JSON.stringify(address)},`,
      "    headers={",
      `        "Authorization": f"Bearer {os.environ['KEY']}",`,
      keyed && `        "Idempotency-Key": str(uuid.uuid4()),`,
      "    },",
      body && `    json=${pythonOf(body, 1)},`,
      ")",
      "print(answer.status_code, answer.json())",
    ].filter(Boolean).join("\n"),

  "Node.js": ({ verb, address, body, keyed }) =>
    [
      `const answer = await fetch(${JSON.stringify(address)}, {`,
      `  method: ${JSON.stringify(verb)},`,
      "  headers: {",
      "    Authorization: `Bearer ${process.env.KEY}`,",
      keyed && `    "Idempotency-Key": crypto.randomUUID(),`,
      body && `    "Content-Type": "application/json",`,
      "  },",
      body && `  body: JSON.stringify(${indented(JSON.stringify(body, null, 2), 2)}),`,
      "});",
      "console.log(answer.status, await answer.json());",
    ].filter(Boolean).join("\n"),
};

/** The request of an operation, by its path, method and description in the document. */
export function sampleOf(language, { path, method, operation, origin }) {
  return WRITERS[language]({
    verb: method.toUpperCase(),
    address: addressOf({ path, operation, origin }),
    body: operation.requestBody?.content?.["application/json"]?.example,
    keyed: (operation.parameters ?? []).some((each) => each.$ref === "#/components/parameters/IdempotencyKey"),
  });
}
