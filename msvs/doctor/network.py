"""Checks over the network: DNS, TLS and the answer of the public URL, the mail server, and carriers."""

from __future__ import annotations

import asyncio
import http.client
import smtplib
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from msvs.carriers.registry import make_carriers
from msvs.doctor.findings import Finding, error, ok, skipped, warning
from msvs.settings import Settings, SettingsError
from msvs.workers.mail import connect as connect_mail

SECONDS = 10.0
# Let's Encrypt renews a certificate thirty days before its end.
SOON_DAYS, LAST_DAYS = 21, 5
DAY = 86_400


async def check_dns(settings: Settings) -> AsyncIterator[Finding]:
    """Check that the host of the public URL leads to an address that others reach."""
    host = urlsplit(settings.base_url).hostname or ""
    if settings.public_url is None:
        yield skipped("dns", "MSVS_PUBLIC_URL is not set")
        return
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as failure:
        yield error("dns", f"{host} has no address ({failure.strerror})", "add an A or AAAA record for it")
        return
    addresses = sorted({str(each[4][0]) for each in found})
    private = [each for each in addresses if not ip_address(each.partition("%")[0]).is_global]
    if private:
        yield warning(
            "dns",
            f"{host} leads to {', '.join(private)}, which only your own network reaches",
            "carriers' callbacks and Stripe need a public address; in a network of your own, ignore this",
        )
    else:
        yield ok("dns", f"{host} leads to {', '.join(addresses)}")


async def check_public_url(settings: Settings, context: ssl.SSLContext | None = None) -> AsyncIterator[Finding]:
    """Check the certificate of the public URL, and that the service answers there."""
    if settings.public_url is None:
        yield skipped("tls", "MSVS_PUBLIC_URL is not set")
        return
    parts = urlsplit(settings.base_url)
    if parts.scheme != "https":
        yield skipped("tls", "the public URL has no TLS")
        return
    trusted = context or ssl.create_default_context()
    for finding in await asyncio.to_thread(list, ask_public_url(parts.hostname or "", parts.port or 443, trusted)):
        yield finding


def ask_public_url(host: str, port: int, context: ssl.SSLContext) -> Iterator[Finding]:
    """Ask the public URL for /healthz, and judge its certificate on the way. Blocks."""
    connection = http.client.HTTPSConnection(host, port, timeout=SECONDS, context=context)
    try:
        connection.connect()
        certificate = connection.sock.getpeercert()
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        answer.read()
    except ssl.SSLCertVerificationError as failure:
        yield error("tls", f"the certificate of {host} is not valid: {failure.verify_message}", "renew it in the proxy")
        return
    except (OSError, http.client.HTTPException) as failure:
        yield error("public url", f"https://{host} does not answer ({type(failure).__name__})", "start the proxy")
        return
    finally:
        connection.close()
    ends = ssl.cert_time_to_seconds(str(certificate["notAfter"])) if certificate else time.time()
    yield judge_certificate((ends - time.time()) / DAY)
    if answer.status != http.client.OK:
        yield error(
            "public url", f"/healthz is answered with {answer.status}", "let the proxy pass requests on to the API"
        )
    elif "strict-transport-security" not in {name.lower() for name, _ in answer.getheaders()}:
        yield warning(
            "public url",
            "the answer lacks Strict-Transport-Security",
            "let the proxy pass the header on, and set MSVS_ENV=production",
        )
    else:
        yield ok("public url", "the service answers there")


def judge_certificate(days: float) -> Finding:
    """Judge for how many days a certificate is still valid."""
    message = f"the certificate is valid for {days:.0f} more days"
    if days < LAST_DAYS:
        return error("tls", message, "renew it now")
    if days < SOON_DAYS:
        return warning("tls", message, "see why the proxy has not renewed it")
    return ok("tls", message)


async def check_mail(settings: Settings) -> AsyncIterator[Finding]:
    """Check that the mail server takes a connection and the credentials; sends nothing."""
    url = settings.smtp_url
    if url is None:
        if settings.is_production:
            action = "set MSVS_SMTP_URL, or confirm addresses and reset passwords with `msvs users`"
            yield warning("mail", "no mail is sent: users cannot confirm addresses or reset passwords", action)
        else:
            yield skipped("mail", "mail is kept for /dev/mail")
        return

    def ask() -> None:
        with connect_mail(url) as connection:
            connection.noop()

    try:
        await asyncio.to_thread(ask)
    except (OSError, smtplib.SMTPException) as failure:
        yield error("mail", f"the mail server cannot be used ({type(failure).__name__})", "check MSVS_SMTP_URL")
    else:
        yield ok("mail", f"the mail server takes mail from {settings.mail_sender}")


async def check_carriers(settings: Settings) -> AsyncIterator[Finding]:
    """Check the configuration and the connection of each carrier; sends nothing."""
    try:
        carriers = make_carriers(settings, owns_binds=False)
    except SettingsError as failure:
        yield error("carriers", str(failure), "correct MSVS_CARRIERS or MSVS_LIVE_CARRIER")
        return
    real = {name: each for name, each in carriers.items() if name != "virtual"}
    if not real and settings.is_production:
        yield warning("carriers", "there is none: live messages are refused", "set MSVS_CARRIERS")
    for name, carrier in real.items():
        try:
            async with asyncio.timeout(SECONDS):
                wrong = await carrier.check()
        except Exception as failure:
            wrong = f"cannot be checked ({type(failure).__name__})"
        finally:
            await carrier.close()
        if wrong is None:
            yield ok("carriers", f"{name}: nothing is wrong")
        else:
            yield error(
                "carriers", f"{name}: {wrong}", f"run `msvs carriers check {name}`, and look at the page about carriers"
            )
    if not real and not settings.is_production:
        yield skipped("carriers", "the virtual carrier alone")
