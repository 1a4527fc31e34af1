/** How far something is; without a whole it is only said that it goes on. */
export function Bar({ label, done, whole }: { label: string; done: number; whole: number }) {
  const part = whole <= 0 ? 0 : Math.min(1, done / whole);
  return (
    <div
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      {...(whole > 0 ? { "aria-valuenow": Math.round(part * 100) } : {})}
      className="h-2.5 overflow-hidden rounded-full bg-line"
    >
      <div className={`h-full rounded-full bg-brand transition-[width] duration-500 motion-reduce:transition-none ${whole > 0 ? "" : "animate-pulse motion-reduce:animate-none"}`} style={{ width: whole > 0 ? `${part * 100}%` : "100%" }} />
    </div>
  );
}
