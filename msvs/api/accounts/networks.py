"""Networks of callers: read lists of them, test addresses, and find the network that stands for a caller."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from msvs.api.errors import ErrorCode, InvalidRequest

MAX_NETWORKS = 50
MAPPED = IPv6Network("::ffff:0:0/96")

Network = IPv4Network | IPv6Network


def read_networks(texts: Iterable[str], *, param: str = "allowed_ips") -> list[str]:
    """Return networks in CIDR as they are written best, each once; an address is a network of one.

    Raises InvalidRequest.
    """
    found: dict[str, None] = {}
    for index, text in enumerate(texts):
        try:
            network = ip_network(text.strip())
        except ValueError:
            network = None
        # A scope is of one machine's interfaces: no caller has it.
        if network is None or "%" in text:
            raise InvalidRequest(
                f"'{text[:50]}' is not a network such as 203.0.113.0/24 or 2001:db8::/48.", param=f"{param}[{index}]"
            )
        if isinstance(network, IPv6Network) and network.subnet_of(MAPPED):
            mapped = network.network_address.ipv4_mapped
            network = IPv4Network((mapped or IPv4Address(0), network.prefixlen - MAPPED.prefixlen))
        found[str(network)] = None
    if not 0 < len(found) <= MAX_NETWORKS:
        raise InvalidRequest(
            f"{param} holds from 1 to {MAX_NETWORKS} networks.", param=param, code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    return list(found)


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return the networks that read_networks wrote."""
    return tuple(ip_network(text) for text in texts)


def is_within(ip: str | None, networks: Iterable[Network]) -> bool:
    """Return whether an address is in one of the networks; one that is not known is in none."""
    address = _address(ip or "")
    return address is not None and any(address in network for network in networks)


@lru_cache(maxsize=4096)
def network_of(ip: str) -> str:
    """Return the address itself or, for IPv6, its /64, which one caller holds whole."""
    address = _address(ip)
    if address is None:
        return ip
    return address.packed[:8].hex() if isinstance(address, IPv6Address) else str(address)


def _address(ip: str) -> IPv4Address | IPv6Address | None:
    """Return an address, IPv4 in IPv6 as IPv4; None for what is none."""
    try:
        address = ip_address(ip)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
