"""Decide which addresses the service may connect to for a customer, and which URLs a webhook may have."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import parse_qs, urlsplit

from yarl import URL

from msvs.settings import Insecure, Settings, SettingsError

MAX_URL_LENGTH = 2048
# Ports below need a root to listen on them.
FIRST_FREE_PORT = 1024
# Ports of services that speak no HTTP, from 1024: those that browsers refuse (Fetch, § 2.5, "port blocking"), and the
# usual ones of databases, caches, queues and remote desktops. A post to one of them may be read as commands.
OTHER_SERVICES = frozenset(
    (
        *(1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, *range(6665, 6670), 6679, 6697, 10080),
        *(1433, 1521, 2181, 3306, 3389, 4369, 5432, 5433, 5671, 5672, 5900, 6379, 6380, 6432, 9042, 9092),
        *(11211, 16379, 26379, 27017, 27018, 27019),
    )
)

# Sources: IANA special-purpose address registries, RFC 6890 and 9637, and the clouds' metadata addresses.
_REFUSED_NETWORKS = [
    (ip_network(network), reason)
    for network, reason in (
        ("169.254.169.254/32", "a cloud metadata address"),
        ("168.63.129.16/32", "a cloud metadata address"),
        ("100.100.100.200/32", "a cloud metadata address"),
        ("192.0.0.192/32", "a cloud metadata address"),
        ("0.0.0.0/32", "the unspecified address"),
        ("0.0.0.0/8", "a reserved address"),
        ("10.0.0.0/8", "a private address"),
        ("100.64.0.0/10", "a shared carrier (CGNAT) address"),
        ("127.0.0.0/8", "a loopback address"),
        ("169.254.0.0/16", "a link-local address"),
        ("172.16.0.0/12", "a private address"),
        ("192.0.0.0/24", "a reserved address"),
        ("192.0.2.0/24", "a documentation address"),
        ("192.88.99.0/24", "a 6to4 relay address"),
        ("192.168.0.0/16", "a private address"),
        ("198.18.0.0/15", "a benchmarking address"),
        ("198.51.100.0/24", "a documentation address"),
        ("203.0.113.0/24", "a documentation address"),
        ("224.0.0.0/4", "a multicast address"),
        ("240.0.0.0/4", "a reserved address"),
        ("fd00:ec2::254/128", "a cloud metadata address"),
        ("fd20:ce::254/128", "a cloud metadata address"),
        ("::/128", "the unspecified address"),
        ("::1/128", "a loopback address"),
        ("::ffff:0:0/96", "an IPv4 address inside IPv6"),
        ("::/96", "an IPv4 address inside IPv6"),
        ("64:ff9b::/96", "an IPv4 address inside IPv6 (NAT64)"),
        ("64:ff9b:1::/48", "an IPv4 address inside IPv6 (NAT64)"),
        ("2001::/32", "an IPv4 address inside IPv6 (Teredo)"),
        ("2002::/16", "an IPv4 address inside IPv6 (6to4)"),
        ("2001:2::/48", "a benchmarking address"),
        ("2001::/23", "a reserved address"),
        ("2001:db8::/32", "a documentation address"),
        ("3fff::/20", "a documentation address"),
        ("fc00::/7", "a private address"),
        ("fe80::/10", "a link-local address"),
        ("fec0::/10", "a site-local address"),
        ("ff00::/8", "a multicast address"),
    )
]
_GLOBAL_IPV6 = ip_network("2000::/3")
_LOOPBACK = [ip_network("127.0.0.0/8"), ip_network("::1/128")]
_MAPPED = ip_network("::ffff:0:0/96")
# Where an IPv6 address holds an IPv4 one: the bits to shift away to find it.
_EMBEDDING = [
    (_MAPPED, 0),
    (ip_network("::/96"), 0),
    (ip_network("64:ff9b::/96"), 0),
    (ip_network("2002::/16"), 80),
]

_AUTHORITY = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII)
_NUMBER_LABEL = re.compile(r"0[xX][0-9A-Fa-f]*|[0-9]+", re.ASCII)


class AddressRefused(OSError):
    """The policy forbids connecting to an address; an OSError, so that a host's next address is tried."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"{address} is {reason}")
        self.address = address
        self.reason = reason


