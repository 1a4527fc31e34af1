export type { Fetch, FetchAnswer, FetchInit, Logger, RequestOptions, ResponseInfo, Result, Timing } from "./call.js";
export { type ClientOptions, MassiveSMS } from "./client.js";
export {
  APIConnectionError,
  APIStatusError,
  APITimeoutError,
  AuthenticationError,
  ComplianceError,
  ConfigurationError,
  ConflictError,
  ERROR_STATUSES,
  ERROR_TYPES,
  IdempotencyError,
  InvalidPayloadError,
  InvalidRequestError,
  InvalidResponseError,
  MassiveSMSError,
  PaymentRequiredError,
  PermissionDeniedError,
  RateLimitError,
  ServerError,
  SignatureVerificationError,
} from "./errors.js";
export { Page, PagePromise } from "./pages.js";
export * from "./resources.js";
export * from "./types.js";
export { API_VERSION, VERSION } from "./version.js";
export * as webhooks from "./webhooks.js";
export { MassiveSMS as default } from "./client.js";
