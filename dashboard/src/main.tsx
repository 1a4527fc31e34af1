import { i18n } from "@lingui/core";
import { I18nProvider } from "@lingui/react";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { resume } from "./api/session";
import { startLanguage } from "./i18n";
import { makeRouter, preloadPage } from "./router";
import { startTheme } from "./theme";
import "./style.css";

const RETRY_MS = 2000;

async function resumed(): Promise<void> {
  for (;;) {
    try {
      await resume();
      return;
    } catch {
      document.getElementById("root")!.textContent = "…";
      await new Promise((done) => setTimeout(done, RETRY_MS));
    }
  }
}

startTheme();
const router = makeRouter();
// The page's code and texts are on their way while it is asked who is there.
preloadPage(router);
await Promise.all([startLanguage(), resumed()]);
createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <I18nProvider i18n={i18n}>
      <RouterProvider router={router} />
    </I18nProvider>
  </StrictMode>,
);