class AddressPolicy:
    """Which addresses may be connected to: public ones, those an operator lists, and loopback if allowed.

    Of `ports`, where they are given, only those; of allowed loopback also any that no root is needed for, but none of
    OTHER_SERVICES. The `engine_ports` are refused at every address that is not public.
    """

    def __init__(
        self,
        allow_cidrs: Sequence[str] = (),
        *,
        allow_loopback: bool = False,
        ports: Sequence[int] | None = None,
        engine_ports: Iterable[int] = (),
        hides_private: bool = True,
        hides_loopback: bool = False,
    ) -> None:
        """Read the allowed networks. Raises ValueError for a network that is not one, such as `10.0.0.1/8`."""
        self._listed = [ip_network(cidr) for cidr in allow_cidrs]
        self._admitted = self._listed + (_LOOPBACK if allow_loopback else [])
        self._ports = None if ports is None else frozenset(ports)
        self._engine_ports = frozenset(engine_ports)
        self._hides_private = hides_private
        self._hides_loopback = hides_loopback
        self.allow_loopback = allow_loopback

    @classmethod
    def from_settings(cls, settings: Settings) -> AddressPolicy:
        """Return the policy for webhooks: MSVS_WEBHOOK_ALLOW_CIDRS, and loopback outside production."""
        try:
            return cls(
                settings.webhook_allow_cidrs,
                allow_loopback=not settings.is_production,
                ports=settings.webhook_ports,
                engine_ports=engine_ports(settings),
                hides_private=not settings.webhook_show_private_answers,
                hides_loopback=Insecure.PUBLIC_ADDRESS in settings.allow_insecure,
            )
        except ValueError as error:
            raise SettingsError(f"MSVS_WEBHOOK_ALLOW_CIDRS: {error}") from None

    def check(self, address: str, port: int | None = None) -> None:
        """Raise AddressRefused unless `address`, in its canonical form, may be connected to, at `port` if it is given.

        An IPv4 address inside an IPv6 one is refused, unless the operator lists the outer network and the inner
        address may be reached too, or it is IPv4-mapped and the operator lists the inner address.
        """
        try:
            parsed = ip_address(address)
        except ValueError:
            raise AddressRefused(address, "not an IP address in its usual form") from None
        if isinstance(parsed, IPv6Address) and parsed.scope_id is not None:
            raise AddressRefused(address, "an address with a scope")
        reason = self._reason(parsed)
        if reason is None and port is not None:
            reason = self._port_reason(parsed, port)
        if reason is not None:
            raise AddressRefused(address, reason)

    def check_port(self, port: int) -> None:
        """Raise AddressRefused for a port that may be reached at no address, not even at loopback."""
        if not (self._takes(port) or (self.allow_loopback and self._is_free(port))):
            raise AddressRefused(f"port {port}", "on a port that webhooks may not reach")

    def hides(self, address: str | None) -> bool:
        """Return whether the log of attempts shows nothing of what an address answered; one not known is hidden."""
        try:
            parsed = _parsed((address or "").partition("%")[0])
        except ValueError:
            return True
        inner = _embedded(parsed) or parsed
        if any(each in network for each in (parsed, inner) for network in self._listed):
            return self._hides_private
        return self._hides_loopback and any(inner in network for network in _LOOPBACK)

    def lists(self, address: str) -> bool:
        """Return whether the operator's networks hold `address`."""
        parsed = ip_address(address)
        return any(parsed in network for network in self._listed)

    def _port_reason(self, address: IPv4Address | IPv6Address, port: int) -> str | None:
        inner = _embedded(address) or address
        is_private = any(each in network for each in (address, inner) for network in self._admitted)
        if is_private and port in self._engine_ports:
            return "an address of the service's own engines"
        is_loopback = self.allow_loopback and any(inner in network for network in _LOOPBACK)
        if self._takes(port) or (is_loopback and self._is_free(port)):
            return None
        return "on a port that webhooks may not reach"

    def _takes(self, port: int) -> bool:
        return self._ports is None or port in self._ports

    def _is_free(self, port: int) -> bool:
        """Return whether a developer's own server may listen on a port of loopback."""
        return port >= FIRST_FREE_PORT and port not in OTHER_SERVICES and port not in self._engine_ports

    def _reason(self, address: IPv4Address | IPv6Address) -> str | None:
        admitted = any(address in network for network in self._admitted)
        inner = _embedded(address)
        if inner is not None:
            if admitted:
                return self._reason(inner)
            if address in _MAPPED and any(inner in network for network in self._admitted):
                return None
        if admitted:
            return None
        for network, reason in _REFUSED_NETWORKS:
            if address in network:
                return reason
        if isinstance(address, IPv6Address) and address not in _GLOBAL_IPV6:
            return "a reserved address"
        return None


@lru_cache(maxsize=1024)
def _parsed(address: str) -> IPv4Address | IPv6Address:
    """Return an address as it is parsed; a receiver's answers come from the same one. Raises ValueError."""
    return ip_address(address)


def engine_ports(settings: Settings) -> set[int]:
    """Return the ports of PostgreSQL and Redis: the usual ones, and all that the settings name."""
    ports = {5432, 6379}
    urls = (
        *(settings.database_url, settings.direct_database_url, settings.migrations_database_url),
        *(settings.backup_database_url, *settings.replica_urls, settings.redis_url),
    )
    for url in urls:
        parts = urlsplit(url or "")
        for host in parts.netloc.rpartition("@")[2].split(","):
            ports |= {int(text) for text in [host.rpartition(":")[2]] if text.isdecimal()}
        ports |= {int(text) for each in parse_qs(parts.query).get("port", []) for text in each.split(",")}
    return ports


