// How @hey-api/openapi-ts generates: for ES modules that Node runs as they are.
export default {
  input: process.env.OPENAPI,
  output: { path: "generated", module: { extension: ".js" }, importFileExtension: ".js" },
  plugins: ["@hey-api/client-fetch", "@hey-api/typescript", "@hey-api/sdk"],
};
