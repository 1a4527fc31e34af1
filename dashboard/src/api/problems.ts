// What can go wrong, in the kinds that pages tell apart.
import type { CombinedError } from "@urql/core";

export type ProblemKind = "offline" | "session" | "permission" | "rate" | "outdated" | "missing" | "input" | "server";

export interface Problem {
  kind: ProblemKind;
  code: string;
  message: string;
  param?: string | undefined;
  requestId?: string | undefined;
  retryAfter?: number | undefined;
  details: Record<string, unknown>;
}

export interface ErrorEntry {
  message: string;
  extensions?: Record<string, unknown> | undefined;
}

const SESSION = new Set(["session_invalid", "api_key_missing"]);
const OUTDATED = new Set(["operation_unknown", "operation_not_kept"]);

export const OFFLINE: Problem = { kind: "offline", code: "offline", message: "The service does not answer.", details: {} };

function kindOf(code: string, type: unknown): ProblemKind {
  if (SESSION.has(code)) return "session";
  if (OUTDATED.has(code)) return "outdated";
  if (type === "permission_error" || code === "permission_denied") return "permission";
  if (type === "rate_limit_error" || code === "rate_limited") return "rate";
  if (type === "not_found_error") return "missing";
  if (type === "invalid_request_error") return "input";
  return "server";
}

/** Read an entry of a GraphQL answer's `errors`. */
export function problemOfEntry({ message, extensions = {} }: ErrorEntry): Problem {
  const { code, type, requestId, retryAfter, param, ...details } = extensions;
  const known = typeof code === "string" ? code : "unknown";
  return {
    kind: kindOf(known, type),
    code: known,
    message,
    param: typeof param === "string" ? param : undefined,
    requestId: typeof requestId === "string" ? requestId : undefined,
    retryAfter: typeof retryAfter === "number" ? retryAfter : undefined,
    details,
  };
}

/** Read what urql says of an operation that failed, wholly or in part. */
export function problemOf(error: CombinedError): Problem {
  const [entry] = error.graphQLErrors;
  if (entry !== undefined) return problemOfEntry(entry);
  const cause = error.networkError as (Error & { problem?: Problem }) | undefined;
  return cause?.problem ?? OFFLINE;
}

/** An error member of a mutation's result, such as InvalidRequestError. */
export interface ErrorMember {
  __typename: string;
  code: string;
  message: string;
  param?: string | null;
  retryAfter?: number | null;
}

const MEMBERS: Record<string, ProblemKind> = {
  PermissionError: "permission",
  RateLimitError: "rate",
  NotFoundError: "missing",
  AuthenticationError: "input",
  InvalidRequestError: "input",
};

/** Return the problem that a mutation's result tells of, or null where it is a success. */
export function problemOfResult(result: unknown): Problem | null {
  const member = result as ErrorMember | null;
  if (member === null || typeof member !== "object" || !String(member.__typename).endsWith("Error")) return null;
  const { __typename, code, message, param, retryAfter, ...details } = member;
  return {
    kind: MEMBERS[__typename] ?? "input",
    code,
    message,
    param: param ?? undefined,
    retryAfter: retryAfter ?? undefined,
    details: details as Record<string, unknown>,
  };
}
