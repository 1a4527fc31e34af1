// The language of the page: the texts of a folder of pages are loaded when one of them is first opened.
import { i18n, type Messages } from "@lingui/core";

export const LANGUAGES = { en: "English", "pt-BR": "Português", es: "Español" } as const;
export type Language = keyof typeof LANGUAGES;

const KEPT = "msvs.language";
const catalogs = import.meta.glob<{ messages: Messages }>(["./locales/*.po", "./pages/*/locales/*.po"]);
const places = new Set<string>(["."]);

function first(): Language {
  const asked = [readKept(), ...navigator.languages];
  for (const each of asked) {
    if (each?.startsWith("pt")) return "pt-BR";
    if (each?.startsWith("es")) return "es";
    if (each?.startsWith("en")) return "en";
  }
  return "en";
}

function readKept(): string | null {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

async function load(place: string, language: Language) {
  const catalog = catalogs[`${place}/locales/${language}.po`];
  if (catalog !== undefined) i18n.load(language, (await catalog()).messages);
}

/** Load the texts of a folder of pages, for this language and those chosen later. */
export async function loadTexts(page: string) {
  const place = `./pages/${page}`;
  if (places.has(place)) return;
  places.add(place);
  await load(place, i18n.locale as Language);
}

export async function enterLanguage(language: Language) {
  await Promise.all([...places].map((place) => load(place, language)));
  i18n.activate(language);
  document.documentElement.lang = language;
}

export async function chooseLanguage(language: Language) {
  try {
    localStorage.setItem(KEPT, language);
  } catch {
    // It holds for this page then.
  }
  await enterLanguage(language);
}

export const startLanguage = () => enterLanguage(first());
