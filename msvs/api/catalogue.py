"""The catalogue of errors: every code that a caller may receive, when it occurs, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from msvs.api.errors import ErrorCode
from msvs.api.resources import FAILURES
from msvs.settings import PRODUCTION_URL

PAGE = "/docs/errors"

INVALID = "invalid_request_error"
TYPES: Mapping[int, str] = {
    400: INVALID,
    401: "authentication_error",
    402: "payment_required_error",
    403: "permission_error",
    404: INVALID,
    405: INVALID,
    406: INVALID,
    408: INVALID,
    409: "conflict_error",
    413: INVALID,
    415: INVALID,
    422: "compliance_error",
    429: "rate_limit_error",
    431: INVALID,
    500: "api_error",
    503: "api_error",
}
IDEMPOTENCY = "idempotency_error"


@dataclass(frozen=True, slots=True)
class ListedError:
    """One code of `error.code`: the statuses it comes with, when, and what to do.

    Codes of the dashboard come over GraphQL alone, and never from the REST API.
    """

    code: ErrorCode
    statuses: tuple[int, ...]
    when: str
    action: str
    is_idempotency: bool = False
    is_dashboard: bool = False

    def type(self, status: int) -> str:
        """Return the `error.type` that goes with the code at this status."""
        return IDEMPOTENCY if self.is_idempotency else TYPES[status]


@dataclass(frozen=True, slots=True)
class FailureCode:
    """One code of a message's `error.code`: why it failed, was canceled by the service or was skipped."""

    code: str
    when: str
    action: str


