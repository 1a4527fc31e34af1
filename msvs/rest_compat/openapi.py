"""openapi.yaml, made from the endpoint table."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import lru_cache
from importlib.resources import files
from types import UnionType
from typing import TypeGuard, Union, get_args, get_origin

import anyio.to_thread
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from yaml import CSafeDumper, ScalarNode, dump

from msvs.api import ids
from msvs.api.catalogue import ERRORS, PAGE, TYPES, errors_of
from msvs.api.contacts.suppressions import SUPPRESSION
from msvs.api.permissions import SCOPES, Scope
from msvs.api.resources import InboundReceivedResource
from msvs.api.webhooks.events import EventType
from msvs.api.webhooks.signatures import RETRY_WINDOW
from msvs.fields import AT, ULID, example_of, request_fields
from msvs.http.static import StaticFile, make_file
from msvs.rest_compat import openapi_details as details
from msvs.rest_compat import openapi_events
from msvs.rest_compat.endpoint import Endpoint
from msvs.rest_compat.endpoints import ENDPOINTS
from msvs.rest_compat.openapi_details import Schema
from msvs.rest_compat.permissions import PERMISSIONS
from msvs.rest_compat.schemas import FilteredListOf, ListOf, NoBody
from msvs.settings import PRODUCTION_URL

OPENAPI = "3.1.0"
_LISTS = (ListOf, FilteredListOf)
# How a query string writes a list, and an object.
_QUERY_STYLES: Mapping[object, Schema] = {
    "array": {"style": "form", "explode": False},
    "object": {"style": "deepObject", "explode": True},
}
JSON_TYPE = "application/json"
CACHED = "public, max-age=300"
FOR_ANY_ORIGIN = {"Access-Control-Allow-Origin": "*"}
POSTMAN = files("msvs.rest_compat") / "postman"
COMPONENT = "#/components/schemas/"

# What a struct is called in the document, where it is not its own name without "Resource".
RENAMED = {
    "AudienceResource": "CampaignAudience",
    "OptInResource": "OptInState",
    "AddContacts": "ListContacts",
    "AnswerThread": "ThreadAnswer",
    "CreateContact": "ContactCreate",
    "CreateKeyword": "KeywordCreate",
    "CreateList": "ListCreate",
    "CreateSegment": "SegmentCreate",
    "CreateSequence": "SequenceCreate",
    "CreateSnippet": "SnippetCreate",
    "CreateSuppression": "SuppressionCreate",
    "CreateTemplate": "TemplateCreate",
    "EnrollContact": "EnrollmentCreate",
    "ImportContacts": "ContactImport",
    "ImportSuppressions": "SuppressionImport",
    "OptInEvidence": "OptIn",
    "PreviewSegment": "SegmentFilter",
    "AdvanceTestClock": "TestClockAdvance",
    "CreateTestClock": "TestClockCreate",
    "ReadThread": "ThreadRead",
    "RecoverWebhook": "WebhookRecover",
    "ResendEvent": "EventResend",
    "ScriptTestCarrier": "TestCarrierScript",
    "SendBatch": "MessageBatchCreate",
    "SendMessage": "MessageCreate",
    # Its own name is a type of several languages.
    "SequenceResource": "MessageSequence",
    "SimulateReply": "InboundTest",
    "UpdateContact": "ContactUpdate",
    "UpdateKeyword": "KeywordUpdate",
    "UpdateList": "ListUpdate",
    "UpdateSegment": "SegmentUpdate",
    "UpdateSequence": "SequenceUpdate",
    "UpdateSnippet": "SnippetUpdate",
    "UpdateTemplate": "TemplateUpdate",
    "CreateWebhook": "WebhookCreate",
    "UpdateWebhook": "WebhookUpdate",
    "UpdateWorkspace": "WorkspaceUpdate",
}

EVERY_STATUS = (400, 401, 403, 406, 408, 429, 431, 500, 503)
WITH_BODY = (409, 413, 415)
RESPONSES: Mapping[int, tuple[str, str]] = {
    400: ("BadRequest", "Validation failed; `error.param` names the parameter."),
    401: ("Unauthorized", "Invalid or missing API key."),
    402: ("PaymentRequired", "Insufficient credits to complete the request."),
    403: ("Forbidden", "The key does not have permission."),
    404: ("NotFound", "The resource does not exist in this workspace and mode, or was deleted."),
    405: ("MethodNotAllowed", "The path does not take this method."),
    406: ("NotAcceptable", "Accept refuses application/json."),
    408: ("RequestTimeout", "The request did not arrive in time."),
    409: ("Conflict", "The resource's state does not allow this, or the first request with this key still runs."),
    413: ("PayloadTooLarge", "The body is larger than 1 MiB."),
    415: ("UnsupportedMediaType", "The body is not application/json in UTF-8."),
    422: ("Unprocessable", "A compliance check failed, such as a phone in a blocked region."),
    429: ("TooManyRequests", "Rate limit exceeded; honor Retry-After."),
    431: ("HeadersTooLarge", "The headers are larger than 64 KiB, or one of them than 8 KiB."),
    500: ("InternalError", "A problem on our end; retry with exponential backoff."),
    503: ("Unavailable", "A part of the service is unavailable; honor Retry-After."),
}

HEADERS: Mapping[str, Schema] = {
    "X-Request-Id": {
        "description": "The request's id, the same as `error.request_id`.",
        "required": True,
        "schema": {"type": "string", **details.id_of(ids.REQUEST)},
    },
    "X-RateLimit-Limit": {
        "description": "The number of requests that the workspace may make in a second.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
        "example": 100,
    },
    "X-RateLimit-Remaining": {
        "description": "Requests left at this moment.",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
        "example": 87,
    },
    "X-RateLimit-Reset": {
        "description": "The Unix time at which the bucket is full again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
        "example": 1714579200,
    },
    "Retry-After": {
        "description": "Seconds to wait before the next try.",
        "schema": {"type": "integer", "minimum": 1},
        "example": 12,
    },
    "Idempotent-Replayed": {
        "description": "`true` if this is the stored answer to an earlier request with the same Idempotency-Key.",
        "schema": {"type": "string", "const": "true"},
    },
    "WWW-Authenticate": {
        "description": "How to authenticate.",
        "required": True,
        "schema": {"type": "string", "const": "Bearer"},
    },
    "Allow": {"description": "The methods that the path takes.", "required": True, "schema": {"type": "string"}},
}
RATE_HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")

_examined = re.compile(r"\s+")


def document(base_url: str = PRODUCTION_URL) -> Schema:
    """Return the whole OpenAPI document, for the service at `base_url`."""
    made: Schema = json.loads(_encoded().replace(PRODUCTION_URL, base_url))
    return made


def yaml(base_url: str = PRODUCTION_URL) -> str:
    """Return the document as YAML."""
    return to_yaml(document(base_url))


def openapi_routes(base_url: str) -> list[Route]:
    """Return the routes of the document, as YAML and as JSON, and of the Postman collection made from it."""
    return [
        Route("/openapi.yaml", _show(lambda: yaml(base_url).encode(), "application/yaml")),
        Route("/openapi.json", _show(lambda: msgspec.json.encode(document(base_url)), JSON_TYPE)),
        Route("/postman.json", _show(lambda: collection(base_url), JSON_TYPE)),
    ]


def collection(base_url: str) -> bytes:
    """Return the Postman collection with the sandbox's variables in it and this service's address."""
    made = msgspec.json.decode((POSTMAN / "massivesms.postman_collection.json").read_bytes())
    sandbox = msgspec.json.decode((POSTMAN / "sandbox.postman_environment.json").read_bytes())
    values = {each["key"]: each["value"] for each in sandbox["values"]} | {"base_url": base_url}
    made["variable"] = [*({"key": key, "value": value} for key, value in values.items()), *made["variable"]]
    return msgspec.json.encode(made)


def _show(make: Callable[[], bytes], media_type: str) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers with a file that is made and compressed at the first request."""

    @lru_cache(maxsize=1)
    def made() -> StaticFile:
        return make_file("", make(), media_type=media_type, cache_control=CACHED)

    async def endpoint(request: Request) -> Response:
        # lru_cache gives what it holds without a thread; making it takes a second.
        file = made() if made.cache_info().currsize else await anyio.to_thread.run_sync(made)
        return file.answer(request.headers, FOR_ANY_ORIGIN)

    return endpoint


