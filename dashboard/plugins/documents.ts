// Puts each GraphQL document where it is used, whole and under its id, and writes the list of all for the server.
import { createHash } from "node:crypto";
import { globSync, readFileSync, writeFileSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { Kind, parse, print, visit, type DocumentNode, type FragmentDefinitionNode } from "graphql";
import type { Plugin } from "vite";

const CALL = /\bgraphql\(\s*(?:\/\* GraphQL \*\/\s*)?`([^`]*)`,?\s*\)/g;

interface Kept {
  id: string;
  text: string;
}

/** Add `__typename` to every selection below the root, as the cache reads it. */
function withTypenames(document: DocumentNode): DocumentNode {
  return visit(document, {
    SelectionSet(node, _key, parent) {
      const isRoot = parent !== undefined && !Array.isArray(parent) && (parent as { kind?: string }).kind === Kind.OPERATION_DEFINITION;
      const has = node.selections.some((each) => each.kind === Kind.FIELD && each.name.value === "__typename");
      if (isRoot || has) return undefined;
      return { ...node, selections: [{ kind: Kind.FIELD, name: { kind: Kind.NAME, value: "__typename" } }, ...node.selections] };
    },
  }) as DocumentNode;
}

function readFragments(sources: string[]): Map<string, FragmentDefinitionNode> {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const source of sources) {
    for (const [, text] of source.matchAll(CALL)) {
      for (const definition of parse(text!).definitions) {
        if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
      }
    }
  }
  return fragments;
}

function complete(document: DocumentNode, fragments: Map<string, FragmentDefinitionNode>): DocumentNode {
  const needed = new Map<string, FragmentDefinitionNode>();
  const own = new Set(document.definitions.flatMap((each) => (each.kind === Kind.FRAGMENT_DEFINITION ? [each.name.value] : [])));
  const look = (node: DocumentNode | FragmentDefinitionNode) =>
    visit(node, {
      FragmentSpread(spread) {
        const name = spread.name.value;
        if (needed.has(name) || own.has(name)) return;
        const found = fragments.get(name);
        if (found === undefined) throw new Error(`There is no fragment ${name}.`);
        needed.set(name, found);
        look(found);
      },
    });
  look(document);
  return { ...document, definitions: [...document.definitions, ...needed.values()] };
}

/** Return the document of a call as it is sent; null where it holds fragments alone. */
function keep(text: string, fragments: Map<string, FragmentDefinitionNode>): Kept | null {
  const parsed = parse(text);
  const operation = parsed.definitions.find((each) => each.kind === Kind.OPERATION_DEFINITION);
  if (operation === undefined) return null;
  const whole = print(withTypenames(complete(parsed, fragments))).replace(/\s+/g, " ");
  const hash = createHash("sha256").update(whole).digest("hex").slice(0, 10);
  return { id: `dashboard/${operation.name!.value}-${hash}`, text: whole };
}

export function documents(root: string, manifest: string): Plugin {
  const files = () => globSync(`${root}/src/**/*.{ts,tsx}`, { exclude: (name) => name.includes("/gql") });
  let fragments = new Map<string, FragmentDefinitionNode>();
  const renew = () => {
    fragments = readFragments(files().map((file) => readFileSync(file, "utf8")));
  };
  return {
    name: "documents",
    enforce: "pre",
    buildStart: renew,
    handleHotUpdate: renew,
    transform(code, id) {
      if (!/\.tsx?$/.test(id.split("?")[0]!) || !code.includes("graphql(")) return null;
      const changed = code.replace(CALL, (_call, text: string) => {
        const kept = keep(text, fragments);
        return kept === null ? "undefined" : `graphql(${JSON.stringify(kept.id)}, ${JSON.stringify(kept.text)})`;
      });
      return changed === code ? null : { code: changed, map: null };
    },
    writeBundle() {
      const kept: Record<string, string> = {};
      for (const file of files()) {
        for (const [, text] of readFileSync(file, "utf8").matchAll(CALL)) {
          const found = keep(text!, fragments);
          if (found !== null) kept[found.id] = found.text;
        }
      }
      mkdirSync(dirname(manifest), { recursive: true });
      writeFileSync(manifest, JSON.stringify(Object.fromEntries(Object.entries(kept).sort()), null, 1) + "\n");
    },
  };
}
