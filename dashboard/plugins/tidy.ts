// Takes the dates out of the catalogs of texts: only what is said and where belongs into their history.
import { globSync, readFileSync, writeFileSync } from "node:fs";

for (const file of globSync("src/**/locales/*.po")) {
  const text = readFileSync(file, "utf8");
  const tidy = text.replace(/^"(POT-Creation-Date|PO-Revision-Date|Last-Translator|Language-Team|Plural-Forms|Project-Id-Version|Report-Msgid-Bugs-To):.*\n/gm, "");
  if (tidy !== text) writeFileSync(file, tidy);
}
