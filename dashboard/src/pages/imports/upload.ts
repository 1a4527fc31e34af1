// Sends a file in parts, one after the other. It goes on while other pages are seen, and ends with the tab.
import type { Client } from "@urql/core";
import { useSyncExternalStore } from "react";
import { problemOf, problemOfResult, type Problem } from "@/api/problems";
import { graphql } from "@/gql";

const AddPart = graphql(`
  mutation PageAddImportPart($id: ID!, $input: UploadPartInput!) {
    addImportPart(id: $id, input: $input) {
      __typename
      ... on ContactImport { id status fileSize }
      ... on Error { code message param }
    }
  }
`);
const Come = graphql(`
  query ImportUploaded($id: ID!) {
    contactImport(id: $id) { id status fileSize }
  }
`);

// A part in base64 has to fit into a request of GraphQL, of 256 KiB.
export const PART_BYTES = 192_000;
const MOST_TRIES = 6;
const LONGEST_WAIT_MS = 15_000;
const PASSES = new Set(["offline", "server", "rate"]);

export interface Upload {
  size: number;
  sent: number;
  isRunning: boolean;
  /** Whether a part is being sent again. */
  isRetrying: boolean;
  /** Why it stopped. */
  problem: Problem | null;
}

const uploads = new Map<string, Upload>();
const stopped = new Set<string>();
const listeners = new Set<() => void>();

function note(id: string, changes: Partial<Upload>) {
  uploads.set(id, { size: 0, sent: 0, isRunning: true, isRetrying: false, problem: null, ...uploads.get(id), ...changes });
  for (const each of listeners) each();
}

/** Return how far the upload of an import is in this tab; undefined where none was begun. */
export function useUpload(id: string): Upload | undefined {
  return useSyncExternalStore(
    (heard) => {
      listeners.add(heard);
      return () => listeners.delete(heard);
    },
    () => uploads.get(id),
  );
}

/** Send no more parts. */
export function stopUpload(id: string) {
  if (uploads.get(id)?.isRunning) stopped.add(id);
}

/** Return where the parts of a file begin and end from a byte on; a file that has all its bytes ends with an empty part. */
export function partsOf(size: number, from: number): { start: number; end: number; isLast: boolean }[] {
  const parts: { start: number; end: number; isLast: boolean }[] = [];
  for (let start = from; start < size; start += PART_BYTES) {
    const end = Math.min(size, start + PART_BYTES);
    parts.push({ start, end, isLast: end === size });
  }
  return parts.length === 0 ? [{ start: size, end: size, isLast: true }] : parts;
}

function base64Of(part: Blob): Promise<string> {
  return new Promise((done, fail) => {
    const reader = new FileReader();
    reader.onload = () => done(String(reader.result).split(",", 2)[1] ?? "");
    reader.onerror = () => fail(reader.error);
    reader.readAsDataURL(part);
  });
}

const wait = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));
const UNREADABLE: Problem = { kind: "input", code: "file_unreadable", message: "", details: {} };

/** Upload a file from a byte on: a part that fails is sent again, and the service says where it goes on. */
export async function upload(client: Client, id: string, file: File, from: number): Promise<void> {
  stopped.delete(id);
  note(id, { size: file.size, sent: from, isRunning: true, isRetrying: false, problem: null });
  const end = (problem: Problem | null) => note(id, { isRunning: false, isRetrying: false, problem });
  let at = from;
  for (let tries = 0; ; ) {
    if (stopped.has(id)) return end(null);
    const part = partsOf(file.size, at)[0]!;
    let content: string;
    try {
      content = await base64Of(file.slice(part.start, part.end));
    } catch {
      // The file was moved or changed meanwhile.
      return end(UNREADABLE);
    }
    const { data, error } = await client.mutation(AddPart, { id, input: { offset: part.start, content, last: part.isLast } }).toPromise();
    const problem = error === undefined ? problemOfResult(data?.addImportPart) : problemOf(error);
    if (problem === null) {
      tries = 0;
      at = part.end;
      note(id, { sent: at, isRetrying: false });
      if (part.isLast) return end(null);
      continue;
    }
    tries++;
    const isElsewhere = problem.code === "import_offset_wrong";
    if (tries > MOST_TRIES || !(isElsewhere || PASSES.has(problem.kind))) return end(problem);
    note(id, { isRetrying: true });
    if (isElsewhere) {
      const come = await client.query(Come, { id }, { requestPolicy: "network-only" }).toPromise();
      at = come.data?.contactImport?.fileSize ?? at;
    } else await wait(problem.retryAfter === undefined ? Math.min(LONGEST_WAIT_MS, 500 * 2 ** tries) : problem.retryAfter * 1000);
  }
}
