/** Base of all errors of this package. */
export class MassiveSMSError extends Error {
  override readonly name: string = "MassiveSMSError";
  /** The key of the request, with which it can be made again safely. */
  idempotencyKey: string | null = null;
  /** How many times the request was made. */
  tries = 0;
}

/** A key, base URL, id or option cannot be used; no request was made. */
export class ConfigurationError extends MassiveSMSError {
  override readonly name: string = "ConfigurationError";
}

/** No answer came: the connection was refused, reset or cut. */
export class APIConnectionError extends MassiveSMSError {
  override readonly name: string = "APIConnectionError";
}

/** The time-out of a try, or the deadline, passed. */
export class APITimeoutError extends APIConnectionError {
  override readonly name: string = "APITimeoutError";
}

/** A successful answer is not JSON, as of a proxy in between. */
export class InvalidResponseError extends APIConnectionError {
  override readonly name: string = "InvalidResponseError";
}

/** What an answer tells of an error. */
export interface ErrorAnswer {
  status: number;
  headers: ReadonlyMap<string, string>;
  body: string;
}

/** An answer that tells an error; the base of one class for each type of error. */
export class APIStatusError extends MassiveSMSError {
  override readonly name: string = "APIStatusError";
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  /** The message of the API, without the code and the request id. */
  readonly detail: string;
  readonly type: string | null;
  /** Open: new codes may come. */
  readonly code: string | null;
  readonly param: string | null;
  readonly request_id: string | null;
  readonly doc_url: string | null;
  readonly required: number | null;
  readonly available: number | null;
  readonly resets_at: string | null;
  readonly existing_id: string | null;
  readonly opted_out_at: string | null;
  readonly scope: string | null;
  /** Seconds after which to try again. */
  readonly retry_after: number | null;

  constructor(answer: ErrorAnswer, told: Record<string, unknown>) {
    const text = (key: string): string | null => (typeof told[key] === "string" ? (told[key] as string) : null);
    const number = (key: string): number | null => (typeof told[key] === "number" ? (told[key] as number) : null);
    const detail = text("message") ?? `The server answered ${answer.status}.`;
    const request_id = text("request_id") ?? answer.headers.get("x-request-id") ?? null;
    const code = text("code");
    super(`${detail} (${[code ?? String(answer.status), ...(request_id ? [`request ${request_id}`] : [])].join(", ")})`);
    this.status = answer.status;
    this.headers = answer.headers;
    this.body = answer.body;
    this.detail = detail;
    this.type = text("type");
    this.code = code;
    this.param = text("param");
    this.request_id = request_id;
    this.doc_url = text("doc_url");
    this.required = number("required");
    this.available = number("available");
    this.resets_at = text("resets_at");
    this.existing_id = text("existing_id");
    this.opted_out_at = text("opted_out_at");
    this.scope = text("scope");
    this.retry_after = retryAfter(answer.headers);
  }
}

/** The API key is missing, wrong, expired or revoked. */
export class AuthenticationError extends APIStatusError {
  override readonly name = "AuthenticationError";
}
/** The API key may not do this. */
export class PermissionDeniedError extends APIStatusError {
  override readonly name = "PermissionDeniedError";
}
/** A parameter is wrong, or the resource does not exist. */
export class InvalidRequestError extends APIStatusError {
  override readonly name = "InvalidRequestError";
}
/** The balance does not cover the request: see `required` and `available`. */
export class PaymentRequiredError extends APIStatusError {
  override readonly name = "PaymentRequiredError";
}
/** The law or a rule of a carrier forbids it. */
export class ComplianceError extends APIStatusError {
  override readonly name = "ComplianceError";
}
/** The state of the resource is in the way. */
export class ConflictError extends APIStatusError {
  override readonly name = "ConflictError";
}
/** The idempotency key is in use, or was used for another request. */
export class IdempotencyError extends APIStatusError {
  override readonly name = "IdempotencyError";
}
/** A limit is reached: see `retry_after` and `resets_at`. */
export class RateLimitError extends APIStatusError {
  override readonly name = "RateLimitError";
}
/** Something went wrong on the server's side. */
export class ServerError extends APIStatusError {
  override readonly name = "ServerError";
}

/** Why a signature was refused. */
export type SignatureReason =
  | "header_missing"
  | "header_malformed"
  | "timestamp_outside_tolerance"
  | "no_match"
  | "secret_missing";

/** A webhook's signature is missing, malformed, wrong, or too old: `reason` says which. */
export class SignatureVerificationError extends MassiveSMSError {
  override readonly name = "SignatureVerificationError";
  readonly reason: SignatureReason;

  constructor(message: string, reason: SignatureReason) {
    super(message);
    this.reason = reason;
  }
}

/** The body of a webhook is signed well and is no event. */
export class InvalidPayloadError extends MassiveSMSError {
  override readonly name = "InvalidPayloadError";
}

type Kind = new (answer: ErrorAnswer, told: Record<string, unknown>) => APIStatusError;

/** The class of each type of error. */
export const ERROR_TYPES: Readonly<Record<string, Kind>> = {
  api_error: ServerError,
  authentication_error: AuthenticationError,
  compliance_error: ComplianceError,
  conflict_error: ConflictError,
  idempotency_error: IdempotencyError,
  invalid_request_error: InvalidRequestError,
  payment_required_error: PaymentRequiredError,
  permission_error: PermissionDeniedError,
  rate_limit_error: RateLimitError,
};

/** The class of each status whose body is not the documented one. */
export const ERROR_STATUSES: Readonly<Record<number, Kind>> = {
  400: InvalidRequestError,
  401: AuthenticationError,
  402: PaymentRequiredError,
  403: PermissionDeniedError,
  404: InvalidRequestError,
  409: ConflictError,
  422: ComplianceError,
  429: RateLimitError,
};

/** Return the error that an answer tells, also where its body is not the documented one. */
export function fromAnswer(answer: ErrorAnswer, decoded: unknown): APIStatusError {
  const outer = decoded as { error?: unknown } | null | undefined;
  const inner = typeof outer === "object" && outer !== null ? outer.error : undefined;
  const told = typeof inner === "object" && inner !== null && !Array.isArray(inner) ? (inner as Record<string, unknown>) : {};
  let kind: Kind | undefined;
  if (typeof told.type === "string") {
    kind = Object.hasOwn(ERROR_TYPES, told.type) ? ERROR_TYPES[told.type] : undefined;
  } else {
    kind = ERROR_STATUSES[answer.status] ?? (answer.status >= 500 ? ServerError : undefined);
  }
  return new (kind ?? APIStatusError)(answer, told);
}

function retryAfter(headers: ReadonlyMap<string, string>): number | null {
  const text = headers.get("retry-after") ?? "";
  return /^[0-9]{1,9}$/.test(text) ? Number(text) : null;
}
