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
    """A value of a setting."""

    value: Annotated[str, about("The value to send.", example="unsubscribe")]
    label: Annotated[str, about("How it is shown.", example="Unsubscribe the customer from SMS marketing")]


class ConnectorSetting(Resource, kw_only=True):
    """A setting of a connector, for a form to ask for."""

    name: Annotated[str, about("The key in `settings`.", example="api_key")]
    label: Annotated[str, about("How it is shown.", example="API key")]
    kind: Annotated[
        str,
        about(
            "How to ask for it. A `secret` is kept encrypted and never returned; a `choice` has `choices`.",
            example="secret",
            enum=[*SettingKind],
        ),
    ]
    required: Annotated[bool, about("Whether the connector cannot work without it.", example=False)]
    help: Annotated[str, about("Where to find it; may be empty.", example="In Kit: Settings, Developer, V4 keys.")]
    example: Annotated[str, about("A value that it may have.", example="1042")] | None
    choices: Annotated[
        list[ConnectorChoice], about("The only values of a `choice`; empty for other kinds.", example=[])
    ]


class ConnectorCapabilities(Resource, kw_only=True):
    """What a connector can do."""

    reads: Annotated[
        bool, about("Whether its people are read by a schedule; otherwise they are posted to `hook_url`.", example=True)
    ]
    reads_changes: Annotated[bool, about("Whether later syncs can read only what changed.", example=True)]
    writes_opt_outs: Annotated[bool, about("Whether opt-outs can be written to the service.", example=True)]
    has_hook: Annotated[bool, about("Whether a list has a `hook_url` that the service posts to.", example=True)]
    registers_hook: Annotated[bool, about("Whether the address is registered in the service by itself.", example=True)]
    reports_consent: Annotated[
        bool, about("Whether the service reports consent to text messages by itself.", example=False)
    ]


class ConnectorResource(Resource, kw_only=True):
    """A service that a list can be kept in step with."""

    object: Literal["connector"] = "connector"
    type: Annotated[str, about("The `type` of a list's source.", example="kit")]
    label: Annotated[str, about("The name of the service.", example="Kit")]
    settings: Annotated[list[ConnectorSetting], about("What it asks for, in the order to show.")]
    capabilities: Annotated[ConnectorCapabilities, about("What it can do.")]


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
    )