@lru_cache(maxsize=1)
def _encoded() -> str:
    return json.dumps(_Document(ENDPOINTS).build())


class _Document:
    """One making of the document."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self.endpoints = endpoints
        shapes = [*(endpoint.response for endpoint in endpoints), InboundReceivedResource]
        bodies = [endpoint.body for endpoint in endpoints if endpoint.body is not NoBody]
        bodies += [endpoint.form for endpoint in endpoints if endpoint.form is not None]
        self.names = {_raw_name(struct): _public_name(struct) for struct in _structs([*shapes, *bodies])}
        _, raw = msgspec.json.schema_components([*shapes, *bodies], ref_template=COMPONENT + "{name}")
        requests = {_raw_name(struct) for struct in _structs(bodies)}
        structs = {_raw_name(struct): struct for struct in _structs([*shapes, *bodies])}
        self.schemas: dict[str, Schema] = {}
        self.enums = {raw_name: schema["enum"] for raw_name, schema in raw.items() if "enum" in schema}
        for raw_name, schema in raw.items():
            if raw_name in self.enums:
                continue
            name = self.names[raw_name]
            schema = {**self._renamed(schema), "title": name}
            if raw_name in requests:
                self.schemas[name] = _request_schema(schema, structs[raw_name])
            else:
                self.schemas[name] = _response_schema(name, schema, structs[raw_name])
        self.schemas["SegmentCondition"] = details.CONDITION
        self.schemas.update(details.COMBINATIONS)
        self.schemas |= {"Error": _error_schema(), "Event": _event_schema()}
        self.schemas |= {_event_name(type): _event_type_schema(type) for type in EventType}
        self.schemas = dict(sorted(self.schemas.items()))
        self.examples = _Examples(self.schemas)

    def build(self) -> Schema:
        paths: dict[str, Schema] = {}
        for endpoint in self.endpoints:
            paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = self._operation(endpoint)
        made: Schema = {
            "openapi": OPENAPI,
            "info": {
                "title": "MassiveSMS API",
                "version": details.VERSION,
                "summary": "REST + JSON for messages, campaigns, contacts and delivery events.",
                "description": details.INTRODUCTION,
                "contact": {"name": "MassiveSMS", "url": f"{PRODUCTION_URL}/docs/"},
                "license": {"name": "Proprietary", "identifier": "LicenseRef-Proprietary"},
            },
            "servers": [
                {
                    "url": PRODUCTION_URL,
                    "description": "Live and sandbox; the key selects the mode.",
                    "x-internal": False,
                }
            ],
            "security": [{"apiKey": []}],
            "tags": [{"name": name, "description": text} for name, text in details.TAGS.items()],
            "paths": paths,
            "webhooks": {type.value: {"post": self._webhook(type)} for type in EventType},
            "components": {
                "securitySchemes": {
                    "apiKey": {
                        "type": "http",
                        "scheme": "bearer",
                        "bearerFormat": "msvs_live_… or msvs_test_…",
                        "description": "Keys belong to a workspace and to one mode: live or sandbox.",
                    }
                },
                "parameters": {"IdempotencyKey": _idempotency_parameter()},
                "headers": HEADERS,
                "responses": {name: _error_response(status) for status, (name, _) in RESPONSES.items()},
                "schemas": dict(sorted(self.schemas.items())),
            },
        }
        return _with_widths(made)

    def _renamed(self, schema: Schema) -> Schema:
        ref = schema.get("$ref")
        if ref is not None:
            name = ref.removeprefix(COMPONENT)
            said = {word: schema[word] for word in _SAID if word in schema}
            if name in self.enums:
                return {**said, "type": "string", "enum": sorted(self.enums[name])}
            return {**said, "$ref": COMPONENT + self.names.get(name, name)}
        return {key: self._renamed_within(value) for key, value in schema.items()}

    def _renamed_within(self, value: object) -> object:
        if isinstance(value, dict):
            return self._renamed(value)
        return [self._renamed_within(item) for item in value] if isinstance(value, list) else value

    # Operations

    def _operation(self, endpoint: Endpoint) -> Schema:
        operation: Schema = {
            "operationId": endpoint.operation_id,
            "tags": [endpoint.tag],
            "summary": endpoint.summary,
            "description": details.OPERATIONS.get(endpoint.operation_id, f"{endpoint.summary}."),
            "x-scope": SCOPES[PERMISSIONS[endpoint.operation_id]].value,
            "parameters": [*_path_parameters(endpoint.path), *self._query_parameters(endpoint)],
        }
        statuses = {*EVERY_STATUS, *(error.status for error in endpoint.errors)}
        if endpoint.idempotent:
            operation["parameters"].append({"$ref": "#/components/parameters/IdempotencyKey"})
            statuses |= {*WITH_BODY}
        if endpoint.body is not NoBody:
            operation["requestBody"] = self._request_body(endpoint)
        if endpoint.deprecated is not None:
            operation["deprecated"] = True
        operation["responses"] = {
            str(endpoint.status): self._success(endpoint),
            **{str(status): {"$ref": f"#/components/responses/{RESPONSES[status][0]}"} for status in sorted(statuses)},
        }
        return operation

    def _request_body(self, endpoint: Endpoint) -> Schema:
        name = self.names[_raw_name(endpoint.body)]
        schema = self.schemas[name]
        content = {
            "schema": {"$ref": COMPONENT + name},
            "example": example_of(endpoint.body),
        }
        contents = {JSON_TYPE: content} | self._form(endpoint)
        return {"required": bool(schema["required"]), "content": contents}

    def _form(self, endpoint: Endpoint) -> Schema:
        """Return the body of an endpoint that also takes a form with a file."""
        if endpoint.form is None:
            return {}
        options = COMPONENT + self.names[_raw_name(endpoint.form)]
        # Client generators invent a name for an unnamed schema, but never write a class of that name.
        name = f"{self.names[_raw_name(endpoint.body)]}Form"
        self.schemas[name] = {
            "title": name,
            "type": "object",
            "description": "A file, and what is to be done with it.",
            "required": ["file"],
            "properties": {
                "file": {"type": "string", "format": "binary", "description": "The file."},
                "options": {"$ref": options},
            },
        }
        return {
            "multipart/form-data": {
                "schema": {"$ref": COMPONENT + name},
                "encoding": {"options": {"contentType": JSON_TYPE}},
            }
        }

    def _success(self, endpoint: Endpoint) -> Schema:
        name = self.names[_raw_name(endpoint.response)]
        example = self.examples.of(name)
        if get_origin(endpoint.response) in _LISTS:
            example["url"] = endpoint.path
            for parameter in _path_parameters(endpoint.path):
                example["url"] = example["url"].replace(f"{{{parameter['name']}}}", parameter["example"])
        if name == "Deleted":
            kind, prefix = _deleted(endpoint)
            example |= {"id": f"{prefix}_{ULID}", "object": kind}
        if endpoint.operation_id in details.SECRET_SHOWN_BY:
            example["secret"] = details.SECRET_EXAMPLE
        headers = ["X-Request-Id", *RATE_HEADERS, *(["Idempotent-Replayed"] if endpoint.idempotent else [])]
        told = {} if endpoint.deprecated is None else endpoint.deprecated.headers()
        return {
            "description": "Resource created." if endpoint.status == 201 else "Request succeeded.",
            "headers": {header: {"$ref": f"#/components/headers/{header}"} for header in headers}
            | {header: {"schema": {"type": "string", "const": value}} for header, value in told.items()},
            "content": {JSON_TYPE: {"schema": {"$ref": COMPONENT + name}, "example": example}},
        }

    def _query_parameters(self, endpoint: Endpoint) -> Iterator[Schema]:
        _, components = msgspec.json.schema_components([endpoint.query])
        for name, found in components[endpoint.query.__name__]["properties"].items():
            schema = _ordered(_lifted(found))
            more: Schema = {}
            if name in ("starting_after", "ending_before") and get_args(endpoint.response):
                resource = self.names[_raw_name(get_args(endpoint.response)[0])]
                more = details.id_of(details.RESOURCE_IDS[resource])
            yield {
                "name": name,
                "in": "query",
                "description": schema["description"],
                "schema": {**_without_null(schema), **more},
                **_QUERY_STYLES.get(_without_null(schema).get("type"), {}),
            }

    # Webhooks

    def _webhook(self, type: EventType) -> Schema:
        name = _event_name(type)
        ended = {"description": "Delivered. Any other answer, or none within 10 seconds, is a failure and is retried."}
        return {
            "operationId": f"on{name.removesuffix('Event')}",
            "tags": ["Webhook events"],
            "summary": openapi_events.EVENTS[type],
            "description": f"Retried for up to {RETRY_WINDOW.total_seconds() / 3600:.0f} hours."
            " The event's id is the same in every attempt.",
            "security": [],
            "parameters": [
                {
                    "name": "MSVS-Signature",
                    "in": "header",
                    "required": True,
                    "description": (
                        "`t=<epoch second>,v1=<HMAC-SHA256 of {t}.{body} with your secret, in hex>`. For 24"
                        " hours after a rotation, a second `v1` follows."
                    ),
                    "schema": {"type": "string"},
                    "example": details.SIGNATURE_EXAMPLE,
                },
                {
                    "name": "MSVS-Event-Id",
                    "in": "header",
                    "required": True,
                    "description": "The event's id.",
                    "schema": {"type": "string", **details.id_of(ids.EVENT)},
                },
                {
                    "name": "MSVS-Delivery-Attempt",
                    "in": "header",
                    "required": True,
                    "description": "1 for the first attempt.",
                    "schema": {"type": "integer", "minimum": 1},
                },
                {
                    "name": "MSVS-Sequence",
                    "in": "header",
                    "description": "The event's number at this webhook, without gaps; in a batch, those of all.",
                    "schema": {"type": "string", "pattern": "^[1-9][0-9]*(?:,[1-9][0-9]*)*$"},
                    "example": "42",
                },
                {
                    "name": "MSVS-Replay",
                    "in": "header",
                    "description": "`true` if the event is sent again by a replay, a recovery or a resend.",
                    "schema": {"type": "string", "enum": ["true"]},
                },
            ],
            "requestBody": {
                "required": True,
                "content": {JSON_TYPE: {"schema": {"$ref": COMPONENT + name}, "example": self.examples.of(name)}},
            },
            "responses": {
                "2XX": ended,
                "410": {"description": "Gone: the webhook is disabled."},
                "default": {"description": "A failure: the event is delivered again later."},
            },
        }


# Structs and their names


def _structs(types: Iterable[object]) -> dict[type[msgspec.Struct], None]:
    """Return every struct type that the types reach, in the order found."""
    found: dict[type[msgspec.Struct], None] = {}
    waiting = list(types)[::-1]
    while waiting:
        each = waiting.pop()
        if _is_struct(each) and each not in found:
            found[each] = None
            waiting.extend(field.type for field in msgspec.structs.fields(each))
        elif get_origin(each) in (Union, UnionType, list, dict) or hasattr(each, "__metadata__"):
            waiting.extend(get_args(each))
    return found


def _is_struct(each: object) -> TypeGuard[type[msgspec.Struct]]:
    base = get_origin(each) or each
    return isinstance(base, type) and issubclass(base, msgspec.Struct)


def _raw_name(struct: type[msgspec.Struct]) -> str:
    """Return what msgspec calls the struct among its components."""
    origin = get_origin(struct)
    if origin is None:
        return struct.__name__
    return f"{origin.__name__}_{'_'.join(arg.__name__ for arg in get_args(struct))}_"


def _public_name(struct: type[msgspec.Struct]) -> str:
    if get_origin(struct) in _LISTS:
        return f"{_public_name(get_args(struct)[0])}Page"
    name: str = struct.__name__
    return RENAMED.get(name, name.removesuffix("Resource"))


# Schemas


_SAID = ("description", "examples")


# What is left of a field whose limits are not told.
_UNLIMITED = ("description", "type", "anyOf", "$ref")


def _request_schema(schema: Schema, struct: type[msgspec.Struct]) -> Schema:
    is_limited = getattr(struct, "told_limits", True)
    for field, found in schema["properties"].items():
        made = _ordered(_lifted(found))
        made.pop("default", None)
        # The example of a body is made of those of its fields.
        made.pop("examples", None)
        schema["properties"][field] = made if is_limited else _unlimited(made)
    schema["required"] = [field.encoded_name for field in request_fields(struct) if field.is_required]
    return schema


def _unlimited(schema: Schema) -> Schema:
    kept = {word: value for word, value in schema.items() if word in _UNLIMITED}
    if "anyOf" in kept:
        kept["anyOf"] = [_unlimited(kind) for kind in kept["anyOf"]]
    return kept


def _response_schema(name: str, schema: Schema, struct: type[msgspec.Struct]) -> Schema:
    known = details.ENUMS.get(name, {})
    unknown = known.keys() - schema["properties"].keys()
    assert not unknown, f"{name} has no {unknown}"
    base = get_origin(struct) or struct
    for field, found in schema["properties"].items():
        made = _narrowed(_lifted(found), {**_by_name(name, field), **known.get(field, {})})
        made.pop("default", None)
        schema["properties"][field] = made
    if not base.__struct_config__.omit_defaults:
        # A field that is not left UNSET is always there.
        schema["required"] = [
            field.encode_name for field in msgspec.structs.fields(base) if msgspec.UnsetType not in get_args(field.type)
        ]
    schema["description"] = _examined.sub(" ", schema["description"])
    return schema


def _by_name(component: str, field: str) -> Schema:
    if field == "id" and component in details.RESOURCE_IDS:
        return details.id_of(details.RESOURCE_IDS[component])
    if field.endswith("_at") or field in ("at", "as_of"):
        return details.TIME
    return details.id_of(details.REFERENCES[field]) if field in details.REFERENCES else {}


def _lifted(schema: Schema) -> Schema:
    """Return the schema with what is said of its value, null or not, in one place.

    First what it is, last an example.
    """
    said = {word: kind[word] for kind in schema.get("anyOf", ()) for word in _SAID if word in kind}
    said |= {word: schema[word] for word in _SAID if word in schema}
    rest = {word: value for word, value in schema.items() if word not in _SAID}
    if "anyOf" in rest:
        rest["anyOf"] = [{word: value for word, value in kind.items() if word not in _SAID} for kind in rest["anyOf"]]
    examples = {"examples": said.pop("examples")} if "examples" in said else {}
    return {**said, **rest, **examples}


def _ordered(schema: Schema) -> Schema:
    """Return the schema with its description and its type first."""
    first: Schema = {word: schema[word] for word in ("description", "type") if word in schema}
    made: Schema = {**first, **schema}
    if "anyOf" in made:
        made["anyOf"] = [_ordered(kind) for kind in made["anyOf"]]
    within = {
        word: _ordered(made[word]) for word in ("items", "additionalProperties") if isinstance(made.get(word), dict)
    }
    return {**made, **within}


def _narrowed(schema: Schema, more: Mapping[str, object]) -> Schema:
    """Return the schema with more said of the value that it has unless it is null."""
    more = dict(more)
    if "$ref" in more:
        return more
    description = more.pop("description", None)
    schema = {**schema}
    if "anyOf" in schema and {"type": "null"} in schema["anyOf"]:
        kinds = [{**kind, **more} if kind != {"type": "null"} else kind for kind in schema["anyOf"]]
        schema["anyOf"] = kinds
    else:
        schema |= more
    return schema if description is None else {"description": description, **schema}


# What holds values, in which a "type" is one of theirs.
_VALUES = ("const", "default", "enum", "example", "examples")
_INT32 = 2**31 - 1


def _with_widths(schema: Schema) -> Schema:
    """Return a part of the document with the width of each number, by which generators choose its type.

    Without one they read every integer as one of 32 bits, and every other number in single precision.
    """
    made: Schema = {}
    for word, value in schema.items():
        made[word] = value if word in _VALUES else _with_widths_within(value)
        if word == "type" and "format" not in schema:
            if value == "number":
                made["format"] = "double"
            elif value == "integer":
                made["format"] = "int32" if schema.get("maximum", _INT32 + 1) <= _INT32 else "int64"
    return made


def _with_widths_within(value: object) -> object:
    if isinstance(value, dict):
        return _with_widths(value)
    return [_with_widths_within(each) for each in value] if isinstance(value, list) else value


def _without_null(schema: Schema) -> Schema:
    (kind,) = [kind for kind in schema["anyOf"] if kind != {"type": "null"}]
    return dict(kind)


def _error_schema() -> Schema:
    envelope = {
        "type": "object",
        "properties": _error_fields(),
        "required": ["type", "code", "message", "doc_url", "request_id"],
    }
    return {
        "title": "Error",
        "description": "The shape of every error.",
        "type": "object",
        "properties": {"error": envelope},
        "required": ["error"],
    }


def _error_fields() -> Schema:
    codes = {row.code: row.when for row in sorted(ERRORS.values(), key=lambda row: row.code) if not row.is_dashboard}
    return {
        "type": {"type": "string", "enum": sorted({*TYPES.values(), "idempotency_error"})},
        "code": {
            "type": "string",
            "description": f"What went wrong; {PAGE} says what to do about each.",
            "enum": list(codes),
            "x-descriptions": codes,
        },
        "message": {"type": "string", "description": "An explanation for people; the wording may change."},
        "param": {"type": "string", "description": "The parameter at fault, as a dotted path."},
        "required": {
            "type": "integer",
            "description": "With insufficient_credits and daily_cap_reached: the credits needed.",
        },
        "available": {
            "type": "integer",
            "description": "With insufficient_credits: the balance; with daily_cap_reached: what is left of the cap.",
        },
        "resets_at": {
            "type": "string",
            "format": "date-time",
            "description": "With daily_cap_reached and prefix_velocity_exceeded: when the count starts again.",
        },
        "existing_id": {
            "type": "string",
            "description": (
                "With contact_exists, suppression_exists, keyword_exists, webhook_exists and sequence_entered: the"
                " existing resource; with opt_in_revoked: the contact of the phone, if it has one."
            ),
            **details.id_of(f"(?:{ids.CONTACT}|{SUPPRESSION}|{ids.KEYWORD}|{ids.WEBHOOK}|{ids.ENROLLMENT})"),
        },
        "opted_out_at": {
            "type": "string",
            "format": "date-time",
            "description": "With opt_in_revoked: when the phone opted out.",
        },
        "scope": {"type": "string", "enum": sorted(Scope), "description": "With scope_missing: the missing scope."},
        "doc_url": {"type": "string", "format": "uri", "description": "The page that explains the code."},
        "request_id": {"type": "string", **details.id_of(ids.REQUEST)},
    }


def _error_response(status: int) -> Schema:
    headers = ["X-Request-Id"]
    if status == 401:
        headers.append("WWW-Authenticate")
    elif status in (402, 403, 404, 409, 415, 422):
        headers += ["Idempotent-Replayed"]
    elif status == 405:
        headers.append("Allow")
    if status in (409, 429, 503):
        headers.append("Retry-After")
    # Where the key is known; what was refused before that has none.
    told: Schema = {
        name: {word: value for word, value in HEADERS[name].items() if word != "required"} for name in RATE_HEADERS
    }
    if status == 429:
        told = {name: {"$ref": f"#/components/headers/{name}"} for name in RATE_HEADERS}
    examples = {
        row.code: {"summary": row.when, "value": _error_example(row.code, row.type(status), row.when)}
        for row in errors_of(status)
    }
    return {
        "description": RESPONSES[status][1],
        "headers": {header: {"$ref": f"#/components/headers/{header}"} for header in headers} | told,
        "content": {JSON_TYPE: {"schema": {"$ref": COMPONENT + "Error"}, "examples": examples}},
    }


def _error_example(code: str, type: str, message: str) -> Schema:
    error: Schema = {"type": type, "code": code, "message": message}
    if code == "phone_number_invalid":
        error |= {"message": "The phone number '+1abc' could not be parsed as E.164.", "param": "to"}
    elif code == "insufficient_credits":
        error |= {"required": 120, "available": 42}
    elif code == "daily_cap_reached":
        error |= {"required": 2, "available": 1, "resets_at": "2026-05-02T00:00:00Z"}
    elif code == "prefix_velocity_exceeded":
        error |= {"param": "to", "resets_at": "2026-05-01T21:00:00Z"}
    elif code == "contact_exists":
        error |= {"param": "phone", "existing_id": f"con_{ULID}"}
    elif code == "opt_in_revoked":
        error |= {"param": "opt_in", "opted_out_at": "2026-05-01T20:00:00Z"}
    elif code == "scope_missing":
        error |= {"scope": Scope.SETTINGS_WRITE.value}
    elif code == "webhook_exists":
        error |= {"param": "url", "existing_id": f"whk_{ULID}"}
    elif code == "keyword_exists":
        error |= {"param": "word", "existing_id": f"kwd_{ULID}"}
    return {"error": {**error, "doc_url": f"{PRODUCTION_URL}{PAGE}#{code}", "request_id": f"req_{ULID}"}}


def _event_name(type: EventType) -> str:
    return "".join(part.title() for part in re.split(r"[._]", type.value)) + "Event"


def _event_schema() -> Schema:
    names = {type.value: COMPONENT + _event_name(type) for type in EventType}
    return {
        "title": "Event",
        "description": "An event, as webhooks deliver it.",
        "oneOf": [{"$ref": ref} for ref in names.values()],
        "discriminator": {"propertyName": "type", "mapping": names},
    }


def _event_type_schema(type: EventType) -> Schema:
    data: Schema = {"$ref": COMPONENT + openapi_events.data_of(type.value)}
    if type is EventType.MESSAGE_REPLIED:
        data = {"allOf": [data, {"required": ["reply"]}]}
    if type is EventType.MESSAGE_CLICKED:
        data = {"allOf": [data, {"required": ["click"]}]}
    fields: Schema = {
        "id": {"type": "string", **details.id_of(ids.EVENT)},
        "object": {"type": "string", "const": "event"},
        "type": {"type": "string", "const": type.value},
        "livemode": {"type": "boolean"},
        "api_version": {"type": "string", "const": "v1"},
        "created_at": {"type": "string", **details.TIME},
        "data": data,
    }
    return {
        "title": _event_name(type),
        "description": openapi_events.EVENTS[type],
        "type": "object",
        "properties": fields,
        "required": list(fields),
    }


# Parameters


def _idempotency_parameter() -> Schema:
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": (
            "Your own key for this request. For 24 hours, the same key and request get the stored answer, so"
            " that a retry is never carried out twice."
        ),
        # No example: anyone who tries it would send the same key twice.
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
    }


def _path_parameters(path: str) -> Iterator[Schema]:
    for name in re.findall(r"\{(\w+)\}", path):
        prefix = ids.CONTACT if name == "contact_id" else _path_prefix(path)
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "description": "The contact's id." if name == "contact_id" else "The resource's id.",
            "schema": {"type": "string", **details.id_of(prefix)},
            "example": f"{prefix}_{ULID}",
        }


def _path_prefix(path: str) -> str:
    return details.PATH_IDS[path.split("/")[2]]


def _deleted(endpoint: Endpoint) -> tuple[str, str]:
    """Return the `object` and the id's prefix of what an operation deletes."""
    if "{contact_id}" in endpoint.path:
        return "list_member", ids.CONTACT
    prefix = _path_prefix(endpoint.path)
    if endpoint.path == "/v1/test/carrier":
        return "test_carrier", ids.WORKSPACE
    kinds = {ids.CONTACT_LIST: "contact_list", ids.TEST_CLOCK: "test_clock"}
    return kinds.get(prefix, endpoint.path.split("/")[2].removesuffix("s")), prefix


