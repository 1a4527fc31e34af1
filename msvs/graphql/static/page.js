// GraphiQL over /graphql. The key is kept for this tab alone, and sent as the bearer of each request.
"use strict";

const KEPT = "msvs.graphiql.key";
const START = `query Overview {
  viewer { livemode workspace { name } }
  credits { balance }
  messages(first: 5) { nodes { id to status createdAt } }
}
`;
const box = document.getElementById("key");
const viewer = document.getElementById("viewer");
const root = ReactDOM.createRoot(document.getElementById("graphiql"));

async function post(request, headers = {}) {
  const key = sessionStorage.getItem(KEPT);
  const bearer = key ? { Authorization: `Bearer ${key}` } : {};
  const response = await fetch("/graphql", {
    method: "POST",
    headers: { "Content-Type": "application/json", ...bearer, ...headers },
    body: JSON.stringify({
      query: request.query,
      variables: request.variables || {},
      operationName: request.operationName || null,
    }),
  });
  return response.json();
}

/** Without a key nothing is asked, and GraphiQL has no schema to read. */
function render() {
  const key = sessionStorage.getItem(KEPT);
  root.render(
    React.createElement(GraphiQL, {
      key: key || "", // a new key, a new schema to read
      ...(key ? {} : { schema: null }),
      fetcher: (request, options) => post(request, options && options.headers),
      defaultQuery: START,
      shouldPersistHeaders: false,
    }),
  );
}

async function show() {
  render();
  if (!sessionStorage.getItem(KEPT)) {
    viewer.textContent = "Enter a sandbox key to read the schema and run queries.";
    return;
  }
  const answer = await post({ query: "{ viewer { livemode workspace { name } } }" });
  const found = answer.data && answer.data.viewer;
  viewer.textContent = found
    ? `${found.workspace.name}, ${found.livemode ? "live" : "sandbox"}`
    : answer.errors[0].message;
}

// GraphiQL gives its editors no names, and their scrolled parts no place in the order of the keyboard.
function nameEditors() {
  for (const field of document.querySelectorAll(".CodeMirror textarea:not([aria-label])")) {
    const tool = field.closest("section, .graphiql-editor-tool, .result-window");
    field.setAttribute("aria-label", (tool && tool.getAttribute("aria-label")) || "Editor");
  }
  for (const part of document.querySelectorAll('.CodeMirror-scroll[tabindex="-1"]')) part.tabIndex = 0;
}
new MutationObserver(nameEditors).observe(document.getElementById("graphiql"), { childList: true, subtree: true });

document.getElementById("caller").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEPT, box.value.trim());
  show();
});
box.value = sessionStorage.getItem(KEPT) || "";
show();
