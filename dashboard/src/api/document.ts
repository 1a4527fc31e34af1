// What `graphql(…)` is once it is built: plugins/documents.ts writes the id and the whole text into each call.
import { parse } from "@0no-co/graphql.web";
import type { TypedDocumentNode } from "@urql/core";

interface Sent {
  id: string;
  text: string;
}

const kept = new Map<string, Sent>();
const NAME = /^\s*(?:query|mutation|subscription)\s+(\w+)/;

export function graphql(id: string, text: string): TypedDocumentNode {
  const name = NAME.exec(text)![1]!;
  kept.set(name, { id, text });
  return parse(text, { noLocation: true }) as unknown as TypedDocumentNode;
}

/** Return what to send of an operation: its id where the service was built with it, its text in development. */
export function sentOf(name: string, variables: unknown): { id?: string; query?: string; variables: unknown } {
  const { id, text } = kept.get(name)!;
  return import.meta.env.DEV ? { query: text, variables } : { id, variables };
}
