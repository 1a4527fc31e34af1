"""Accounts: the caller's workspace in Twilio's shape."""

from __future__ import annotations

from msvs.api.accounts import workspaces
from msvs.models import Workspace
from msvs.twilio_compat.call import API_VERSION, Call, Found
from msvs.twilio_compat.forms import check_names, read_filters
from msvs.twilio_compat.resources import rfc2822


async def fetch(call: Call) -> Found:
    """Fetch the account."""
    check_names(call.query, ())
    return 200, account_resource(call, await workspaces.get_workspace(call.ctx))


async def list_(call: Call) -> Found:
    """List the one account that a key belongs to."""
    read_filters(call.query, ("Page", "PageSize"))
    path = f"/{API_VERSION}/Accounts.json"
    return 200, {
        "accounts": [account_resource(call, await workspaces.get_workspace(call.ctx))],
        "end": 0,
        "first_page_uri": path,
        "next_page_uri": None,
        "page": 0,
        "page_size": 1,
        "previous_page_uri": None,
        "start": 0,
        "uri": path,
    }


def account_resource(call: Call, row: Workspace) -> dict[str, object]:
    """Return the shape of a workspace; the sandbox is a trial account."""
    path = f"/{API_VERSION}/Accounts/{call.account_sid}"
    return {
        "sid": call.account_sid,
        "owner_account_sid": call.account_sid,
        "friendly_name": row.name,
        "status": "active",
        "type": "Full" if call.ctx.livemode else "Trial",
        "auth_token": None,
        "date_created": rfc2822(row.created_at),
        "date_updated": rfc2822(row.created_at),
        "uri": f"{path}.json",
        "subresource_uris": {
            "balance": f"{path}/Balance.json",
            "messages": f"{path}/Messages.json",
            "usage": f"{path}/Usage.json",
        },
    }
