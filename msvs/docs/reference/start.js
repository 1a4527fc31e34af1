// Opens Swagger UI on the document of the service that serves this page, and tries operations on that service.
const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", paint);
paint();

const here = {
  statePlugins: {
    spec: {
      wrapActions: {
        updateJsonSpec: (original) => (spec) => original({ ...spec, servers: [{ url: location.origin }] }),
      },
    },
  },
};

SwaggerUIBundle({
  url: new URL("../../openapi.json", location).pathname,
  dom_id: "#reference",
  plugins: [here],
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  docExpansion: "list",
  filter: true,
  oauth2RedirectUrl: null,
  persistAuthorization: false,
  queryConfigEnabled: false,
  tryItOutEnabled: false,
  validatorUrl: null,
});
