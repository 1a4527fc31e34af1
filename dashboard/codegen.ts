import type { CodegenConfig } from "@graphql-codegen/cli";

// Types alone: the documents themselves are put where they are used by plugins/documents.ts.
const config: CodegenConfig = {
  schema: "../schema.graphql",
  documents: ["src/**/*.{ts,tsx}", "!src/gql/**"],
  generates: {
    "src/gql/": {
      preset: "client",
      presetConfig: { fragmentMasking: false },
      config: {
        nonOptionalTypename: true,
        enumsAsTypes: true,
        useTypeImports: true,
        defaultScalarType: "unknown",
        scalars: {
          ID: "string",
          BigInt: "number",
          DateTime: "string",
          JSONObject: "Record<string, unknown>",
        },
      },
    },
  },
  silent: true,
};

export default config;
