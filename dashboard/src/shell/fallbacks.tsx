import { useLingui } from "@lingui/react/macro";
import { useRouter, type ErrorComponentProps } from "@tanstack/react-router";
import { Button, ButtonLink } from "@/ui/button";
import { EmptyState, Loading } from "@/ui/states";

export function Pending() {
  return <Loading />;
}

export function NotFound() {
  const { t } = useLingui();
  return (
    <EmptyState isPage icon="search" title={t`There is no such page`} action={<ButtonLink look="primary" to="/">{t`To the start`}</ButtonLink>}>
      {t`The address may have a typo, or what it showed is gone.`}
    </EmptyState>
  );
}

/** A page that could not be shown, often since a newer build has replaced its files. */
export function Broken({ error, reset }: ErrorComponentProps) {
  const said = error instanceof Error ? error.message : "";
  const { t } = useLingui();
  const router = useRouter();
  const isStale = /import|fetch|module/i.test(said);
  const again = () => {
    if (isStale) location.reload();
    reset();
    void router.invalidate();
  };
  return (
    <div role="alert">
      <EmptyState isPage icon="warning" title={isStale ? t`This page could not be loaded` : t`This page broke`} action={<Button look="primary" icon="refresh" onPress={again}>{t`Load again`}</Button>}>
        {isStale ? t`You may be offline, or the dashboard has been renewed meanwhile.` : said}
      </EmptyState>
    </div>
  );
}
