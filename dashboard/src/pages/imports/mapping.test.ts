import { expect, test } from "vitest";
import { changesOf, claimedTwice, keyOf, type Options } from "./mapping";
import type { Import } from "./shared";

const row = { evidence: null } as Import;
const before: Options = { mapping: { Phone: "phone", Name: "ignore" }, listId: null, region: "", update: "overwrite", source: "", at: "", text: "" };
const noTime = () => null;

test("a key is made of a title", () => {
  expect(keyOf("Données client – Ville")).toBe("donnees_client_ville");
  expect(keyOf("名前")).toBe("column");
});

test("one column alone can be a name, several can be phones and attributes of their own", () => {
  expect([...claimedTwice({ a: "phone", b: "phone", c: "ignore", d: "ignore" })]).toEqual([]);
  expect([...claimedTwice({ a: "first_name", b: "first_name", c: "attributes.x", d: "attributes.x" })]).toEqual(["first_name", "attributes.x"]);
});

test("nothing is sent that was not changed", () => {
  expect(changesOf(before, before, row, noTime)).toEqual({});
  expect(changesOf(before, { ...before, region: " us " }, row, noTime)).toEqual({ defaultRegion: "US" });
});

test("evidence is sent whole, keeps what this page does not show, and is cleared with its source", () => {
  const told = { ...row, evidence: { source: "checkout", at: "2026-11-01T10:00:00Z", text: null, ip: "203.0.113.4", userAgent: null, version: "2" } } as Import;
  const known = { ...before, source: "checkout", at: "2026-11-01T10:00" };
  expect(changesOf(known, { ...known, text: "Texts, please" }, told, noTime).evidence).toEqual({
    source: "checkout", at: "2026-11-01T10:00:00Z", text: "Texts, please", ip: "203.0.113.4", userAgent: null, version: "2", renewed: false,
  });
  expect(changesOf(known, { ...known, source: " " }, told, noTime)).toEqual({ evidence: null });
});
