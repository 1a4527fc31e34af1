"""The audit log: one entry for each change, none for none, none altered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msvs import database as db
from msvs.address_policy import AddressPolicy
from msvs.api import ids
from msvs.api.accounts import keys
from msvs.api.accounts.workspaces import UpdateWorkspace, update_workspace
from msvs.api.audit import AUDIT_ENTRY, AuditAction, changed, get_audit_entry, list_audit, record_audit
from msvs.api.context import Context
from msvs.api.errors import ApiError, InvalidRequest, NotFound, PermissionDenied
from msvs.api.pages import PageRequest
from msvs.api.unit_of_work import unit_of_work
from msvs.api.webhooks import endpoints
from msvs.api.webhooks.endpoints import CreateWebhook, UpdateWebhook
from msvs.models import AuditEntry, Role
from msvs.settings import Settings
from tests.owner import run_as_owner
from tests.services import SERVICES, use_address_policy


@pytest.fixture
def admin(live_ctx: Context) -> Context:
    use_address_policy(AddressPolicy.from_settings(Settings()))
    SERVICES.keyring.seal_with("a key of this test alone")
    user = ids.encode_id(ids.USER, ids.new_id())
    return replace(live_ctx, actor=user, role=Role.ADMIN, request_id="req_1", ip="203.0.113.4")


async def logged(operation: Callable[[], Awaitable[Any]]) -> list[AuditEntry]:
    """What the operation adds to the log."""
    before = await AuditEntry.all().values_list("id", flat=True)
    async with unit_of_work():
        await operation()
    return await AuditEntry.filter(id__not_in=before) if before else await AuditEntry.all()


async def one(admin: Context, operation: Callable[[], Awaitable[Any]]) -> AuditEntry:
    """The one entry that the operation adds, which names its caller."""
    entries = await logged(operation)
    assert len(entries) == 1
    entry = entries[0]
    assert (entry.workspace_id, entry.actor) == (admin.workspace_id, admin.actor)
    assert (entry.ip, entry.request_id) == ("203.0.113.4", "req_1")
    return entry


async def test_keys(admin: Context) -> None:
    entry = await one(admin, lambda: keys.issue_key(admin, name="Checkout"))
    row = (await keys.list_keys(admin))[0]
    key_id = ids.encode_id(ids.API_KEY, row.id)
    assert (entry.action, entry.resource_id) == ("key.created", key_id)
    assert entry.changes == {"name": [None, "Checkout"], "livemode": [None, True]}
    entry = await one(admin, lambda: keys.roll_key(admin, row.id, expires_in=timedelta(hours=1)))
    assert (entry.action, entry.resource_id) == ("key.rolled", key_id)
    heir = (await keys.list_keys(admin))[0]
    assert entry.changes["replaced_by"] == [None, ids.encode_id(ids.API_KEY, heir.id)]
    entry = await one(admin, lambda: keys.revoke_key(admin, row.id))
    assert (entry.action, entry.resource_id) == ("key.revoked", key_id)
    assert await logged(lambda: keys.revoke_key(admin, row.id)) == []


async def test_settings(admin: Context) -> None:
    change = UpdateWorkspace(name="Cohort Labs", blocked_regions=["BR"], low_balance_threshold=50)
    entry = await one(admin, lambda: update_workspace(admin, change))
    assert (entry.action, entry.resource_id) == (
        "workspace.updated",
        ids.encode_id(ids.WORKSPACE, admin.workspace_id),
    )
    assert entry.changes == {"blocked_regions": [[], ["BR"]], "low_balance_threshold": [1000, 50]}
    assert await logged(lambda: update_workspace(admin, change)) == []


async def test_webhooks(admin: Context) -> None:
    made: list[Any] = []

    async def create() -> None:
        made.append(await endpoints.create_webhook(admin, CreateWebhook("https://cohortlabs.co/hook", ["*"])))

    entry = await one(admin, create)
    row, secret = made[0]
    assert (entry.action, entry.resource_id) == ("webhook.created", ids.encode_id(ids.WEBHOOK, row.id))
    assert entry.changes["url"] == [None, "https://cohortlabs.co/hook"]
    update = UpdateWebhook(enabled=False)
    entry = await one(admin, lambda: endpoints.update_webhook(admin, row.id, update))
    assert (entry.action, entry.changes) == ("webhook.updated", {"enabled": [True, False]})
    assert await logged(lambda: endpoints.update_webhook(admin, row.id, update)) == []
    entry = await one(admin, lambda: endpoints.rotate_secret(admin, row.id))
    assert (entry.action, entry.changes) == ("webhook.secret_rotated", {})
    entry = await one(admin, lambda: endpoints.delete_webhook(admin, row.id))
    assert (entry.action, entry.changes["enabled"]) == ("webhook.deleted", [False, None])
    kept = await db.fetch_value("SELECT string_agg(changes::text, '') FROM audit_entries")
    assert secret not in kept


async def test_a_rolled_back_change_is_not_logged(admin: Context) -> None:
    async def issue_two() -> None:
        await keys.issue_key(admin)
        await keys.issue_key(admin, name="x" * 101)

    with pytest.raises(ApiError):
        await logged(issue_two)
    assert await AuditEntry.all().count() == 0


@pytest.mark.parametrize("statement", ["UPDATE audit_entries SET actor = 'nobody'", "DELETE FROM audit_entries"])
async def test_no_entry_is_ever_altered(admin: Context, statement: str) -> None:
    await record_audit(admin, AuditAction.KEY_CREATED, "key_1")
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        await run_as_owner(statement)
    assert (await AuditEntry.get()).actor == admin.actor


async def test_members_with_the_permission_read_the_log_page_by_page(admin: Context, other_ctx: Context) -> None:
    for number in range(5):
        await record_audit(admin, AuditAction.KEY_CREATED, f"key_{number}")
    await record_audit(replace(admin, actor="usr_2"), AuditAction.KEY_REVOKED, "key_0")
    await record_audit(other_ctx, AuditAction.KEY_REVOKED, "key_9")
    page = await list_audit(admin, PageRequest(limit=4))
    assert [row.resource_id for row in page.items] == ["key_0", "key_4", "key_3", "key_2"]
    rest = await list_audit(admin, PageRequest(limit=4, starting_after=page.items[-1].id))
    assert ([row.resource_id for row in rest.items], rest.has_more) == (["key_1", "key_0"], False)
    # The sandbox shows the same log: it is the workspace's.
    assert len((await list_audit(replace(admin, livemode=False), PageRequest())).items) == 6
    assert len((await list_audit(admin, PageRequest(), actor="usr_2")).items) == 1
    assert len((await list_audit(admin, PageRequest(), action="key.created")).items) == 5
    assert len((await list_audit(admin, PageRequest(), resource_id="key_0")).items) == 2
    assert (await get_audit_entry(admin, page.items[0].id)).action == "key.revoked"
    foreign = await AuditEntry.get(resource_id="key_9")
    with pytest.raises(NotFound, match=ids.encode_id(AUDIT_ENTRY, foreign.id)):
        await get_audit_entry(admin, foreign.id)
    with pytest.raises(InvalidRequest):
        await list_audit(admin, PageRequest(), action="key.eaten")
    for role in (Role.MEMBER, Role.READ_ONLY, None):
        with pytest.raises(PermissionDenied):
            await list_audit(replace(admin, role=role), PageRequest())
        with pytest.raises(PermissionDenied):
            await get_audit_entry(replace(admin, role=role), page.items[0].id)


@given(st.dictionaries(st.text(), st.integers()), st.dictionaries(st.text(), st.integers()))
def test_what_changed_is_what_differs(before: dict[str, int], after: dict[str, int]) -> None:
    found = changed(before, after)
    assert changed(after, before) == {name: values[::-1] for name, values in found.items()}
    assert changed(before, before) == {}
    assert {**before, **{name: values[1] for name, values in found.items()}} == {
        **{name: None for name in before if name not in after},
        **after,
    }
