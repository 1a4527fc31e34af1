// Sends a file in parts, one after the other. It goes on while other pages are seen, and ends with the tab.
import type { Client } from "@urql/core";
import { useSyncExternalStore } from "react";
import { OFFLINE, problemOfEntry, type Problem } from "@/api/problems";
import { graphql } from "@/gql";

const Come = graphql(`
  query ImportUploaded($id: ID!) {
    contactImport(id: $id) { ...ImportFull uploadUrl }
  }
`);

// As much as the address of an import takes at once.
export const PART_BYTES = 4 * 1024 * 1024;
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

interface Arrived {
  status: string;
  fileSize: number;
  uploadUrl: string | null;
}

async function look(client: Client, id: string): Promise<Arrived | null> {
  const { data } = await client.query(Come, { id }, { requestPolicy: "network-only" }).toPromise();
  return data?.contactImport ?? null;
}

/** Put a part to the address of an import, and return what is wrong, or null. */
async function put(address: string, part: { start: number; isLast: boolean }, content: Blob): Promise<Problem | null> {
  // The address may name the service by its public name: the page's own leads there too.
  const { pathname } = new URL(address);
  let answer: Response;
  try {
    answer = await fetch(`${pathname}?offset=${part.start}&last=${part.isLast}`, { method: "PUT", body: content, credentials: "omit" });
  } catch {
    return OFFLINE;
  }
  if (answer.ok) return null;
  const told = (await answer.json().catch(() => null)) as { error?: { message: string } & Record<string, unknown> } | null;
  const { message = "", ...extensions } = told?.error ?? {};
  const wait = Number(answer.headers.get("retry-after"));
  return { ...problemOfEntry({ message, extensions }), ...(wait > 0 ? { retryAfter: wait } : {}), requestId: answer.headers.get("x-request-id") ?? undefined };
}

const wait = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));
const GONE: Problem = { kind: "permission", code: "permission_denied", message: "", details: {} };
const UNREADABLE: Problem = { kind: "input", code: "file_unreadable", message: "", details: {} };

/** Upload a file from a byte on: a part that fails is sent again, and the service says where it goes on. */
export async function upload(client: Client, id: string, file: File, from: number): Promise<void> {
  stopped.delete(id);
  note(id, { size: file.size, sent: from, isRunning: true, isRetrying: false, problem: null });
  const end = (problem: Problem | null) => note(id, { isRunning: false, isRetrying: false, problem });
  let at = from;
  let address: string | null = null;
  for (let tries = 0; ; ) {
    if (stopped.has(id)) return end(null);
    let problem: Problem | null = OFFLINE;
    const come: Arrived | null = address === null ? await look(client, id) : null;
    if (come !== null) {
      // What came before counts, also where its answer was lost.
      if (tries > 0) at = come.fileSize;
      address = come.uploadUrl;
      if (address === null) return end(come.status === "UPLOADING" ? GONE : null);
    }
    if (address !== null) {
      const part = partsOf(file.size, at)[0]!;
      const content = file.slice(part.start, part.end);
      try {
        await content.slice(0, 1).arrayBuffer();
      } catch {
        // The file was moved or changed meanwhile.
        return end(UNREADABLE);
      }
      problem = await put(address, part, content);
      if (problem === null) {
        tries = 0;
        at = part.end;
        note(id, { sent: at, isRetrying: false });
        // The answer to a part says nothing of the import: all of it is read again, so that its page goes on.
        if (part.isLast) address = null;
        continue;
      }
    }
    tries++;
    const isKnown = problem.code === "import_offset_wrong" || problem.code === "address_expired";
    if (tries > MOST_TRIES || !(isKnown || PASSES.has(problem.kind))) return end(problem);
    note(id, { isRetrying: true });
    address = null;
    if (!isKnown) await wait(problem.retryAfter === undefined ? Math.min(LONGEST_WAIT_MS, 500 * 2 ** tries) : problem.retryAfter * 1000);
  }
}
