// What the pages of templates and the composers know of templates and snippets.
import { graphql } from "@/gql";

export const TemplateRow = graphql(`
  fragment TemplateRow on MessageTemplate { id name body tags archivedAt version updatedAt }
`);
export const SnippetRow = graphql(`
  fragment SnippetRow on Snippet { id name body version updatedAt }
`);
export const SnippetNames = graphql(`
  query SnippetNames {
    snippets(first: 100) { nodes { ...SnippetRow } }
  }
`);

export const MOST = 1600;

/** Return how bodies include a snippet. */
export const includeOf = (name: string) => `{snippet.${name}}`;

/** Return tags as they are typed, separated by commas, one by one. */
export const readTags = (text: string): string[] => [...new Set(text.split(",").map((each) => each.trim()).filter((each) => each !== ""))];

/** Return a name as one of a snippet, of what people type: without accents, spaces as hyphens. */
export function snippetNameOf(text: string): string {
  return text
    .normalize("NFD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/\s+/g, "-")
    .replace(/[^a-z0-9_-]/g, "")
    .slice(0, 40);
}
