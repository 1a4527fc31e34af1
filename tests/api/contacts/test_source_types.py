"""The services that a list can be kept in step with, as a form shows them."""

from __future__ import annotations

from msvs.api.contacts.source_types import list_connectors
from msvs.api.context import Context
from msvs.connectors.base import Capabilities, SettingKind
from msvs.connectors.registry import CONNECTORS


async def test_each_connector_tells_all_that_it_asks_for_and_nothing_that_is_granted(ctx: Context) -> None:
    found = {each.type: each for each in await list_connectors(ctx)}
    assert [*found] == [*CONNECTORS]
    for kind, connector in CONNECTORS.items():
        asked = [each for each in connector.settings if not each.is_granted]
        told = found[kind].settings
        assert [(each.name, each.label, each.required, each.help) for each in told] == [
            (each.name, each.label, each.is_required, each.help) for each in asked
        ]
        assert [each.kind == "secret" for each in told] == [each.is_secret for each in asked]
        assert {each.kind for each in told} <= {*SettingKind}
    assert "access_token" not in {each.name for each in found["kit"].settings}
    (opt_out,) = [each for each in found["shopify"].settings if each.choices]
    assert (opt_out.name, [each.value for each in opt_out.choices]) == ("opt_out", ["unsubscribe"])


async def test_what_each_can_do_is_what_it_declares(ctx: Context) -> None:
    for each in await list_connectors(ctx):
        can: Capabilities = CONNECTORS[each.type].capabilities
        told = each.capabilities
        assert (told.reads, told.reads_changes, told.has_hook) == (can.pulls, can.incremental, can.hook)
        assert (told.writes_opt_outs, told.registers_hook) == (can.writes_opt_outs, can.registers_hook)
        assert told.reports_consent is can.sms_consent
