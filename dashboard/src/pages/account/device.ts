// What a browser calls itself, made short.

const BROWSERS: readonly (readonly [RegExp, string])[] = [
  [/\bEdg(?:A|iOS)?\//, "Edge"],
  [/\bOPR\//, "Opera"],
  [/\bSamsungBrowser\//, "Samsung Internet"],
  [/\b(?:Firefox|FxiOS)\//, "Firefox"],
  [/\b(?:HeadlessChrome|Chrome|CriOS)\//, "Chrome"],
  [/\bSafari\//, "Safari"],
];
const SYSTEMS: readonly (readonly [RegExp, string])[] = [
  [/\b(?:iPhone|iPad)\b/, "iOS"],
  [/\bAndroid\b/, "Android"],
  [/\bWindows\b/, "Windows"],
  [/\bMac OS X\b/, "macOS"],
  [/\bCrOS\b/, "ChromeOS"],
  [/\bLinux\b/, "Linux"],
];

const find = (among: typeof BROWSERS, agent: string) => among.find(([pattern]) => pattern.test(agent))?.[1];

/** Return the browser and system of a user agent, or its first words where it names none that we know. */
export function deviceOf(agent: string): string {
  const known = [find(BROWSERS, agent), find(SYSTEMS, agent)].filter((each) => each !== undefined);
  return known.length > 0 ? known.join(" · ") : agent.slice(0, 60);
}
