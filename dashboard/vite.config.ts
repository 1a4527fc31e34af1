import { fileURLToPath } from "node:url";
import { lingui } from "@lingui/vite-plugin";
import optimizeLocales from "@react-aria/optimize-locales-plugin";
import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";
import { documents } from "./plugins/documents.ts";
import { precompress } from "./plugins/precompress.ts";

const root = fileURLToPath(new URL(".", import.meta.url));
const built = fileURLToPath(new URL("../msvs/dashboard/built/", import.meta.url));
const service = process.env["MSVS_DEV_URL"] ?? "http://127.0.0.1:8000";
const proxied = { target: service, changeOrigin: true, ws: true, headers: { origin: service } };

export default defineConfig({
  base: "/dashboard/",
  plugins: [
    documents(root.replace(/\/$/, ""), `${built}operations.json`),
    react(),
    lingui({ macroTransform: true, failOnMissing: process.env["MSVS_STRICT_TEXTS"] !== undefined }),
    tailwindcss(),
    { ...optimizeLocales.vite({ locales: ["en-US", "pt-BR", "es-ES"] }), enforce: "pre" },
    precompress(),
  ],
  resolve: {
    alias: [
      { find: /^@\/gql$/, replacement: `${root}src/api/document.ts` },
      { find: /^@\//, replacement: `${root}src/` },
    ],
  },
  server: { port: 5173, strictPort: true, proxy: { "/graphql": proxied } },
  build: {
    outDir: `${built}static`,
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
});
