import { globSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { LANGUAGES } from "./i18n";

const said = (part: string, word: string) => {
  const [, text = ""] = new RegExp(`^${word} ((?:".*"\\n?)+)`, "m").exec(part) ?? [];
  return [...text.matchAll(/"(.*)"/g)].map(([, line]) => line).join("");
};

/** Return what the catalogs of a language say: each text with its context, and its translations by catalog. */
function readCatalogs(language: string): Map<string, Map<string, string[]>> {
  const texts = new Map<string, Map<string, string[]>>();
  for (const file of globSync(`src/**/locales/${language}.po`)) {
    for (const part of readFileSync(file, "utf8").split("\n\n")) {
      const text = said(part, "msgid");
      if (text === "") continue;
      const key = `${said(part, "msgctxt")}\u0004${text}`;
      const found = texts.get(key) ?? new Map<string, string[]>();
      texts.set(key, found.set(said(part, "msgstr"), [...(found.get(said(part, "msgstr")) ?? []), file]));
    }
  }
  return texts;
}

// The catalogs of all pages that were opened are one: the same text by two translations would change with the way there.
test.each(Object.keys(LANGUAGES))("each text has one translation in %s, or a context that tells two apart", (language) => {
  const texts = readCatalogs(language);
  expect(texts.size).toBeGreaterThan(500);
  expect([...texts].filter(([, translations]) => translations.size > 1).map(([key, translations]) => [key, Object.fromEntries(translations)])).toEqual([]);
});

// What addresses a reader as a stranger: the word itself, and the orders of it that begin a sentence.
const FORMAL = /\busted(?:es)?\b|(?:^|[.:;] )(?:Abra|Añada|Busque|Cambie|Compre|Conecte|Confirme|Consulte|Copie|Cree|Deje|Diga|Elija|Entérese|Envíe|Escriba|Guarde|Haga|Indique|Inténte|Lea|Mire|Pida|Ponga|Pruebe|Quite|Recargue|Responda|Revise|Suba|Use|Vea|Vuelva)(?:l[aeo]s?)?(?= )/i;

test("Spanish speaks to its readers as to friends, on every page", () => {
  const said = [...readCatalogs("es").values()].flatMap((translations) => [...translations.keys()]);
  expect(said.filter((text) => FORMAL.test(text))).toEqual([]);
});