_ROWS: tuple[tuple[ErrorCode, tuple[int, ...], str, str], ...] = (
    # The request as a whole.
    (
        ErrorCode.HTTP_INVALID,
        (400,),
        "The request is not valid HTTP/1.1, has no Host header or several, or has an ambiguous body length.",
        "Use an HTTP client library; the message says what is wrong.",
    ),
    (
        ErrorCode.JSON_INVALID,
        (400,),
        "The body is not one strict JSON object: valid UTF-8, no key twice, no NaN, at most 32 levels deep.",
        "Use a JSON library to write the body; the message tells where parsing stopped.",
    ),
    (
        ErrorCode.REQUEST_TIMEOUT,
        (408,),
        "The headers or the body did not arrive within 10 seconds.",
        "Send the request again.",
    ),
    (ErrorCode.REQUEST_TOO_LARGE, (413,), "The body is larger than 1 MiB.", "Split the request into smaller ones."),
    (
        ErrorCode.CONTENT_TYPE_UNSUPPORTED,
        (415,),
        "The body is not sent as application/json in UTF-8, or it is compressed.",
        "Send Content-Type: application/json and an uncompressed body.",
    ),
    (
        ErrorCode.HEADERS_TOO_LARGE,
        (431,),
        "The request line and headers are larger than 64 KiB, one of them is larger than 8 KiB, or there are over 100.",
        "Send fewer headers, or shorter ones.",
    ),
    (
        ErrorCode.HOST_UNKNOWN,
        (400,),
        "The service is not known under the name in the Host header.",
        "Use the address that the operator gave you; an operator adds names in MSVS_ALLOWED_HOSTS.",
    ),
    (ErrorCode.ROUTE_UNKNOWN, (404,), "There is no such path.", "Compare the path with the API reference."),
    (
        ErrorCode.METHOD_NOT_ALLOWED,
        (405,),
        "The path exists, but not for this method.",
        "Use one of the methods in the Allow header.",
    ),
    (
        ErrorCode.NOT_ACCEPTABLE,
        (406,),
        "The Accept header allows none of the available types.",
        "Send Accept: application/json, or leave the header out.",
    ),
    # What carriers send us.
    (
        ErrorCode.CALLBACK_INVALID,
        (400,),
        "A carrier's callback cannot be read: it does not have the documented format.",
        "Configure the callback addresses of docs/carriers.md with the carrier, separately for reports and"
        " inbound messages.",
    ),
    (
        ErrorCode.CALLBACK_REFUSED,
        (403,),
        "A carrier's callback has a wrong signature, or none, or is too old.",
        "Compare the signing secret and MSVS_PUBLIC_URL with the carrier's configuration, and check the clocks.",
    ),
    # Parameters.
    (ErrorCode.PARAMETER_MISSING, (400,), "A required parameter is missing.", "Send the parameter named in param."),
    (
        ErrorCode.PARAMETER_UNKNOWN,
        (400,),
        "The body or the query holds a parameter that the operation does not have.",
        "Look for a typo in the parameter named in param, or leave it out.",
    ),
    (
        ErrorCode.PARAMETER_INVALID,
        (400,),
        "A parameter has the wrong type or is not one of the values allowed.",
        "Correct the parameter named in param; the message says what it must be.",
    ),
    (
        ErrorCode.PARAMETER_OUT_OF_RANGE,
        (400,),
        "A parameter is too long, too short, too large or too small.",
        "Bring the parameter named in param within the limit in the message.",
    ),
    (
        ErrorCode.ID_INVALID,
        (400,),
        "A parameter is not an id of its kind.",
        "Send the id as the API gave it, prefix included.",
    ),
    (
        ErrorCode.CURSOR_INVALID,
        (400,),
        "starting_after or ending_before is not an id of the resource being listed.",
        "Send the id of the last (or first) resource of the page before.",
    ),
    (
        ErrorCode.CURSOR_CONFLICT,
        (400,),
        "Both starting_after and ending_before are given.",
        "Send only the cursor for the direction in which you page.",
    ),
    (
        ErrorCode.RESOURCE_MISSING,
        (400, 404),
        "The resource does not exist in this workspace and mode, or was deleted; 400 if a parameter names it.",
        "Check the id, and that the key belongs to the mode (sandbox or live) of the resource.",
    ),
    # Messages and campaigns.
    (
        ErrorCode.PHONE_NUMBER_INVALID,
        (400,),
        "The phone number is not a valid number in E.164 format.",
        "Send + and the country code, such as +14155550123, digits only.",
    ),
    (
        ErrorCode.SENDER_NOT_ALLOWED,
        (422,),
        "The workspace does not own the sender, it looks like another sender, or carriers of the region do"
        " not accept it.",
        "Leave out from, make an unused name your live default_sender, or ask the operator to add a sender.",
    ),
    (
        ErrorCode.NO_ROUTE,
        (422,),
        "No carrier takes messages to the recipient's region from this sender.",
        "Ask the operator for a route to the region.",
    ),
    (
        ErrorCode.SENDER_INVALID,
        (400,),
        "from is not a valid sender.",
        "Use 1 to 11 letters and digits with at least one letter, a phone in E.164, or a short code.",
    ),
    (ErrorCode.BODY_EMPTY, (400,), "The body is blank, or blank once its variables are filled in.", "Send some text."),
    (
        ErrorCode.BODY_TOO_LONG,
        (400,),
        "The body is longer than 1600 characters, before or after its variables are filled in.",
        "Shorten it, or send it as several messages.",
    ),
    (
        ErrorCode.TEMPLATE_INVALID,
        (400,),
        "A placeholder in the body is malformed.",
        "Write {name} or {name|fallback}; write {{ and }} for braces themselves.",
    ),
    (
        ErrorCode.VARIABLE_BLANK,
        (400,),
        "A variable of the body is blank and has no fallback.",
        "Send it in variables, set it on the contact, or write a fallback: {firstName|there}.",
    ),
    (
        ErrorCode.VARIABLE_MISSING,
        (400,),
        "A variable of the body has no value and no fallback.",
        "Send it in variables, set it on the contact, or write a fallback: {firstName|there}.",
    ),
    (
        ErrorCode.SCHEDULED_AT_PAST,
        (400,),
        "scheduled_at lies more than 60 seconds in the past.",
        "Send a later time, or leave scheduled_at out to send now.",
    ),
    (
        ErrorCode.SCHEDULED_AT_TOO_FAR,
        (400,),
        "scheduled_at lies more than 365 days ahead.",
        "Send an earlier time.",
    ),
    (
        ErrorCode.EXPIRES_AT_PAST,
        (400,),
        "expires_at is not later than the time at which the message or campaign is due.",
        "Send a later time, or leave expires_at out.",
    ),
    (
        ErrorCode.PACE_CONFLICT,
        (400,),
        "Both rate_per_minute and spread_hours are given.",
        "Send the one that you mean.",
    ),
    (
        ErrorCode.CARRIER_NOT_CONFIGURED,
        (400,),
        "No carrier for live messages is configured on this installation.",
        "Use a sandbox key, or have the operator set MSVS_LIVE_CARRIER.",
    ),
    (
        ErrorCode.CAMPAIGN_TERMINAL,
        (409,),
        "The campaign is completed, canceled or failed.",
        "Nothing is left to do; create another campaign to send again.",
    ),
    (
        ErrorCode.CAMPAIGN_NOT_PAUSED,
        (409,),
        "Only a paused campaign can be resumed.",
        "Read the campaign's status first.",
    ),
    (ErrorCode.CAMPAIGN_DRAFT, (409,), "A draft cannot be paused or canceled.", "Launch it, or delete it."),
    (
        ErrorCode.CAMPAIGN_NOT_DRAFT,
        (409,),
        "The campaign was launched already.",
        "Clone it as a new draft.",
    ),
    (
        ErrorCode.CAMPAIGN_BEGUN,
        (409,),
        "The campaign is no draft and not scheduled, does not wait for approval, and was not paused by hand before its"
        " first message was made.",
        "Clone it, and change the clone.",
    ),
    (
        ErrorCode.CAMPAIGN_NOT_ENDED,
        (409,),
        "Only a campaign that is completed, canceled or failed can be archived.",
        "Wait until it ends, or cancel it.",
    ),
    (
        ErrorCode.AB_TEST_STATE,
        (409,),
        "The campaign has no A/B test, its test is not out yet, or its winner was chosen already.",
        "Read the campaign's ab_test first.",
    ),
    (
        ErrorCode.CAMPAIGN_OF_SEQUENCE,
        (409,),
        "The campaign is a step of a sequence, and goes with it.",
        "Change, pause or archive the sequence.",
    ),
    (
        ErrorCode.SEQUENCE_STATE,
        (409,),
        "The status of the sequence does not allow this: nobody enters a draft, and what is archived stays so.",
        "Read its status; publish a draft, or create another sequence.",
    ),
    (
        ErrorCode.SEQUENCE_ENTERED,
        (409,),
        "The contact is in the sequence, or was in it and may enter it once; existing_id names the enrollment.",
        "Read that enrollment, or set may_reenter and publish the sequence.",
    ),
    (
        ErrorCode.CONVERSION_EXISTS,
        (409,),
        "The order was recorded with another contact, value, currency, time or metadata; existing_id names the"
        " conversion.",
        "Use another order_id for another order; record a refund of this one.",
    ),
    (
        ErrorCode.VERSION_CONFLICT,
        (409,),
        "The resource was changed since the version in the request; nothing was changed now.",
        "Read it again, and apply your change to the current version.",
    ),
    # Contacts, lists and segments.
    (
        ErrorCode.CONTACT_EXISTS,
        (409,),
        "Another contact has this phone number; existing_id names it.",
        "Update the contact in existing_id instead.",
    ),
    (ErrorCode.CONTACT_OPTED_OUT, (409,), "The contact has already opted out.", "Treat it as done."),
    (
        ErrorCode.OPT_IN_REVOKED,
        (409,),
        "The phone opted out at opted_out_at, and opt_in is not newer evidence; nothing was changed.",
        "Leave opt_in out, so that the contact stays opted out. If the person agreed again since, send"
        " opt_in with renewed true and at, the time when they agreed; or ask the person to text START.",
    ),
    (
        ErrorCode.ERASURE_PENDING,
        (409,),
        "A message to or from the contact is still being processed and needs the phone.",
        "Try again after Retry-After, without an Idempotency-Key or with a new one.",
    ),
    (
        ErrorCode.MESSAGE_IN_PROGRESS,
        (409,),
        "The message may still be sent, so its text cannot be deleted.",
        "Cancel it, or try again once it is sent.",
    ),
    (
        ErrorCode.SUPPRESSION_EXISTS,
        (409,),
        "The phone number is suppressed already; existing_id names its suppression.",
        "Treat it as done.",
    ),
    (ErrorCode.EMAIL_INVALID, (400,), "The e-mail address is not valid.", "Correct it, or leave it out."),
    (
        ErrorCode.IP_INVALID,
        (400,),
        "opt_in.ip is not an IPv4 or IPv6 address.",
        "Send the address that the person used.",
    ),
    (
        ErrorCode.LIST_SYNCED,
        (409,),
        "The list is synchronized with another service.",
        "Change it in that service, or create your own list.",
    ),
    (
        ErrorCode.LIST_NOT_SYNCED,
        (409,),
        "The list is static: no service keeps it in step.",
        "Create a list with a `source`.",
    ),
    (
        ErrorCode.SOURCE_STATE,
        (409,),
        "The status of the list's source does not allow this.",
        "Check `source`: confirm it when it is `checked`, resume it when it is paused, change what `error` names.",
    ),
    (
        ErrorCode.SOURCE_LIMIT,
        (409,),
        "There are as many synced lists as one mode of a workspace may have.",
        "Disconnect or delete a synced list.",
    ),
    (
        ErrorCode.SOURCE_PAUSED,
        (503,),
        "People were posted to a synced list that is paused or stopped.",
        "Post them again once the list is resumed, or after Retry-After.",
    ),
    (
        ErrorCode.ADDRESS_EXPIRED,
        (404,),
        "A signed address has expired, or was never issued.",
        "Fetch the import or the export again: its answer has a new address.",
    ),
    (
        ErrorCode.BULK_ACTION_LIMIT,
        (409,),
        "As many bulk actions as may wait or run at once do.",
        "Wait until one has ended, or cancel one.",
    ),
    (
        ErrorCode.EXPORT_LIMIT,
        (409,),
        "The workspace already has the most exports that may wait or run at once.",
        "Wait until one has ended, or cancel one.",
    ),
    (
        ErrorCode.IMPORT_STATE,
        (409,),
        "The status of the import does not allow this.",
        "Check its `status`: run a dry run when it is `checked`; undo an import within seven days after it ended.",
    ),
    (
        ErrorCode.IMPORT_OFFSET_WRONG,
        (409,),
        "The part of the file does not follow the previous one.",
        "Send the part that starts at `file_size`.",
    ),
    (
        ErrorCode.KEYWORD_RESERVED,
        (400,),
        "The word means the same to every sender, such as STOP, START, HELP or YES, or asks to opt out.",
        "Choose another word.",
    ),
    (
        ErrorCode.KEYWORD_EXISTS,
        (409,),
        "Another keyword has this word, regardless of case, accents and punctuation; existing_id names it.",
        "Update that keyword, or choose another word.",
    ),
    (
        ErrorCode.CANNED_ANSWER_EXISTS,
        (409,),
        "Another canned answer has this name.",
        "Update that one, or choose another name.",
    ),
    (
        ErrorCode.SAVED_VIEW_EXISTS,
        (409,),
        "Another saved view of the page has this name.",
        "Update that one, or choose another name.",
    ),
    (
        ErrorCode.APPROVAL_REQUIRED,
        (409,),
        "A second person must approve the campaign first, or publish the sequence: the workspace asks for it above a"
        " number of recipients.",
        "Ask an owner or an admin of the workspace.",
    ),
    (
        ErrorCode.APPROVAL_DECIDED,
        (409,),
        "The campaign does not wait for the decision: it was made, or the campaign was canceled or needs none.",
        "Read the campaign again.",
    ),
    (
        ErrorCode.APPROVAL_OWN,
        (403,),
        "Who launched or changed a campaign last, by hand or by a key of theirs, cannot decide about it.",
        "Ask another owner or admin.",
    ),
    (
        ErrorCode.APPROVERS_MISSING,
        (409,),
        "Fewer than two people of the workspace may approve, so that what one of them launches could never go out.",
        "Invite another owner or admin first.",
    ),
    (
        ErrorCode.TEMPLATE_EXISTS,
        (409,),
        "Another template has this name.",
        "Update that one, or choose another name.",
    ),
    (
        ErrorCode.SNIPPET_EXISTS,
        (409,),
        "Another snippet has this name.",
        "Update that one, or choose another name.",
    ),
    (ErrorCode.SAVED_VIEW_LIMIT, (409,), "There are 50 saved views of this page.", "Delete one first."),
    (
        ErrorCode.FIELD_UNKNOWN,
        (400,),
        "A segment's filter names a field that contacts do not have.",
        "Use a field in the message, or attributes.<key>.",
    ),
    (ErrorCode.FILTER_TOO_DEEP, (400,), "A segment's filter has more than 8 levels.", "Flatten it."),
    (ErrorCode.FILTER_TOO_LARGE, (400,), "A segment's filter has more than 50 comparisons.", "Split it into segments."),
    (
        ErrorCode.TIME_INVALID,
        (400,),
        "A filter's value is not an ISO-8601 time with an offset.",
        "Send a time such as 2026-05-01T20:00:00Z.",
    ),
    (ErrorCode.DATE_INVALID, (400,), "A filter's value is not a date.", "Send a date such as 2026-05-01."),
    (ErrorCode.TIMEZONE_INVALID, (400,), "The time zone is not an IANA name.", "Send a name such as America/New_York."),
    # Webhooks.
    (
        ErrorCode.URL_INVALID,
        (400,),
        "The webhook's URL is malformed, is not https, or names an address that is not public.",
        "Register a public https URL; the message says what is wrong with this one.",
    ),
    (ErrorCode.EVENTS_EMPTY, (400,), "A webhook subscribes to no event.", "Name at least one event, or * for all."),
    (ErrorCode.EVENT_UNKNOWN, (400,), "There is no event of this name.", "Use a name from the table of event types."),
    (
        ErrorCode.WEBHOOK_SECRET_INVALID,
        (400,),
        "The webhook's secret is not 8 to 256 printable ASCII characters.",
        "Send a longer random secret, or leave it out to have one generated.",
    ),
    (
        ErrorCode.WEBHOOK_SECRET_NOT_STANDARD,
        (400,),
        "The webhook's secret is no key for Standard Webhooks: `whsec_` and the base64 of 24 to 64 bytes.",
        "Rotate the secret, or leave it out to have one generated, and try again.",
    ),
    (ErrorCode.WEBHOOK_LIMIT, (409,), "There are 20 webhooks in this workspace and mode.", "Delete one, or share one."),
    (ErrorCode.ORDER_HOOK_LIMIT, (409,), "There are 20 order hooks in this workspace and mode.", "Delete one."),
    (
        ErrorCode.WEBHOOK_EXISTS,
        (409,),
        "The workspace has a webhook with this URL in this mode; existing_id names it.",
        "Change the events of the existing webhook, or delete it first.",
    ),
    (ErrorCode.WEBHOOK_DISABLED, (409,), "The webhook is disabled.", "Enable it first: send enabled: true to it."),
    # Callers.
    (ErrorCode.API_KEY_MISSING, (401,), "The request has no API key.", "Send Authorization: Bearer and your key."),
    (
        ErrorCode.API_KEY_MALFORMED,
        (401,),
        "The value is not a complete API key: its checksum does not match.",
        "Copy the key again; it starts with msvs_live_ or msvs_test_.",
    ),
    (
        ErrorCode.API_KEY_INVALID,
        (401,),
        "There is no such API key.",
        "Check that the key belongs to this installation.",
    ),
    (ErrorCode.API_KEY_REVOKED, (401, 409), "The API key is revoked.", "Use another key, or create one."),
    (
        ErrorCode.API_KEY_EXPIRED,
        (401, 409),
        "The API key expired after it was rolled.",
        "Use the key that replaced it.",
    ),
    (
        ErrorCode.WORKSPACE_SUSPENDED,
        (403,),
        "The workspace is suspended: nothing is sent, and its keys and users are refused.",
        "Ask the operator of the service. Waiting messages are sent when the workspace is resumed.",
    ),
    (
        ErrorCode.WORKSPACE_DELETING,
        (403, 409),
        "An owner asked to delete the workspace: nothing is sent, and its data will be erased.",
        "An owner cancels the deletion in the dashboard, under Your account, before the day that the message names.",
    ),
    (
        ErrorCode.WORKSPACE_NOT_DELETING,
        (409,),
        "Nobody asked to delete the workspace, so there is nothing to cancel.",
        "Do nothing: it is not to be deleted.",
    ),
    (
        ErrorCode.SIGN_UP_CLOSED,
        (403,),
        "Sign-up is closed, or open only to people who were invited.",
        "Ask an owner of a workspace for an invitation, or the operator of the service for a user.",
    ),
    (
        ErrorCode.SCOPE_MISSING,
        (403,),
        "The API key does not have the required scope, which is in scope.",
        "Use a key that has the scope, or create one.",
    ),
    (
        ErrorCode.ADDRESS_NOT_ALLOWED,
        (403,),
        "The API key works only from certain networks, and the request came from another one.",
        "Send the request from a server in allowed_ips of the key, or create a key that allows its address.",
    ),
    (
        ErrorCode.LIMIT_NOT_LIFTED,
        (403,),
        "A live API key can tighten caps and regions, but not loosen them.",
        "Have an owner or administrator of the workspace change the setting.",
    ),
    (ErrorCode.SANDBOX_ONLY, (403,), "The operation exists only in the sandbox.", "Use a msvs_test_ key."),
    (
        ErrorCode.TEST_CLOCK_EXISTS,
        (409,),
        "The sandbox has a test clock already.",
        "Advance that one, or delete it first. A moment after it was deleted, another can be created.",
    ),
    (
        ErrorCode.TEST_CLOCK_ADVANCING,
        (409,),
        "The test clock is advancing, and takes no other step meanwhile.",
        "Retrieve it until its status is ready or failed, then advance it.",
    ),
    # Buying credits.
    (
        ErrorCode.LIVE_ONLY,
        (403,),
        "The operation exists only in live mode: the sandbox sells nothing.",
        "Use a live key.",
    ),
    (
        ErrorCode.BILLING_CLOSED,
        (409,),
        "Credits are not for sale: the operator has configured no packs, or no payment account.",
        "Ask the operator for credits.",
    ),
    (
        ErrorCode.PACK_UNKNOWN,
        (400,),
        "No pack for sale has this id.",
        "Read the packs from GET /v1/credits/packs.",
    ),
    (
        ErrorCode.CARD_MISSING,
        (409,),
        "No card is saved that automatic top-up could charge.",
        "Buy a pack with save_card, pay it, and turn automatic top-up on then.",
    ),
    (
        ErrorCode.PAYMENTS_UNAVAILABLE,
        (503,),
        "The payment service cannot be reached, or refused the request; nothing was charged.",
        "Send the request again with the same Idempotency-Key.",
    ),
    # Money, law and limits.
    (
        ErrorCode.INSUFFICIENT_CREDITS,
        (402,),
        "The balance is too low: required and available tell the difference.",
        "Add credits, then send the request again.",
    ),
    (
        ErrorCode.REGION_BLOCKED,
        (422,),
        "The number's region is blocked, by law or by the workspace.",
        "Do not send to this number.",
    ),
    (
        ErrorCode.NUMBER_TYPE_BLOCKED,
        (422,),
        "The service does not send to premium-rate, satellite, shared-cost and other special numbers.",
        "Use the recipient's mobile number.",
    ),
    (
        ErrorCode.REGION_NOT_ENABLED,
        (422,),
        "The number's region is off until the workspace enables it, because of SMS pumping.",
        "Add the region to enabled_regions of the workspace if you want to send there.",
    ),
    (
        ErrorCode.DAILY_CAP_REACHED,
        (422,),
        "The message would exceed the workspace's daily_credit_cap; resets_at is the start of the next UTC day.",
        "Raise the cap, or send after resets_at.",
    ),
    (
        ErrorCode.PREFIX_VELOCITY_EXCEEDED,
        (422,),
        "The hour's single messages to the number's range have reached the workspace's prefix_hourly_cap.",
        "Check who requests these messages, because this is the pattern of SMS pumping; otherwise raise"
        " the cap or wait until resets_at.",
    ),
    (
        ErrorCode.RECIPIENT_OPTED_OUT,
        (422,),
        "The recipient opted out.",
        "Do not send to this number until the recipient opts in again.",
    ),
    (
        ErrorCode.RATE_LIMIT_EXCEEDED,
        (429,),
        "The workspace sends requests faster than its limit.",
        "Wait for the seconds in Retry-After; spread requests out, or use campaigns for many recipients.",
    ),
    # Ours.
    (
        ErrorCode.INTERNAL_ERROR,
        (500,),
        "Something went wrong on our side.",
        "Retry with exponential backoff and the same Idempotency-Key; if it persists, report the request_id.",
    ),
    (
        ErrorCode.SERVICE_UNAVAILABLE,
        (503,),
        "A part of the service is unavailable.",
        "Retry after the seconds in Retry-After, with the same Idempotency-Key.",
    ),
    (
        ErrorCode.NOT_READY,
        (503,),
        "The service has not started, or a part that it needs is unavailable.",
        "Wait; checks tells what is missing.",
    ),
)

