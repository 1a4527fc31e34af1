import { defineConfig } from "@lingui/cli";

export default defineConfig({
  sourceLocale: "en",
  locales: ["en", "pt-BR", "es"],
  fallbackLocales: { default: "en" },
  orderBy: "messageId",
  catalogs: [
    { path: "<rootDir>/src/pages/{name}/locales/{locale}", include: ["<rootDir>/src/pages/{name}/"] },
    { path: "<rootDir>/src/locales/{locale}", include: ["<rootDir>/src"], exclude: ["<rootDir>/src/pages/**", "<rootDir>/src/gql/**"] },
  ],
});
