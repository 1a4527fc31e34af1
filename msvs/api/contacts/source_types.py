"""The connectors available for synced lists, and the settings each one needs."""

from __future__ import annotations

from typing import Annotated, Literal

from msvs.api.context import Context
from msvs.api.permissions import Permission, allow
from msvs.api.resources import Resource
from msvs.connectors.base import Connector, Setting, SettingKind
from msvs.connectors.registry import CONNECTORS
from msvs.fields import about


class ConnectorChoice(Resource, kw_only=True):
    """An allowed value of a setting."""

    value: Annotated[str, about("The value to send.", example="unsubscribe")]
    label: Annotated[str, about("The text to show.", example="Unsubscribe the customer from SMS marketing")]


class ConnectorSetting(Resource, kw_only=True):
    """A setting of a connector, with what a form needs to ask for it."""

    name: Annotated[str, about("The key in `settings`.", example="api_key")]
    label: Annotated[str, about("The text to show.", example="API key")]
    kind: Annotated[
        str,
        about(
            "The kind of input. A `secret` is stored encrypted and never returned; a `choice` has `choices`.",
            example="secret",
            enum=[*SettingKind],
        ),
    ]
    required: Annotated[bool, about("Whether the setting is required.", example=False)]
    help: Annotated[
        str, about("Where to find the value; may be empty.", example="In Kit: Settings, Developer, V4 keys.")
    ]
    example: Annotated[str, about("An example value.", example="1042")] | None
    choices: Annotated[
        list[ConnectorChoice], about("The allowed values of a `choice`; empty for other kinds.", example=[])
    ]
    listed: Annotated[
        bool,
        about(
            "Whether the account has the values; the dry run reads them into `setting_choices`.",
            example=True,
        ),
    ]


class ConnectorCapabilities(Resource, kw_only=True):
    """The features that a connector supports."""

    reads: Annotated[
        bool, about("Whether syncs read people on a schedule; if not, they are posted to `hook_url`.", example=True)
    ]
    reads_changes: Annotated[bool, about("Whether later syncs can read only changes.", example=True)]
    writes_opt_outs: Annotated[bool, about("Whether opt-outs can be written back to the service.", example=True)]
    has_hook: Annotated[bool, about("Whether a list has a `hook_url` for the service to post to.", example=True)]
    registers_hook: Annotated[
        bool, about("Whether `hook_url` is registered with the service automatically.", example=True)
    ]
    grants_access: Annotated[
        bool, about("Whether a user can grant access in the service (OAuth) instead of giving a key.", example=True)
    ]
    reports_consent: Annotated[
        bool, about("Whether the service itself reports consent to text messages.", example=False)
    ]


class ConnectorResource(Resource, kw_only=True):
    """A service that a list can sync from."""

    object: Literal["connector"] = "connector"
    type: Annotated[str, about("The `type` of a list's source.", example="kit")]
    label: Annotated[str, about("The name of the service.", example="Kit")]
    settings: Annotated[list[ConnectorSetting], about("Its settings, in display order.")]
    capabilities: Annotated[ConnectorCapabilities, about("The features that it supports.")]


async def list_connectors(ctx: Context) -> list[ConnectorResource]:
    """List the connectors available for synced lists. The list is the same for every workspace."""
    allow(ctx, Permission.CONTACTS_READ)
    return [_connector(each) for each in CONNECTORS.values()]


def _connector(connector: type[Connector]) -> ConnectorResource:
    can = connector.capabilities
    return ConnectorResource(
        type=connector.kind,
        label=connector.label,
        settings=[_setting(each) for each in connector.settings if not each.is_granted],
        capabilities=ConnectorCapabilities(
            reads=can.pulls,
            reads_changes=can.incremental,
            writes_opt_outs=can.writes_opt_outs,
            has_hook=can.hook,
            registers_hook=can.registers_hook,
            grants_access=can.oauth,
            reports_consent=can.sms_consent,
        ),
    )


def _setting(setting: Setting) -> ConnectorSetting:
    return ConnectorSetting(
        name=setting.name,
        label=setting.label,
        kind=str(setting.kind),
        required=setting.is_required,
        help=setting.help,
        example=setting.example,
        choices=[ConnectorChoice(value=each.value, label=each.label) for each in setting.choices],
        listed=setting.is_listed,
    )
