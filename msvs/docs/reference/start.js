// Opens Swagger UI on the document of the service that serves this page, and tries operations on that service.
import { watchKey } from "../assets/key.js";
import { LANGUAGES, sampleOf } from "./samples.js";

const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", paint);
paint();

const KEPT = "msvs.reference.language";
// The key that the reader had filled into the samples of the guides, while they are logged in; and what shows it.
let filled = "";
const fills = new Set();
watchKey((key) => {
  filled = key;
  for (const fill of fills) fill(key);
});
const samples = await fetch(new URL("samples.json", import.meta.url)).then((answer) => (answer.ok ? answer.json() : {}), () => ({}));

/** A request of one operation in several languages, as a component of Swagger UI. */
function makeSamples({ React, specSelectors, authSelectors }) {
  const h = React.createElement;
  return function Samples({ path, method }) {
    const [language, choose] = React.useState(localStorage.getItem(KEPT) ?? "curl");
    const [own, fill] = React.useState(filled);
    React.useEffect(() => {
      fills.add(fill);
      fill(filled);
      return () => fills.delete(fill);
    }, []);
    const operation = specSelectors.specJson().getIn(["paths", path, method]);
    if (!operation) return null;
    const keep = (name) => {
      localStorage.setItem(KEPT, name);
      choose(name);
    };
    // As the reader gave it under "Authorize", for calls that are tried here.
    const key = authSelectors.authorized()?.getIn(["apiKey", "value"]) ?? own;
    const chosen = LANGUAGES.includes(language) ? language : LANGUAGES[0];
    return h(
      "section",
      { className: "samples" },
      h("h4", null, "Sample request"),
      h(
        "div",
        { role: "group", "aria-label": "Language of the sample" },
        LANGUAGES.map((name) =>
          h("button", { key: name, type: "button", "aria-pressed": name === chosen, onClick: () => keep(name) }, name),
        ),
      ),
      h(
        "pre",
        { tabIndex: 0, "aria-label": `Sample in ${chosen}` },
        h("code", null, sampleOf(chosen, { path, method, operation: operation.toJS(), origin: location.origin, samples, key })),
      ),
    );
  };
}

/** The events that webhooks bring are no requests that anyone sends here: they have a page of their own. */
function makeEvents({ React }) {
  const h = React.createElement;
  return () =>
    h(
      "section",
      { className: "events" },
      h("h3", null, "Events"),
      h("p", null, "What a webhook brings is on the page of ", h("a", { href: "../events" }, "event types"), ", with an example each."),
    );
}

/** The parts of Swagger UI's own layout that say something here, inside of one main landmark. */
function makeLayout({ React, getComponent }) {
  const h = React.createElement;
  const part = (name) => h(getComponent(name, true), { key: name });
  return function Reference({ specSelectors }) {
    const status = specSelectors.loadingStatus();
    if (status === "failed") return h("p", { role: "alert" }, "The description of the API cannot be loaded. Reload the page to try again.");
    // The list of operations is there to read until then.
    if (status !== "success" || !specSelectors.specStr()) return null;
    document.getElementById("listed").hidden = true;
    return h(
      "div",
      { className: "swagger-ui" },
      h(getComponent("SvgAssets")),
      h("div", { className: "wrapper" }, part("InfoContainer"), part("errors")),
      h("div", { className: "wrapper tools" }, part("FilterContainer"), part("AuthorizeBtnContainer")),
      h("div", { className: "wrapper" }, part("operations"), part("Webhooks")),
    );
  };
}

const ours = (system) => {
  const { React } = system;
  const Samples = makeSamples(system);
  return {
    statePlugins: {
      spec: {
        wrapActions: {
          updateJsonSpec: (original) => (spec) => original({ ...spec, servers: [{ url: location.origin }] }),
        },
      },
    },
    components: {
      // Swagger UI puts a link into the button that opens an operation; the button does it all.
      DeepLink: ({ text }) => React.createElement("span", null, text),
      Webhooks: makeEvents(system),
      Reference: makeLayout(system),
    },
    wrapComponents: {
      responses: (Original) => (props) =>
        React.createElement(React.Fragment, null, React.createElement(Samples, props), React.createElement(Original, props)),
    },
  };
};

// Swagger UI goes from its title to headings of the third level.
const LEVELS = { h3: 2, h4: 3, h5: 4 };

/** Names what Swagger UI leaves without a name, and puts its headings in order. */
function complete() {
  for (const select of document.querySelectorAll("select:not([aria-label])")) {
    const row = select.closest("tr")?.dataset.paramName;
    select.setAttribute("aria-label", row ?? (select.closest(".responses-wrapper") ? "Media type of the response" : "Media type of the request"));
  }
  for (const field of document.querySelectorAll("td input:not([aria-label]), textarea:not([aria-label])")) {
    field.setAttribute("aria-label", field.closest("tr")?.dataset.paramName ?? "Request body");
  }
  for (const [tag, level] of Object.entries(LEVELS)) {
    for (const heading of document.querySelectorAll(`#reference ${tag}:not([aria-level])`)) heading.setAttribute("aria-level", level);
  }
  for (const box of document.querySelectorAll(".microlight:not([tabindex])")) box.tabIndex = 0;
}
new MutationObserver(complete).observe(document.getElementById("reference"), { childList: true, subtree: true });

SwaggerUIBundle({
  url: new URL("../../openapi.json", location).pathname,
  dom_id: "#reference",
  plugins: [ours],
  layout: "Reference",
  deepLinking: true,
  defaultModelsExpandDepth: -1,
  displayRequestDuration: true,
  // Closed tags: to draw all operations at once takes seconds.
  docExpansion: "none",
  filter: true,
  oauth2RedirectUrl: null,
  persistAuthorization: false,
  queryConfigEnabled: false,
  tryItOutEnabled: false,
  validatorUrl: null,
});
