from __future__ import annotations

import asyncio
import datetime
import gzip
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from random import Random

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from msvs.address_policy import AddressPolicy, AddressRefused, canonical_url, check_url
from msvs.http_client import FailureKind, HttpAnswer, HttpClient, HttpError, parse_retry_after
from msvs.settings import PRODUCTION, Insecure, Settings, SettingsError

STRICT = AddressPolicy()
DEVELOPMENT = AddressPolicy(allow_loopback=True)
HOST = "127.0.0.1"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class FixedResolver(AbstractResolver):
    """Answers look-ups with the given address lists, in turn; the last one again and again."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.asked.append(host)
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        return None


class RawServer:
    """A TCP server on loopback that counts its connections and hands each to `serve`."""

    def __init__(self, serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]) -> None:
        self.serve = serve
        self.connections = 0
        self.requests: list[bytes] = []
        self.port = 0
        self.listener: asyncio.Server

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/hook"

    async def read_request(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        request = head + await reader.readexactly(length)
        self.requests.append(request)
        return request

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self.serve(reader, writer, self.connections)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()


@asynccontextmanager
async def raw_server(
    serve: Callable[[RawServer, asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]],
    *,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[RawServer]:
    server = RawServer(lambda reader, writer, number: serve(server, reader, writer, number))
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(server._connected(reader, writer)))

    listener = server.listener = await asyncio.start_server(connected, HOST, 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answering(
    data: bytes,
) -> Callable[[RawServer, asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]:
    """Answer every request with these bytes, then close."""

    async def serve(server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await server.read_request(reader)
        writer.write(data)
        await writer.drain()
        writer.write_eof()
        await reader.read()

    return serve


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    async with HttpClient(DEVELOPMENT) as opened:
        yield opened


async def failure(client: HttpClient, url: str, *, body: bytes = b"{}", total_seconds: float = 10.0) -> HttpError:
    with pytest.raises(HttpError) as caught:
        await client.post(url, body, {}, total_seconds=total_seconds)
    assert caught.value.elapsed_ms >= 0
    return caught.value


# The policy


PUBLIC = [
    "8.8.8.8", "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
    "128.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",
    "223.255.255.255", "2606:4700:4700::1111", "2001:4860:4860::8888", "2a00:1450::1", "2003::1",
]  # fmt: skip

REFUSED = {
    "10.0.0.1": "a private address",
    "10.255.255.255": "a private address",
    "172.16.0.1": "a private address",
    "172.31.255.255": "a private address",
    "192.168.1.1": "a private address",
    "127.0.0.1": "a loopback address",
    "127.255.255.254": "a loopback address",
    "169.254.0.1": "a link-local address",
    "169.254.169.254": "a cloud metadata address",
    "168.63.129.16": "a cloud metadata address",
    "100.100.100.200": "a cloud metadata address",
    "192.0.0.192": "a cloud metadata address",
    "100.64.0.1": "a shared carrier (CGNAT) address",
    "100.127.255.255": "a shared carrier (CGNAT) address",
    "0.0.0.0": "the unspecified address",
    "0.1.2.3": "a reserved address",
    "192.0.0.1": "a reserved address",
    "240.0.0.1": "a reserved address",
    "255.255.255.255": "a reserved address",
    "192.0.2.1": "a documentation address",
    "198.51.100.7": "a documentation address",
    "203.0.113.9": "a documentation address",
    "198.18.0.1": "a benchmarking address",
    "198.19.255.255": "a benchmarking address",
    "192.88.99.1": "a 6to4 relay address",
    "224.0.0.1": "a multicast address",
    "239.255.255.250": "a multicast address",
    "::": "the unspecified address",
    "::1": "a loopback address",
    "::ffff:127.0.0.1": "an IPv4 address inside IPv6",
    "::ffff:7f00:1": "an IPv4 address inside IPv6",
    "::ffff:169.254.169.254": "an IPv4 address inside IPv6",
    "::ffff:8.8.8.8": "an IPv4 address inside IPv6",
    "::127.0.0.1": "an IPv4 address inside IPv6",
    "::8.8.8.8": "an IPv4 address inside IPv6",
    "64:ff9b::7f00:1": "an IPv4 address inside IPv6 (NAT64)",
    "64:ff9b::808:808": "an IPv4 address inside IPv6 (NAT64)",
    "64:ff9b:1::a00:1": "an IPv4 address inside IPv6 (NAT64)",
    "2002:7f00:1::": "an IPv4 address inside IPv6 (6to4)",
    "2002:808:808::1": "an IPv4 address inside IPv6 (6to4)",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2": "an IPv4 address inside IPv6 (Teredo)",
    "fd00:ec2::254": "a cloud metadata address",
    "fd20:ce::254": "a cloud metadata address",
    "fc00::1": "a private address",
    "fdff::1": "a private address",
    "fe80::1": "a link-local address",
    "fe80::1%1": "an address with a scope",
    "2606:4700::1%eth0": "an address with a scope",
    "fec0::1": "a site-local address",
    "ff02::1": "a multicast address",
    "ff0e::1": "a multicast address",
    "2001:db8::1": "a documentation address",
    "3fff::1": "a documentation address",
    "2001:2::1": "a benchmarking address",
    "2001:20::1": "a reserved address",
    "100::1": "a reserved address",
    "4000::1": "a reserved address",
    "5f00::1": "a reserved address",
    "127.1": "not an IP address in its usual form",
    "0x7f.1": "not an IP address in its usual form",
    "2130706433": "not an IP address in its usual form",
    "0177.0.0.1": "not an IP address in its usual form",
    "127.0.0.1.": "not an IP address in its usual form",
    "localhost": "not an IP address in its usual form",
    "": "not an IP address in its usual form",
}


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_admitted(address: str) -> None:
    STRICT.check(address)


@pytest.mark.parametrize(("address", "reason"), REFUSED.items())
def test_everything_else_is_refused_with_its_reason(address: str, reason: str) -> None:
    with pytest.raises(AddressRefused) as caught:
        STRICT.check(address)
    assert (caught.value.address, caught.value.reason) == (address, reason)


def test_nothing_is_admitted_that_the_standard_library_calls_special() -> None:
    random = Random(1)
    admitted = 0
    for number in range(6000):
        address = IPv4Address(random.getrandbits(32)) if number % 2 else IPv6Address(1 << 125 | random.getrandbits(125))
        try:
            STRICT.check(str(address))
        except AddressRefused:
            continue
        admitted += 1
        assert address.is_global, address
        assert not address.is_multicast, address
    assert admitted > 5000


@pytest.mark.parametrize(
    ("cidrs", "loopback", "address", "admitted"),
    [
        (["10.0.0.0/8"], False, "10.1.2.3", True),
        (["10.0.0.0/8"], False, "11.1.2.3", True),
        (["10.0.0.0/8"], False, "172.16.0.1", False),
        (["10.0.0.0/8"], False, "127.0.0.1", False),
        (["10.0.0.0/8"], False, "::ffff:10.1.2.3", True),
        (["10.0.0.0/8"], False, "::ffff:172.16.0.1", False),
        (["10.0.0.0/8"], False, "64:ff9b::a01:203", False),
        (["10.0.0.0/8"], False, "2002:a01:203::1", False),
        (["fd12::/16"], False, "fd12::1", True),
        (["fd12::/16"], False, "fd13::1", False),
        (["64:ff9b::/96"], False, "64:ff9b::808:808", True),
        (["64:ff9b::/96"], False, "64:ff9b::a9fe:a9fe", False),
        (["64:ff9b::/96", "10.0.0.0/8"], False, "64:ff9b::a01:203", True),
        (["2002::/16"], False, "2002:808:808::a00:1", True),
        (["2002::/16"], False, "2002:a01:203::808:808", False),
        (["::/0"], False, "::ffff:127.0.0.1", False),
        (["::/0"], False, "::1", True),
        (["127.0.0.2"], False, "127.0.0.2", True),
        (["127.0.0.2"], False, "127.0.0.1", False),
        ([], True, "127.0.0.1", True),
        ([], True, "::1", True),
        ([], True, "::ffff:127.0.0.1", True),
        ([], True, "10.0.0.1", False),
        ([], True, "169.254.169.254", False),
        ([], True, "127.1", False),
    ],
)
def test_an_operator_admits_networks_and_development_loopback(
    cidrs: list[str], loopback: bool, address: str, admitted: bool
) -> None:
    policy = AddressPolicy(cidrs, allow_loopback=loopback)
    if admitted:
        policy.check(address)
    else:
        with pytest.raises(AddressRefused):
            policy.check(address)


def test_the_policy_comes_from_the_settings() -> None:
    settings = Settings(webhook_allow_cidrs=("10.0.0.0/8",))
    AddressPolicy.from_settings(settings).check("10.0.0.1")
    AddressPolicy.from_settings(settings).check("127.0.0.1")
    with pytest.raises(AddressRefused):
        AddressPolicy.from_settings(Settings(environment=PRODUCTION)).check("127.0.0.1")


@pytest.mark.parametrize("cidr", ["10.0.0.1/8", "intranet", "10.0.0.0/40"])
def test_a_network_that_is_none_is_refused_by_the_variables_name(cidr: str) -> None:
    with pytest.raises(SettingsError, match=r"^MSVS_WEBHOOK_ALLOW_CIDRS: "):
        AddressPolicy.from_settings(Settings(webhook_allow_cidrs=(cidr,)))


ENGINES = Settings(
    database_url="postgresql://app:p%40ss@127.0.0.1:54321,db:54322/msvs?port=54323",
    redis_url="redis://:x@[::1]:63790/0",
)
PRIVATE = ("10.0.0.0/8",)


@pytest.mark.parametrize(
    ("settings", "address", "port", "admitted"),
    [
        (Settings(), "8.8.8.8", 443, True),
        (Settings(), "8.8.8.8", 8443, True),
        (Settings(), "8.8.8.8", 25, False),
        (Settings(), "8.8.8.8", 9000, False),
        (Settings(webhook_ports=(9000,)), "8.8.8.8", 9000, True),
        (Settings(webhook_ports=(9000,)), "8.8.8.8", 443, False),
        (Settings(), "127.0.0.1", 9000, True),
        (Settings(), "127.0.0.1", 25, False),
        (Settings(), "127.0.0.1", 6379, False),
        (Settings(), "::1", 5432, False),
        *((Settings(), "127.0.0.1", port, False) for port in (3306, 6000, 6697, 11211, 26379, 27017)),
        (Settings(webhook_ports=(443, 6000)), "127.0.0.1", 6000, True),
        (Settings(webhook_ports=(443, 6379)), "8.8.8.8", 6379, True),
        *(
            (ENGINES, address, port, False)
            for address in ("127.0.0.1", "127.9.9.9", "::1")
            for port in range(54321, 54324)
        ),
        (ENGINES, "127.0.0.1", 63790, False),
        (ENGINES, "127.0.0.1", 54324, True),
        (Settings(environment=PRODUCTION, webhook_allow_cidrs=PRIVATE), "10.1.2.3", 443, True),
        (Settings(environment=PRODUCTION, webhook_allow_cidrs=PRIVATE), "10.1.2.3", 9200, False),
        (Settings(environment=PRODUCTION, webhook_allow_cidrs=PRIVATE, webhook_ports=(6379,)), "10.1.2.3", 6379, False),
        (Settings(webhook_allow_cidrs=("::ffff:0:0/96",), webhook_ports=(6379,)), "::ffff:127.0.0.1", 6379, False),
        (
            Settings(replica_urls=("postgresql://db2:8443/msvs",), webhook_ports=(8443,), webhook_allow_cidrs=PRIVATE),
            "10.1.2.3",
            8443,
            False,
        ),
        (
            Settings(
                backup_database_url="postgresql://db1:8444/msvs", webhook_ports=(8444,), webhook_allow_cidrs=PRIVATE
            ),
            "10.1.2.3",
            8444,
            False,
        ),
    ],
)
def test_ports_by_list_and_never_those_of_the_engines(
    settings: Settings, address: str, port: int, admitted: bool
) -> None:
    policy = AddressPolicy.from_settings(settings)
    host = f"[{address}]" if ":" in address else address
    url = f"https://{host}:{port}/hook"
    if admitted:
        policy.check(address, port)
        assert check_url(url, allow_http_loopback=policy.allow_loopback, policy=policy) == url
    else:
        with pytest.raises(AddressRefused, match=r"port|engines"):
            policy.check(address, port)
        with pytest.raises(ValueError, match=r"port|engines"):
            check_url(url, allow_http_loopback=policy.allow_loopback, policy=policy)


async def test_a_name_that_leads_to_an_engine_is_refused_at_the_socket() -> None:
    async with raw_server(answering(OK)) as server:
        policy = AddressPolicy(allow_loopback=True, ports=(443, server.port), engine_ports=(server.port,))
        assert check_url(f"https://db.example:{server.port}/", allow_http_loopback=True, policy=policy)
        async with HttpClient(policy, resolver=FixedResolver([HOST])) as client:
            for host in ("db.example", HOST):
                with pytest.raises(HttpError) as refused:
                    await client.post(f"http://{host}:{server.port}/", b"{}", {})
                assert refused.value.kind == FailureKind.ADDRESS_REFUSED
    assert server.connections == 0


@pytest.mark.parametrize(
    ("policy", "head"),
    [
        (AddressPolicy(["127.0.0.0/8"]), b""),
        (AddressPolicy(["127.0.0.0/8"], allow_loopback=True), b""),
        (AddressPolicy(["127.0.0.0/8"], hides_private=False), b"ok"),
        (AddressPolicy(allow_loopback=True), b"ok"),
        (AddressPolicy(allow_loopback=True, hides_loopback=True), b""),
    ],
)
async def test_answers_of_private_receivers_are_not_logged(policy: AddressPolicy, head: bytes) -> None:
    async def answer(server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _n: int) -> None:
        while True:
            await server.read_request(reader)
            writer.write(OK)

    async with raw_server(answer) as server, HttpClient(policy) as client:
        # The second on the connection that the first left open.
        heads = [(await client.post(server.url, b"{}", {})).head for _ in range(2)]
        assert (heads, server.connections) == ([head, head], 1)


def test_the_settings_decide_what_the_log_shows() -> None:
    listed = Settings(webhook_allow_cidrs=PRIVATE)
    for settings, address, hidden in (
        (listed, "10.1.2.3", True),
        (listed, "::ffff:10.1.2.3", True),
        (listed, "8.8.8.8", False),
        (listed, "127.0.0.1", False),
        (replace(listed, allow_insecure=(Insecure.PUBLIC_ADDRESS,)), "127.0.0.1", True),
        (replace(listed, webhook_show_private_answers=True), "10.1.2.3", False),
    ):
        assert AddressPolicy.from_settings(settings).hides(address) is hidden, (settings, address)


@pytest.mark.parametrize("port", [5432, 6379, 63790, 11211])
@pytest.mark.parametrize("host", ["cohortlabs.co", "cohortlabs.co.", "localhost", "localhost.", "LocalHost."])
def test_no_name_has_a_port_that_webhooks_never_reach(host: str, port: int) -> None:
    policy = AddressPolicy.from_settings(ENGINES)
    with pytest.raises(ValueError, match=r"port|engines"):
        check_url(f"https://{host}:{port}/", allow_http_loopback=True, policy=policy)


@pytest.mark.parametrize(
    "host", ["localhost", "localhost.", "LOCALHOST.", "a.localhost.", "localhost\u3002", "127.0.0.1."]
)
def test_a_dot_at_the_end_of_a_local_name_changes_nothing(host: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        check_url(f"https://{host}/", allow_http_loopback=False)
    if not host.startswith("127"):
        url = f"https://{host}/hook"
        assert check_url(url, allow_http_loopback=True) == url
        assert canonical_url(url) == canonical_url(url.lower().replace("./", "/").replace("\u3002/", "/"))


# URLs at registration


@pytest.mark.parametrize(
    "url",
    [
        "https://api.cohortlabs.co/webhooks/sms",
        "HTTPS://API.cohortlabs.co",
        "https://cohortlabs.co:8443/a?b=c&d=%20e",
        "https://cohortlabs.co./",
        "https://bücher.example/é",
        "https://xn--bcher-kva.example/",
        "https://my_host.example/",
        "https://8.8.8.8/hook",
        "https://[2606:4700:4700::1111]:443/hook",
        "https://cohortlabs.co/" + "a" * 2026,
    ],
)
def test_a_good_url_is_returned_as_it_came(url: str) -> None:
    assert check_url(url, allow_http_loopback=False) == url


SPACES = "must not hold spaces, backslashes or control characters"
HTTPS = "must start with https://"
BAD_NAME = "host is not a valid name"
BAD_ADDRESS = "host is not a valid address"
BAD_HOST = "host or port is not valid"
LOOPBACK = "host is a loopback address, which webhooks may not reach"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "must be absolute"),
        ("cohortlabs.co/hook", "must be absolute"),
        ("//cohortlabs.co/hook", "must be absolute"),
        ("https:/cohortlabs.co", "must be absolute"),
        ("https://", BAD_NAME),
        ("https:///hook", BAD_NAME),
        ("https://:443/", BAD_HOST),
        ("http://cohortlabs.co/hook", HTTPS),
        ("http://8.8.8.8/hook", HTTPS),
        ("ftp://cohortlabs.co/hook", HTTPS),
        ("javascript://cohortlabs.co/", HTTPS),
        ("https://user:pw@cohortlabs.co/", "user name or password"),
        ("https://user@cohortlabs.co/", "user name or password"),
        ("https://@cohortlabs.co/", "user name or password"),
        ("https://cohortlabs.co/#", "fragment"),
        ("https://cohortlabs.co#top", "fragment"),
        ("https://cohortlabs.co:0/", "port must be from 1 to 65535"),
        ("https://cohortlabs.co:65536/", BAD_HOST),
        ("https://cohortlabs.co:x/", BAD_HOST),
        ("https://cohortlabs.co/" + "a" * 2027, "longer than 2048"),
        (" https://cohortlabs.co/", SPACES),
        ("https://cohortlabs.co/a b", SPACES),
        ("https://cohortlabs.co/\n", SPACES),
        ("https://cohort\tlabs.co/", SPACES),
        ("https://cohortlabs.co/\x7f", SPACES),
        ("https://cohort\u200blabs.co/", SPACES),
        ("https://cohortlabs.co\\@8.8.8.8/", SPACES),
        ("https://cohortlabs.co/\ud800", SPACES),
        ("https://%6cocalhost/", BAD_NAME),
        ("https://a..b/", BAD_NAME),
        ("https://-a.example/", BAD_NAME),
        ("https://" + "a" * 64 + ".example/", BAD_NAME),
        ("https://" + "a." * 130 + "example/", BAD_NAME),
        ("https://[v1.a]/", BAD_NAME),
        ("https://[::1/", BAD_HOST),
        ("https://1.2.3.4.5/", BAD_ADDRESS),
        ("https://256.1.1.1/", BAD_ADDRESS),
        ("https://example.123/", BAD_ADDRESS),
        ("https://127.0.0.1/", LOOPBACK),
        ("https://127.1/", LOOPBACK),
        ("https://0x7f.1/", LOOPBACK),
        ("https://2130706433/", LOOPBACK),
        ("https://0177.0.0.1/", LOOPBACK),
        ("https://127.0.0.1./", LOOPBACK),
        ("https://１２７.0.0.1/", LOOPBACK),
        ("https://127。0。0。1/", LOOPBACK),
        ("https://[::1]/", LOOPBACK),
        ("https://localhost/", LOOPBACK),
        ("https://LocalHost./", LOOPBACK),
        ("https://ⓛocalhost/", LOOPBACK),
        ("https://api.localhost/", LOOPBACK),
        ("http://localhost/", LOOPBACK),
        ("https://0/", "host is the unspecified address"),
        ("https://10.1.2.3/", "host is a private address"),
        ("https://169.254.169.254/latest/meta-data/", "host is a cloud metadata address"),
        ("https://[::ffff:8.8.8.8]/", "host is an IPv4 address inside IPv6"),
        ("https://[fe80::1%25eth0]/", "host is an address with a scope"),
        ("https://134744072/", "host must be written as 8.8.8.8"),
        ("https://8.8.8.8./", "host must be written as 8.8.8.8"),
    ],
)
def test_a_bad_url_is_refused_with_a_sentence(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"^The URL.*\.$|example\.com/webhooks\.$") as caught:
        check_url(url, allow_http_loopback=False)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("url", "cidrs", "loopback", "accepted"),
    [
        ("http://127.0.0.1:9000/hook", [], True, True),
        ("http://localhost:9000/hook", [], True, True),
        ("http://[::1]:9000/hook", [], True, True),
        ("https://localhost/hook", [], True, True),
        ("http://cohortlabs.co/hook", [], True, False),
        ("http://10.1.2.3/hook", [], True, False),
        ("http://127.1:9000/hook", [], True, False),
        ("http://10.1.2.3/hook", ["10.0.0.0/8"], False, True),
        ("https://10.1.2.3/hook", ["10.0.0.0/8"], False, True),
        ("http://11.1.2.3/hook", ["10.0.0.0/8"], False, False),
        ("http://localhost/hook", ["10.0.0.0/8"], False, False),
        ("http://intranet/hook", ["10.0.0.0/8"], False, False),
    ],
)
def test_http_is_for_loopback_in_development_and_the_operators_networks(
    url: str, cidrs: list[str], loopback: bool, accepted: bool
) -> None:
    policy = AddressPolicy(cidrs, allow_loopback=loopback)
    if accepted:
        assert check_url(url, allow_http_loopback=loopback, policy=policy) == url
    else:
        with pytest.raises(ValueError, match=r"^The URL"):
            check_url(url, allow_http_loopback=loopback, policy=policy)


# Requests


@pytest.fixture(scope="module")
async def site() -> AsyncIterator[str]:
    async def echo(request: web.Request) -> web.Response:
        body = await request.read()
        response = web.json_response(
            {"method": request.method, "headers": dict(request.headers), "body": body.decode()},
            status=202,
            headers={"Retry-After": "7"},
        )
        response.set_cookie("session", "1")
        return response

    async def moved(request: web.Request) -> web.Response:
        raise web.HTTPFound("/echo")

    async def zipped(request: web.Request) -> web.Response:
        return web.Response(body=gzip.compress(b"0" * 1_000_000), headers={"Content-Encoding": "gzip"})

    async def exact(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * int(request.query["size"]))

    application = web.Application()
    application.router.add_route("*", "/echo", echo)
    application.router.add_post("/moved", moved)
    application.router.add_post("/zipped", zipped)
    application.router.add_post("/exact", exact)
    runner = web.AppRunner(application)
    await runner.setup()
    listener = web.TCPSite(runner, HOST, 0)
    await listener.start()
    yield f"http://{HOST}:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_post_sends_the_body_and_reads_the_answer(client: HttpClient, site: str) -> None:
    answer = await client.post(f"{site}/echo", b'{"a":1}', {"MSVS-Signature": "t=1,v1=2"})
    seen = json.loads(answer.body)
    assert answer.status == 202
    assert answer.headers["retry-after"] == "7"
    assert answer.head == answer.body
    assert answer.truncated is False
    assert answer.elapsed_ms >= 0
    assert (seen["method"], seen["body"]) == ("POST", '{"a":1}')
    assert seen["headers"]["MSVS-Signature"] == "t=1,v1=2"
    assert seen["headers"]["Accept-Encoding"] == "identity"
    assert seen["headers"]["User-Agent"] == "MassiveSMS"


async def test_cookies_are_not_kept(site: str) -> None:
    async with HttpClient(DEVELOPMENT, resolver=FixedResolver([HOST])) as client:
        url = site.replace(HOST, "hooks.example") + "/echo"
        for _ in range(2):
            answer = await client.post(url, b"", {})
            assert answer.headers["Set-Cookie"] == "session=1; Path=/"
            assert "Cookie" not in json.loads(answer.body)["headers"]


async def test_request_takes_any_method(client: HttpClient, site: str) -> None:
    answer = await client.request("GET", f"{site}/echo", headers={"Accept": "application/json"})
    assert json.loads(answer.body)["method"] == "GET"


async def test_a_redirect_is_an_answer_and_not_followed(client: HttpClient, site: str) -> None:
    answer = await client.post(f"{site}/moved", b"{}", {})
    assert (answer.status, answer.headers["Location"]) == (302, "/echo")


async def test_a_compressed_answer_is_not_unpacked(client: HttpClient, site: str) -> None:
    answer = await client.post(f"{site}/zipped", b"{}", {})
    assert answer.body[:2] == b"\x1f\x8b"
    assert len(answer.body) < 2000


@pytest.mark.parametrize(
    ("size", "read", "truncated"), [(0, 0, False), (1025, 1025, False), (65536, 65536, False), (65537, 65536, True)]
)
async def test_at_most_64_kb_are_read(client: HttpClient, site: str, size: int, read: int, truncated: bool) -> None:
    answer = await client.post(f"{site}/exact?size={size}", b"{}", {})
    assert (len(answer.body), len(answer.head), answer.truncated) == (read, min(read, 1024), truncated)


async def test_more_is_read_where_it_is_asked_for_into_a_file_too(
    client: HttpClient, site: str, tmp_path: Path
) -> None:
    url = f"{site}/exact?size=200000"
    answer = await client.request("POST", url, body=b"{}", max_bytes=150_000)
    assert (len(answer.body), len(answer.head), answer.truncated) == (150_000, 1024, True)
    with (tmp_path / "body").open("wb+") as file:
        answer = await client.request("POST", url, body=b"{}", max_bytes=300_000, into=file)
        assert (file.tell(), answer.body, answer.truncated) == (200_000, b"", False)
        answer = await client.request("POST", url, body=b"{}", max_bytes=100_000, into=file)
        assert (file.tell(), answer.truncated) == (300_000, True)
        answer = await client.request("GET", f"{site}/nowhere", into=file)
        assert (file.tell(), answer.status, bool(answer.body)) == (300_000, 404, True)


async def test_no_proxy_is_taken_from_the_environment(
    client: HttpClient, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert (await client.post(f"{site}/echo", b"{}", {})).status == 202


async def test_a_connection_is_kept_and_used_again(client: HttpClient) -> None:
    async def serve(server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        while True:
            await server.read_request(reader)
            writer.write(OK)

    async with raw_server(serve) as server:
        for _ in range(3):
            assert (await client.post(server.url, b"{}", {})).head == b"ok"
        assert (server.connections, len(server.requests)) == (1, 3)


async def _drop_the_second_request(
    server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
) -> None:
    await server.read_request(reader)
    writer.write(OK)
    await server.read_request(reader)


async def test_a_webhook_is_sent_again_where_a_kept_connection_proves_dead(client: HttpClient) -> None:
    async with raw_server(_drop_the_second_request) as server:
        for _ in range(3):
            assert (await client.post(server.url, b"{}", {})).status == 200
        assert (server.connections, len(server.requests)) == (3, 5)


async def test_a_request_on_a_dead_connection_may_have_arrived(client: HttpClient) -> None:
    async def close_the_door(
        server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await server.read_request(reader)
        writer.write(OK)
        await server.read_request(reader)
        server.listener.close()

    async with raw_server(close_the_door) as server:
        assert (await client.post(server.url, b"{}", {})).status == 200
        error = await failure(client, server.url)
        assert (error.kind, error.never_sent) == (FailureKind.CONNECT, False)
        assert len(server.requests) == 2


async def test_a_request_that_must_not_double_is_not_sent_again(client: HttpClient) -> None:
    async with raw_server(_drop_the_second_request) as server:
        assert (await client.request("POST", server.url, body=b"{}")).status == 200
        with pytest.raises(HttpError) as caught:
            await client.request("POST", server.url, body=b"{}")
        assert (caught.value.kind, caught.value.never_sent) == (FailureKind.PROTOCOL, False)
        assert (server.connections, len(server.requests)) == (1, 2)


async def test_a_fresh_connection_that_is_dropped_is_not_tried_twice(client: HttpClient) -> None:
    async with raw_server(answering(b"")) as server:
        error = await failure(client, server.url)
        assert error.message == "The connection was closed before an answer came."
        assert (error.kind, server.connections) == (FailureKind.PROTOCOL, 1)


async def test_no_more_attempts_run_at_once_than_the_limit() -> None:
    running: set[int] = set()
    most = 0

    async def serve(server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        nonlocal most
        while True:
            await server.read_request(reader)
            running.add(number)
            most = max(most, len(running))
            await asyncio.sleep(0.005)
            running.discard(number)
            writer.write(OK)

    async with HttpClient(DEVELOPMENT, limit=3) as client, raw_server(serve) as server:
        await asyncio.gather(*(client.post(server.url, b"{}", {}) for _ in range(9)))
        assert (most, server.connections, len(server.requests)) == (3, 3, 9)


async def test_a_closed_client_opens_again(site: str) -> None:
    client = HttpClient(DEVELOPMENT)
    for _ in range(2):
        assert (await client.post(f"{site}/echo", b"{}", {})).status == 202
        await client.close()
    await client.close()


# Time and size


async def _drip(server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
    await server.read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
    while True:
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(0.01)


async def _drip_head(
    server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
) -> None:
    await server.read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X: y\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


async def _silence(server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
    await reader.read()


async def _deaf(server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
    await asyncio.sleep(60)


@pytest.mark.parametrize("serve", [_drip, _drip_head, _silence, _deaf])
@pytest.mark.parametrize("size", [2, 900_000])
async def test_the_whole_attempt_ends_at_its_deadline(
    client: HttpClient,
    serve: Callable[[RawServer, asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]],
    size: int,
) -> None:
    async with raw_server(serve) as server:
        error = await failure(client, server.url, body=b"x" * size, total_seconds=0.15)
        assert (error.kind, error.never_sent) == (FailureKind.TIMEOUT, False)
        assert error.message == "No complete answer came within 0.15 seconds."
        assert server.connections <= 1


async def test_a_slow_name_ends_at_the_deadline() -> None:
    class Stuck(FixedResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
        ) -> list[ResolveResult]:
            await asyncio.sleep(60)
            raise AssertionError

    async with HttpClient(DEVELOPMENT, resolver=Stuck([])) as client:
        error = await failure(client, "http://slow.example/", total_seconds=0.05)
        assert error.kind is FailureKind.TIMEOUT


async def test_a_connection_that_does_not_stand_in_time_was_never_sent_on() -> None:
    class Slow(FixedResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
        ) -> list[ResolveResult]:
            await asyncio.sleep(5)
            return await super().resolve(host, port, family)

    async with HttpClient(DEVELOPMENT, resolver=Slow([HOST])) as client:
        with pytest.raises(HttpError, match=r"No connection could be made in time\.") as caught:
            await client.request("POST", "http://slow.test/", body=b"", connect_seconds=0.05, total_seconds=5)
    assert (caught.value.kind, caught.value.never_sent) == (FailureKind.CONNECT, True)


async def test_an_answer_without_end_is_cut_off(client: HttpClient) -> None:
    async def flood(server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await server.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async with raw_server(flood) as server:
        answer = await client.post(server.url, b"{}", {})
        assert (answer.status, len(answer.body), answer.truncated) == (200, 65536, True)
        assert (await client.post(server.url, b"{}", {})).status == 200
        assert server.connections == 2


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"nonsense\r\n\r\n", "The answer was not valid HTTP."),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 20_000 + b"\r\n\r\n", "The answer was not valid HTTP."),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "The answer's body broke off or was malformed."),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "The answer was not valid HTTP.",
        ),
        (b"HTTP/1.1 200 OK\r\nConte", "The connection was closed before an answer came."),
    ],
)
async def test_a_broken_answer_is_a_protocol_error(client: HttpClient, data: bytes, message: str) -> None:
    async with raw_server(answering(data)) as server:
        error = await failure(client, server.url)
        assert (error.kind, error.message, error.never_sent) == (FailureKind.PROTOCOL, message, False)


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("gopher://example.com/", {}),
        ("http://", {}),
        ("http://h:99999/", {}),
    ],
)
async def test_an_unsendable_request_is_a_protocol_error(client: HttpClient, url: str, headers: dict[str, str]) -> None:
    with pytest.raises(HttpError) as caught:
        await client.post(url, b"{}", headers)
    assert caught.value.kind is FailureKind.PROTOCOL
    assert caught.value.message == "The URL or a header cannot be sent."


async def test_a_header_cannot_smuggle_another(client: HttpClient) -> None:
    async with raw_server(serve_one) as server:
        with pytest.raises(HttpError) as caught:
            await client.post(server.url, b"{}", {"X": "a\r\nB: c"})
        assert caught.value.message == "The URL or a header cannot be sent."
        assert server.requests == []


# Addresses at the socket


async def serve_one(server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
    await server.read_request(reader)
    writer.write(OK)


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        (HOST, FailureKind.ADDRESS_REFUSED),
        ("localhost", FailureKind.ADDRESS_REFUSED),
        ("0x7f.1", FailureKind.ADDRESS_REFUSED),
        ("[::ffff:127.0.0.1]", FailureKind.ADDRESS_REFUSED),
        ("127.1", FailureKind.PROTOCOL),
        ("2130706433", FailureKind.PROTOCOL),
    ],
)
async def test_loopback_is_refused_however_it_is_written(host: str, kind: FailureKind) -> None:
    async with HttpClient(STRICT) as client, raw_server(serve_one) as server:
        error = await failure(client, f"http://{host}:{server.port}/hook")
        assert (error.kind, server.connections) == (kind, 0)


async def test_a_name_that_turns_to_loopback_is_refused_when_connecting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("msvs.http_client.DNS_CACHE_SECONDS", 0)
    admitted = "127.0.0.2"
    policy = AddressPolicy([admitted])
    resolver = FixedResolver([admitted], [HOST])
    async with HttpClient(policy, resolver=resolver) as client, raw_server(serve_one) as server:
        url = f"http://rebinding.example:{server.port}/hook"
        first = await failure(client, url)
        assert first.kind is FailureKind.CONNECT
        second = await failure(client, url)
        assert second.kind is FailureKind.ADDRESS_REFUSED
        assert second.message == "rebinding.example is a loopback address: refused."
        assert resolver.asked == ["rebinding.example"] * 2
        assert server.connections == 0


async def test_a_name_with_a_refused_and_an_admitted_address_goes_to_the_admitted_one() -> None:
    policy = AddressPolicy([f"{HOST}/32"])
    resolver = FixedResolver(["::1", "10.0.0.1", "169.254.169.254", HOST])
    async with HttpClient(policy, resolver=resolver) as client, raw_server(serve_one) as server:
        answer = await client.post(f"http://mixed.example:{server.port}/", b"{}", {})
        assert (answer.status, server.connections) == (200, 1)


async def test_an_admitted_address_that_does_not_answer_is_a_connect_error() -> None:
    resolver = FixedResolver(["10.0.0.1", HOST])
    async with HttpClient(DEVELOPMENT, resolver=resolver) as client:
        with socket.socket() as taken:
            taken.bind((HOST, 0))
            error = await failure(client, f"http://mixed.example:{taken.getsockname()[1]}/")
    assert error.kind is FailureKind.CONNECT


async def test_the_system_resolver_keeps_a_scope_in_sight(monkeypatch: pytest.MonkeyPatch) -> None:
    def scoped(*args: object, **options: object) -> object:
        return [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1", 443, 0, 2))]

    monkeypatch.setattr("msvs.http_client.socket.getaddrinfo", scoped)
    async with HttpClient(AddressPolicy(["fe80::/10"])) as client:
        error = await failure(client, "https://scoped.example/")
    assert error.message == "scoped.example is an address with a scope: refused."


async def test_a_name_with_refused_addresses_only_is_refused() -> None:
    resolver = FixedResolver(["10.0.0.1", "fe80::1%2", "169.254.169.254", "::ffff:127.0.0.1"])
    async with HttpClient(STRICT, resolver=resolver) as client:
        assert (await failure(client, "https://inside.example/")).kind is FailureKind.ADDRESS_REFUSED


async def test_the_host_header_is_the_name_and_not_the_address(client: HttpClient) -> None:
    async with (
        HttpClient(DEVELOPMENT, resolver=FixedResolver([HOST])) as named,
        raw_server(serve_one) as server,
    ):
        await named.post(f"http://hooks.example:{server.port}/", b"{}", {})
        assert f"Host: hooks.example:{server.port}\r\n".encode() in server.requests[0]


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 64 + ".example"])
async def test_a_name_without_an_address_is_a_dns_error(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    real = socket.getaddrinfo

    def offline(name: str, *rest: object, **options: object) -> object:
        if name == "nowhere.invalid":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(name, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("msvs.http_client.socket.getaddrinfo", offline)
    async with HttpClient(STRICT) as client:
        error = await failure(client, f"https://{host}/")
    assert (error.kind, error.never_sent) == (FailureKind.DNS, True)
    assert error.message == f"The name {host} could not be resolved."


async def test_a_closed_port_is_a_connect_error(client: HttpClient) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        port = taken.getsockname()[1]
        error = await failure(client, f"http://key:hunter2@{HOST}:{port}/?token=hunter2")
    assert (error.kind, error.never_sent) == (FailureKind.CONNECT, True)
    assert error.message == f"Could not connect to {HOST} port {port}: Connection refused."
    assert "hunter2" not in repr(error)


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for hooks.example, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hooks.example")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "hooks.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.mark.parametrize(
    ("name", "trusted", "message"),
    [
        ("hooks.example", True, None),
        ("other.example", True, "Hostname mismatch"),
        ("hooks.example", False, "self-signed certificate"),
    ],
)
async def test_the_certificate_must_be_trusted_and_the_names(
    certificate: Path, name: str, trusted: bool, message: str | None
) -> None:
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate)
    context = ssl.create_default_context(cafile=certificate) if trusted else None
    async with (
        HttpClient(DEVELOPMENT, resolver=FixedResolver([HOST]), ssl_context=context) as client,
        raw_server(serve_one, tls=serving) as server,
    ):
        url = f"https://{name}:{server.port}/"
        if message is None:
            answer: HttpAnswer = await client.post(url, b"{}", {})
            assert answer.status == 200
        else:
            error = await failure(client, url)
            assert (error.kind, error.never_sent) == (FailureKind.TLS, True)
            assert error.message.startswith(f"The certificate of {name} was not accepted: {message}")
            assert server.requests == []


async def test_https_to_a_server_without_tls_is_a_tls_error(client: HttpClient) -> None:
    async with raw_server(answering(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server:

        async def plain(
            server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
        ) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await reader.read()

        server.serve = lambda reader, writer, number: plain(server, reader, writer, number)
        error = await failure(client, f"https://{HOST}:{server.port}/")
        assert error.kind is FailureKind.TLS
        assert error.message == f"No TLS connection to {HOST} could be made."


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        ("120", 120.0),
        (" 120\t", 120.0),
        ("999999999999999", 999_999_999_999_999.0),
        ("9" * 5000, None),
        ("-5", None),
        ("1.5", None),
        ("١٢", None),
        ("soon", None),
        ("Fri, 01 May 2026 20:02:14 GMT", 120.0),
        ("Friday, 01-May-26 20:02:14 GMT", 120.0),
        ("Fri May  1 20:02:14 2026", 120.0),
        ("Fri, 01 May 2026 22:02:14 +0200", 120.0),
        ("Fri, 01 May 2026 19:00:00 GMT", 0.0),
        ("Fri, 99 May 2026 20:02:14 GMT", None),
        ("Fri, 01 May 99999999999 20:02:14 GMT", None),
        ("nan", None),
        ("inf", None),
    ],
)
def test_parse_retry_after(value: str | None, expected: float | None) -> None:
    assert parse_retry_after(value, datetime.datetime(2026, 5, 1, 20, 0, 14, tzinfo=datetime.UTC)) == expected
