import { expect, test } from "vitest";
import { includeOf, readTags, snippetNameOf } from "./shared";

test("a name of a snippet is made of what people type", () => {
  expect(snippetNameOf("Assinatura da Ação")).toBe("assinatura-da-acao");
  expect(snippetNameOf("stop_line!")).toBe("stop_line");
  expect(snippetNameOf("x".repeat(60))).toHaveLength(40);
  expect(includeOf("signature")).toBe("{snippet.signature}");
});

test("tags are read one by one, each once", () => {
  expect(readTags(" launch, ,vip,launch ")).toEqual(["launch", "vip"]);
  expect(readTags("")).toEqual([]);
});