def _embedded(address: IPv4Address | IPv6Address) -> IPv4Address | None:
    if isinstance(address, IPv4Address) or int(address) <= 1:
        return None
    for network, shift in _EMBEDDING:
        if address in network:
            return IPv4Address(int(address) >> shift & 0xFFFFFFFF)
    return None


def check_url(text: str, *, allow_http_loopback: bool, policy: AddressPolicy | None = None) -> str:
    """`text` itself, if it may be registered as a webhook's URL. Raises ValueError with a sentence for the caller.

    https only; http where the host is loopback and `allow_http_loopback`, or an address in the operator's
    networks. An address as the host is judged here and now, a name at every attempt.
    """
    policy = policy or AddressPolicy(allow_loopback=allow_http_loopback)
    if len(text) > MAX_URL_LENGTH:
        raise ValueError(f"The URL must not be longer than {MAX_URL_LENGTH} characters.")
    if not text.isprintable() or " " in text or "\\" in text:
        raise ValueError("The URL must not hold spaces, backslashes or control characters.")
    authority = _AUTHORITY.match(text)
    if authority is None:
        raise ValueError("The URL must be absolute, such as https://example.com/webhooks.")
    if "@" in authority[1]:
        raise ValueError("The URL must not hold a user name or password.")
    if "#" in text:
        raise ValueError("The URL must not have a fragment (#…).")
    try:
        url = URL(text)
        port = url.port
    except ValueError:
        raise ValueError("The URL's host or port is not valid.") from None
    if port == 0:
        raise ValueError("The URL's port must be from 1 to 65535.")
    if url.scheme not in ("https", "http"):
        raise ValueError("The URL must start with https://.")
    host = url.raw_host or ""
    literal = _host_address(host, authority[1])
    # localhost is what its name says without asking anyone.
    address = "127.0.0.1" if _is_local_name(host) else literal
    if address is not None:
        try:
            policy.check(address)
        except AddressRefused as error:
            raise ValueError(f"The URL's host is {error.reason}, which webhooks may not reach.") from None
    try:
        policy.check_port(port or 443)
        if address is not None:
            policy.check(address, port)
    except AddressRefused as error:
        raise ValueError(f"The URL is {error.reason}.") from None
    if literal is not None and literal != host:
        raise ValueError(f"The URL's host must be written as {literal}.")
    if url.scheme == "http" and not (
        address is not None and (policy.lists(address) or (allow_http_loopback and ip_address(address).is_loopback))
    ):
        raise ValueError("The URL must start with https://.")
    return text


def canonical_url(text: str) -> str:
    """Return the one spelling of a URL: its host in lower case and without a dot at its end, no usual port."""
    url = URL(text)
    host = (url.raw_host or "").lower().removesuffix(".")
    path = url.raw_path or "/"
    usual = {"http": 80, "https": 443}.get(url.scheme)
    port = "" if url.port in (None, usual) else f":{url.port}"
    query = f"?{url.raw_query_string}" if url.raw_query_string else ""
    return f"{url.scheme}://{f'[{host}]' if ':' in host else host}{port}{path}{query}"


def _host_address(host: str, authority: str) -> str | None:
    """Return the address that a host stands for without DNS, or None for a name. Raises ValueError for neither."""
    if ":" in host:
        return host
    labels = host.removesuffix(".").split(".")
    # What ends in a number is an IPv4 address or nothing: the C library reads 127.1, 0x7f.1 and 2130706433 so.
    if _NUMBER_LABEL.fullmatch(labels[-1]):
        try:
            return socket.inet_ntoa(socket.inet_aton(".".join(labels)))
        except OSError:
            raise ValueError("The URL's host is not a valid address.") from None
    if "[" in authority or len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError("The URL's host is not a valid name.")
    return None


def _is_local_name(host: str) -> bool:
    name = host.removesuffix(".").lower()
    return name == "localhost" or name.endswith(".localhost")


# Names that lead nowhere in public (RFC 6761, RFC 6762, RFC 8375, RFC 9476, ICANN's .internal).
_PRIVATE_ENDS = ("localhost", "local", "internal", "test", "invalid", "onion", "arpa", "alt", "lan", "home", "corp")


def is_public_host(host: str) -> bool:
    """Return whether the host of a URL is a public address, or a name that may be public. Asks no DNS."""
    try:
        raw = URL.build(scheme="https", host=host).raw_host or ""
        address = _host_address(raw, raw)
        if address is not None:
            AddressPolicy().check(address)
            return True
    except (ValueError, OSError):
        return False
    labels = raw.removesuffix(".").lower().split(".")
    return len(labels) > 1 and labels[-1] not in _PRIVATE_ENDS
