import { ConfigurationError } from "./errors.js";
import { VERSION } from "./version.js";

const BASE_URL = "https://api.massivesms.com";
const BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

interface Globals {
  process?: { env?: Record<string, string | undefined>; versions?: Record<string, string>; platform?: string };
  Deno?: { version?: { deno?: string }; build?: { os?: string } };
  Bun?: { version?: string };
  EdgeRuntime?: unknown;
  document?: unknown;
  window?: { document?: unknown };
}

const globals = globalThis as Globals;

/** Return a variable of the environment, where there is one. */
export function environment(name: string): string | undefined {
  try {
    return globals.process?.env?.[name];
  } catch {
    return undefined;
  }
}

/** Return whether a key is a live one. */
export function readKey(key: string): boolean {
  const found = /^msvs_(live|test)_([0-9A-Za-z]{30})([0-9A-Za-z]{6})$/.exec(key);
  if (!found || key.endsWith("\n")) {
    throw new ConfigurationError("The API key is not one: msvs_live_ or msvs_test_ and 36 characters.");
  }
  if (checksum(found[2]!) !== found[3]) {
    throw new ConfigurationError("The API key is not whole: its checksum does not fit. Copy it again.");
  }
  return found[1] === "live";
}

/** Return the six characters of a key's CRC-32. */
export function checksum(body: string): string {
  let crc = 0xffffffff;
  for (let index = 0; index < body.length; index++) {
    crc ^= body.charCodeAt(index);
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  let number = (crc ^ 0xffffffff) >>> 0;
  let characters = "";
  for (let count = 0; count < 6; count++) {
    characters = BASE62[number % 62]! + characters;
    number = Math.floor(number / 62);
  }
  return characters;
}

/** Return a base URL without slashes at its end; plain HTTP leads to this machine alone. */
export function readBaseUrl(given: string | undefined): string {
  const url = given || environment("MASSIVESMS_BASE_URL") || BASE_URL;
  let parts: URL;
  try {
    parts = new URL(url);
  } catch {
    throw new ConfigurationError("The base URL cannot be read.");
  }
  if (!["http:", "https:"].includes(parts.protocol)) {
    throw new ConfigurationError("The base URL begins with https:// and names a host.");
  }
  if (parts.username || parts.password || /[?#]/.test(url)) {
    throw new ConfigurationError("The base URL has no user, query or fragment.");
  }
  if (parts.protocol === "http:" && !LOOPBACK.includes(parts.hostname)) {
    throw new ConfigurationError("The base URL is plain HTTP, which would show the API key: use https://.");
  }
  return url.replace(/\/+$/, "");
}

/** Whether this runs in a browser, where a key would be shown to everybody. */
export function isBrowser(): boolean {
  return globals.window !== undefined && globals.window.document !== undefined && globals.Deno === undefined;
}

/** Return what names this package, and the caller's application where it is given. */
export function userAgent(appInfo: string | undefined): string {
  let runtime = "edge";
  let system = "unknown";
  if (globals.Deno) {
    runtime = `deno ${globals.Deno.version?.deno ?? ""}`.trim();
    system = globals.Deno.build?.os ?? system;
  } else if (globals.process?.versions) {
    const { versions } = globals.process;
    runtime = versions.bun ? `bun ${versions.bun}` : `node ${versions.node ?? ""}`.trim();
    system = globals.process.platform ?? system;
  }
  const told = `massivesms-node/${VERSION} (${runtime}; ${system})`;
  if (appInfo === undefined) return told;
  if (!/^[ -~]+$/.test(appInfo)) throw new ConfigurationError("appInfo is printable ASCII.");
  return `${told} ${appInfo}`;
}
