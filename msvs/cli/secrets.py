"""Commands for MSVS_SECRET_KEY: list the keys that open the database, and rotate them."""

from __future__ import annotations

from msvs.cli.common import (
    JSON,
    Arguments,
    command,
    expiry_option,
    group,
    in_database,
    require_secret,
    services_of_command,
    show,
)
from msvs.settings import Settings

secrets = group("secrets")


@command(
    "rotate",
    "Replace the previous secret key with MSVS_SECRET_KEY, without restarting any process.",
    expiry_option("how long processes may still start with the previous key, 0 to 168 (default 24)"),
    JSON,
    group=secrets,
    changes=True,
)
def rotate_secrets(settings: Settings, arguments: Arguments) -> None:
    """Put MSVS_SECRET_KEY in the place of the key before."""

    async def rotate() -> dict[str, object]:
        from msvs.api.accounts import secret_keys

        done = await secret_keys.rotate(settings, overlap=arguments.expires_in)
        until = done.previous_until and done.previous_until.isoformat()
        return {"key": done.key, "previous": list(done.previous) or None, "previous_until": until}

    require_secret(settings)
    show(arguments, in_database(settings, rotate()))


@command("list", "List the keys that the database knows, by fingerprint.", JSON, group=secrets)
def list_secrets(settings: Settings, arguments: Arguments) -> None:
    """List the secret keys that the database knows."""

    async def list_() -> list[dict[str, object]]:
        from msvs.api.accounts import secret_keys

        return await secret_keys.list_keys(services_of_command().keyring)

    show(arguments, in_database(settings, list_()))


@command(
    "adopt",
    "Accept MSVS_SECRET_KEY for an older database that cannot verify it.",
    JSON,
    group=secrets,
    changes=True,
)
def adopt_secret(settings: Settings, arguments: Arguments) -> None:
    """Take the key for that of a database that cannot prove it."""

    async def adopt() -> list[dict[str, object]]:
        from msvs.api.accounts import secret_keys

        return await secret_keys.adopt(services_of_command().keyring, settings)

    require_secret(settings)
    show(arguments, in_database(settings, adopt(), unlocks=False))
