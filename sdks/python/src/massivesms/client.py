"""The two clients."""

from __future__ import annotations

from massivesms._resources import AsyncResources, Resources


class MassiveSMS(Resources):
    """A client that waits for answers; safe to share between threads.

    api_key: your key, or else MASSIVESMS_API_KEY of the environment.
    base_url: another address of the API, or else MASSIVESMS_BASE_URL.
    timeout, connect_timeout: seconds that one try, and its connection, may take.
    deadline: seconds that all tries of a call, and the waits between them, may take: 120, or more for a longer timeout.
    max_retries: how often a call is tried again.
    app_info: names your application in the User-Agent.
    http_client, transport: an httpx.Client, or a transport of its, in place of the client's own.
    """


class AsyncMassiveSMS(AsyncResources):
    """A client for event loops (asyncio and trio); its settings are those of MassiveSMS."""
