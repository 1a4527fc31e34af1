"""Render a template for a recipient: its body, encoding and segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import NamedTuple, Protocol, cast

from msvs.api.errors import ErrorCode, InvalidRequest
from msvs.api.text.links import MAX_URL, LinkedTemplate
from msvs.api.text.sms import Encoding, measure
from msvs.api.text.templates import (
    MissingVariable,
    Template,
    TemplateError,
    canonical,
    compile_template,
    is_visible,
    value_text,
)
from msvs.json_types import JSON, JSONObject
from msvs.models.messages import MetadataValue

MAX_BODY = 1600
# No placeholder's name is longer, in any spelling.
MAX_VARIABLE_NAME = 256
MAX_METADATA_KEYS = 20
MAX_METADATA_KEY = 40
MAX_METADATA_VALUE = 500
CONTACT_FIELDS = ("phone", "first_name", "last_name", "email")


class Rendered(NamedTuple):
    """A body as it goes out."""

    body: str
    encoding: Encoding
    segments: int


class NotRenderable(Exception):
    """The body cannot be made for this recipient; `code` is the failure's.

    Of a variable that is missing, `name` is its canonical name, `written` the one in the body; `is_blank` where it
    has a value of which nothing prints.
    """

    def __init__(self, code: ErrorCode, name: str = "", written: str = "", *, is_blank: bool = False) -> None:
        super().__init__(code)
        self.is_blank = is_blank
        self.code = code
        self.name = name
        self.written = written


def read_template(body: str, *, is_literal: bool = False) -> Template:
    """Read the template of a body of 1 to 1600 characters; braces of a literal one are text. Raises InvalidRequest."""
    if not is_visible(body):
        raise InvalidRequest("body must not be blank.", param="body", code=ErrorCode.BODY_EMPTY)
    if len(body) > MAX_BODY:
        raise InvalidRequest(f"body is longer than {MAX_BODY} characters.", param="body", code=ErrorCode.BODY_TOO_LONG)
    if is_literal:
        return Template(body)
    try:
        return compile_template(body)
    except TemplateError as error:
        raise InvalidRequest(str(error), param="body", code=ErrorCode.TEMPLATE_INVALID) from None


class HasAttributes(Protocol):
    """A contact's row, or a recipient's: its fields are read by name."""

    @property
    def attributes(self) -> JSONObject | None: ...


def contact_values(contact: HasAttributes, names: tuple[str, ...]) -> dict[str, str]:
    """Return what a contact (any row with its fields) has for the names of a template; its own fields go first."""
    values: dict[str, str] = {}
    wanted = set(names)
    if not wanted.issubset(CONTACT_FIELDS) and contact.attributes:
        for key, value in contact.attributes.items():
            name = canonical(key)
            text = value_text(value) if name in wanted else None
            if text is not None:
                values[name] = text
    for field in CONTACT_FIELDS:
        if field in wanted:
            text = getattr(contact, field)
            if text is not None:
                values[field] = text
    return values


def given_values(variables: Mapping[str, object]) -> dict[str, str]:
    """Return the variables of a request, by canonical name.

    Raises InvalidRequest with `param` for a value that is no text.

    A text longer than any body is cut to what is still too long for one: a body may hold it hundreds of times.
    """
    values: dict[str, str] = {}
    for key, value in variables.items():
        text = value_text(value)
        if text is not None:
            if len(key) <= MAX_VARIABLE_NAME:
                values[canonical(key)] = text[: MAX_BODY + 1]
        elif value is not None:
            raise InvalidRequest("A variable must be text, a number or a boolean.", param=f"variables.{key[:64]}")
    return values


def render(template: Template, values: Mapping[str, str]) -> Rendered:
    """Render the body for one recipient. Raises NotRenderable."""
    try:
        body = template.render(values)
    except MissingVariable as error:
        raise NotRenderable(ErrorCode.VARIABLE_MISSING, error.name, error.written, is_blank=error.is_blank) from None
    if len(body) > MAX_BODY or _has_long_link(template, values):
        raise NotRenderable(ErrorCode.BODY_TOO_LONG)
    if not is_visible(body):
        raise NotRenderable(ErrorCode.BODY_EMPTY)
    size = measure(body)
    return Rendered(body, size.encoding, size.segments)


def _has_long_link(template: Template, values: Mapping[str, str]) -> bool:
    return isinstance(template, LinkedTemplate) and any(len(url) > MAX_URL for url in template.urls(values))


def with_codes(template: LinkedTemplate, rendered: Rendered, codes: Sequence[str]) -> Rendered:
    """Return a rendered body with the codes of its short links; it keeps its length."""
    body = rendered.body
    for mark, code in zip(template.marks, codes, strict=True):
        body = body.replace(mark, code)
    return rendered._replace(body=body)


def check_metadata(metadata: Mapping[str, JSON]) -> dict[str, MetadataValue]:
    """Return metadata within its limits: 20 keys of 40 characters; texts of 500, numbers, booleans and nulls.

    Raises InvalidRequest with `param`.
    """
    if len(metadata) > MAX_METADATA_KEYS:
        raise InvalidRequest(
            f"metadata may have at most {MAX_METADATA_KEYS} keys.",
            param="metadata",
            code=ErrorCode.PARAMETER_OUT_OF_RANGE,
        )
    for key, value in metadata.items():
        if not 1 <= len(key) <= MAX_METADATA_KEY:
            raise InvalidRequest(
                f"A key of metadata has 1 to {MAX_METADATA_KEY} characters.",
                param="metadata",
                code=ErrorCode.PARAMETER_OUT_OF_RANGE,
            )
        if not isinstance(value, str | int | float | None) or (isinstance(value, float) and not isfinite(value)):
            raise InvalidRequest(
                "A value of metadata is a string, a number, a boolean or null.", param=f"metadata.{key}"
            )
        if isinstance(value, str) and len(value) > MAX_METADATA_VALUE:
            raise InvalidRequest(
                f"A value of metadata has at most {MAX_METADATA_VALUE} characters.",
                param=f"metadata.{key}",
                code=ErrorCode.PARAMETER_OUT_OF_RANGE,
            )
    return cast("dict[str, MetadataValue]", dict(metadata))