_IDEMPOTENCY_ROWS: tuple[tuple[ErrorCode, int, str, str], ...] = (
    (
        ErrorCode.IDEMPOTENCY_KEY_INVALID,
        400,
        "Idempotency-Key is not 1 to 255 printable ASCII characters.",
        "Send a random UUID as the key.",
    ),
    (
        ErrorCode.IDEMPOTENCY_KEY_REUSED,
        400,
        "The key was used for another request in the last 24 hours.",
        "Use a new key for each new request, and the same key for retries.",
    ),
    (
        ErrorCode.IDEMPOTENCY_KEY_IN_USE,
        409,
        "The first request with this key is still running.",
        "Send the same request again after the seconds in Retry-After.",
    ),
)

_DASHBOARD_ROWS: tuple[tuple[ErrorCode, tuple[int, ...], str, str], ...] = (
    (
        ErrorCode.VARIABLES_INVALID,
        (400,),
        "The variables of a GraphQL request do not fit its document.",
        "Compare them with the types that the document declares.",
    ),
    (ErrorCode.BATCH_REFUSED, (400,), "The body holds several GraphQL operations.", "Send one operation a request."),
    (
        ErrorCode.DOCUMENT_TOO_LARGE,
        (400, 413),
        "The GraphQL document is too large.",
        "Ask for less, or in several requests.",
    ),
    (
        ErrorCode.DOCUMENT_INVALID,
        (400,),
        "The GraphQL document does not parse, or does not fit the schema.",
        "Correct it; the message says where.",
    ),
    (
        ErrorCode.DOCUMENT_TOO_DEEP,
        (400,),
        "The GraphQL document is nested too deep.",
        "Ask for it in several requests.",
    ),
    (ErrorCode.FRAGMENT_CYCLE, (400,), "A fragment of the GraphQL document contains itself.", "Write the fields out."),
    (
        ErrorCode.COST_TOO_HIGH,
        (400,),
        "The query could return more than one request may.",
        "Ask for smaller pages, or in several requests.",
    ),
    (
        ErrorCode.INTROSPECTION_OFF,
        (400,),
        "Introspection is turned off on this installation.",
        "Read schema.graphql instead.",
    ),
    (
        ErrorCode.SUBSCRIPTION_TOO_SLOW,
        (503,),
        "Events happen faster than the subscriber reads them.",
        "Subscribe again from the last id you have, or to fewer types of events.",
    ),
    (
        ErrorCode.CURSOR_TOO_OLD,
        (400,),
        "More events happened since `after` than a subscription repeats.",
        "Read the missed events page by page, and subscribe after the newest one.",
    ),
    (
        ErrorCode.TOO_MANY_SUBSCRIPTIONS,
        (429,),
        "The workspace or the connection has reached its limit of subscriptions.",
        "End one, or share a subscription between the parts of your page.",
    ),
    (
        ErrorCode.OPERATION_UNKNOWN,
        (400,),
        "No GraphQL operation has this id.",
        "Send the id of a stored operation, or the document itself if that is allowed.",
    ),
    (
        ErrorCode.PERSISTED_QUERY_NOT_SUPPORTED,
        (400,),
        "Automatic persisted queries are not supported: a hash is not enough.",
        "Send the document itself, as clients do automatically after this answer.",
    ),
    (
        ErrorCode.OPERATION_NOT_KEPT,
        (400,),
        "This installation runs only stored GraphQL operations.",
        "Send the id of a stored operation instead of a document.",
    ),
    (
        ErrorCode.PASSWORD_LENGTH,
        (400,),
        "The password is too short or too long.",
        "Choose one within the limits in the message.",
    ),
    (ErrorCode.PASSWORD_WEAK, (400,), "The password is too easy to guess.", "Choose a longer one of several words."),
    (ErrorCode.PASSWORD_WRONG, (400,), "The current password is wrong.", "Type it again, or reset it."),
    (
        ErrorCode.LOGIN_INVALID,
        (401,),
        "The e-mail address or the password is wrong.",
        "Check both, or reset the password.",
    ),
    (ErrorCode.SESSION_INVALID, (401,), "There is no session, or it has ended.", "Log in again."),
    (
        ErrorCode.CSRF_INVALID,
        (403,),
        "The CSRF token is missing or wrong.",
        "Query `viewer` for it, without the header.",
    ),
    (
        ErrorCode.ORIGIN_REFUSED,
        (403,),
        "A page of another site sent the request.",
        "Use the dashboard of this installation, or an API key.",
    ),
    (
        ErrorCode.WORKSPACE_REQUIRED,
        (403,),
        "The request of a logged-in user names none of the workspaces that the user belongs to.",
        "Send the workspace's id in the header X-Workspace.",
    ),
    (
        ErrorCode.SIGN_UP_THROTTLED,
        (429,),
        "There were too many attempts to sign up from this network.",
        "Wait for the seconds in Retry-After.",
    ),
    (
        ErrorCode.MAIL_THROTTLED,
        (429,),
        "Too many mails were requested, for one address or from one network.",
        "Wait for the seconds in Retry-After, and check the spam folder.",
    ),
    (
        ErrorCode.EMAIL_UNCONFIRMED,
        (403,),
        "The user's e-mail address is not confirmed, as live mode and invitations require.",
        "Open the link in the mail, or request another with `resendConfirmation`.",
    ),
    (
        ErrorCode.SECOND_FACTOR_REQUIRED,
        (403,),
        "The workspace requires a second factor, and the user has none.",
        "Add an authenticator app or a passkey to the account.",
    ),
    (
        ErrorCode.SECOND_FACTOR_INVALID,
        (400, 401),
        "The code or passkey is wrong or was used before, or the log-in step has expired.",
        "Use the next code of the app, or log in again.",
    ),
    (
        ErrorCode.SECOND_FACTOR_EXISTS,
        (409,),
        "The user already has this second factor, or the maximum number of them.",
        "Remove one first.",
    ),
    (
        ErrorCode.SECOND_FACTOR_MISSING,
        (409,),
        "The user has no second factor that recovery codes could replace.",
        "Add an authenticator app or a passkey first.",
    ),
    (
        ErrorCode.PERMISSION_DENIED,
        (403,),
        "The user's role in the workspace does not allow this.",
        "Ask an owner or administrator of the workspace.",
    ),
    (
        ErrorCode.INVITATION_FOR_ANOTHER,
        (403,),
        "The invitation was sent to another e-mail address.",
        "Log in with the address that was invited.",
    ),
    (
        ErrorCode.INVITATION_INVALID,
        (404,),
        "The invitation was used, was withdrawn or has expired.",
        "Ask to be invited again.",
    ),
    (
        ErrorCode.LINK_INVALID,
        (404,),
        "The link was used, was replaced by a later one or has expired.",
        "Ask for another.",
    ),
    (
        ErrorCode.EMAIL_TAKEN,
        (409,),
        "A user with this e-mail address exists.",
        "Log in with it, or reset its password.",
    ),
    (
        ErrorCode.MEMBER_EXISTS,
        (409,),
        "The user is a member of the workspace already.",
        "Change the member's role instead.",
    ),
    (
        ErrorCode.LAST_OWNER,
        (409,),
        "The workspace would be left without an owner.",
        "Make another member an owner first.",
    ),
    (
        ErrorCode.LOGIN_THROTTLED,
        (429,),
        "There were too many failed attempts to log in.",
        "Wait for the seconds in Retry-After.",
    ),
)