# Examples


class _Examples:
    """Examples of the components, from the values that details knows and the schemas."""

    def __init__(self, schemas: Mapping[str, Schema]) -> None:
        self._schemas = schemas

    def of(self, component: str) -> Schema:
        schema = self._schemas[component]
        if component == "Event":
            return self.of(_event_name(EventType.MESSAGE_DELIVERED))
        properties = schema["properties"]
        wanted = [name for name, each in properties.items() if name in schema["required"] or "examples" in each]
        example: Schema = {name: self._value(properties[name]) for name in wanted}
        if component.endswith("Event"):
            example["data"] = self._data(schema["properties"]["type"]["const"])
        return example

    def _data(self, type: str) -> Schema:
        data = self.of(openapi_events.data_of(type))
        for name, value in openapi_events.EVENT_EXAMPLES.get(EventType(type), {}).items():
            known = data.get(name)
            data[name] = {**known, **value} if isinstance(known, dict) and isinstance(value, dict) else value
        return data

    def _value(self, schema: Schema) -> object:
        if "examples" in schema:
            return deepcopy(schema["examples"][0])
        if "$ref" in schema:
            return self.of(schema["$ref"].removeprefix(COMPONENT))
        if "anyOf" in schema:
            # A plain value that may be missing and has no example is missing.
            kind = schema["anyOf"][0]
            return self._value(kind) if "$ref" in kind else None
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][0]
        pattern = schema.get("pattern", "")
        if found := re.match(r"\^([a-z]{3})_", pattern):
            return f"{found[1]}_{ULID}"
        if schema.get("format") == "date-time":
            return AT
        match schema.get("type"):
            case "array":
                return [self._value(schema["items"])]
            case "integer" | "number":
                return max(1, schema.get("minimum", 1))
            case "boolean":
                return True
            case "object":
                return {}
        return "text"


# YAML


class _Dumper(CSafeDumper):
    """Writes texts of several lines as blocks, and repeats what appears twice instead of naming it."""

    def ignore_aliases(self, data: object) -> bool:
        """Never write an alias: some generators do not follow them."""
        return True


def _text_node(dumper: CSafeDumper, text: str) -> ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text_node)


def to_yaml(value: dict[str, object] | list[object]) -> str:
    """Write JSON-like data as block-style YAML. It takes a second for the whole document: call it in a thread."""
    written: str = dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**6)
    return written
