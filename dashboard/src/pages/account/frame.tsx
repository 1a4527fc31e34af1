// The frame of pages for those who are not logged in, and what all of their forms share.
import { Trans, useLingui } from "@lingui/react/macro";
import type { ReactNode } from "react";
import { OFFLINE, type Problem } from "@/api/problems";
import { chooseLanguage, LANGUAGES, type Language } from "@/i18n";

export const MIN_PASSWORD = 10;

export function AccountFrame({ title, lead, children, foot }: { title: ReactNode; lead?: ReactNode; children: ReactNode; foot?: ReactNode }) {
  const { t, i18n } = useLingui();
  return (
    <main className="flex min-h-dvh flex-col items-center px-4 py-8 sm:justify-center">
      <a href="/" className="mb-8 flex items-center gap-2.5 text-lg font-semibold text-text no-underline">
        <svg viewBox="0 0 32 32" className="size-8 fill-brand" aria-hidden="true">
          <path d="M6 4h20a4 4 0 0 1 4 4v12a4 4 0 0 1-4 4H14l-7 6v-6H6a4 4 0 0 1-4-4V8a4 4 0 0 1 4-4z" />
        </svg>
        MassiveSMS
      </a>
      <section className="w-full max-w-md rounded-2xl border border-line bg-surface p-6 shadow-card sm:p-8">
        <h1 className="text-xl font-semibold tracking-tight">{title}</h1>
        {lead !== undefined && <p className="mt-1 text-muted">{lead}</p>}
        <div className="mt-6">{children}</div>
      </section>
      {foot !== undefined && <p className="mt-5 text-center text-muted">{foot}</p>}
      <div className="mt-8 flex flex-wrap items-center justify-center gap-x-4 gap-y-2 text-sm text-muted">
        <a href="/docs/" className="text-muted">
          <Trans>Documentation</Trans>
        </a>
        <label>
          <span className="sr-only">{t`Language`}</span>
          <select value={i18n.locale} onChange={(event) => void chooseLanguage(event.target.value as Language)} className="rounded-md bg-bg py-1 text-muted">
            {Object.entries(LANGUAGES).map(([id, name]) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </select>
        </label>
      </div>
    </main>
  );
}

/** Return the problem that a failed call threw. */
export const thrownProblem = (error: unknown): Problem => (error as { problem?: Problem }).problem ?? OFFLINE;