ERRORS: Mapping[str, ListedError] = MappingProxyType(
    {str(code): ListedError(code, statuses, when, action) for code, statuses, when, action in _ROWS}
    | {
        str(code): ListedError(code, (status,), when, action, is_idempotency=True)
        for code, status, when, action in _IDEMPOTENCY_ROWS
    }
    | {
        str(code): ListedError(code, statuses, when, action, is_dashboard=True)
        for code, statuses, when, action in _DASHBOARD_ROWS
    }
)

_FAILURE_ACTIONS: Mapping[str, str] = {
    "outcome_unknown": "Ask the recipient, or the carrier with the message's id, before you send it again.",
    "expired": "Send it again with a later expires_at, if it still matters.",
    "invalid_number": "Remove the number, or ask the contact for another.",
    "carrier_filtered": "Reword the message: carriers filter links by shorteners, capitals and some trades.",
    "unreachable": "Try again later; the handset may be off or out of coverage.",
    "carrier_rejected": "Check the sender and the body against the rules of the recipient's country.",
    "sender_rejected": "Register the sender with the carrier, or use another.",
    "sender_not_allowed": "Have a sender registered for the recipient's region.",
    "no_route": "Ask the operator for a route to the region.",
    "insufficient_credits": "Add credits and send the message again.",
    "recipient_opted_out": "Do not send to this number until the recipient opts in again.",
    "recipient_not_opted_in": "Collect the contact's consent, or let the workspace admit unknown contacts.",
    "recipient_unreachable": "Check the number, then call mark_reachable, if campaigns should reach it again.",
    "excluded_list": "Take the recipient off the list, or the list out of the campaign's exclude.",
    "excluded_segment": "Take the segment out of the exclude of the next campaign, if the recipient should get it.",
    "excluded_campaign": "Take the other campaign out of the exclude of the next one, if both should be received.",
    "messaged_recently": "Send to the recipient later, or lower messaged_within_days.",
    "frequency_cap": "Send it later, or raise contact_daily_cap or contact_weekly_cap.",
    "sequence_left": "Nothing: the contact left, as the enrollment tells.",
    "recipient_deleted": "Create the contact again if it was deleted by mistake.",
    "region_blocked": "Do not send to this number.",
    "region_not_enabled": "Add the region to enabled_regions of the workspace if you want to send there.",
    "daily_cap_reached": "Raise daily_credit_cap of the workspace, or send the message again the next UTC day.",
    "number_type_blocked": "Use the recipient's mobile number.",
    "variable_missing": "Set the attribute on the contact, or write a fallback: {firstName|there}.",
    "body_too_long": "Shorten the body or the contact's values.",
    "body_empty": "Give the body some text beside its variables.",
}

FAILURE_CODES: Mapping[str, FailureCode] = MappingProxyType(
    {code: FailureCode(code, when, _FAILURE_ACTIONS[code]) for code, when in FAILURES.items()}
)


def doc_url(code: str, base_url: str = PRODUCTION_URL) -> str:
    """Return the page that explains an error code; `base_url` is where the documentation is found."""
    return f"{base_url}{PAGE}#{code}"


def errors_of(status: int) -> Iterator[ListedError]:
    """Yield the codes of the REST API that come with a status, in the order of the catalogue."""
    return (row for row in ERRORS.values() if status in row.statuses and not row.is_dashboard)
