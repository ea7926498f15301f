"""Which addresses the bridge of a rehearsal may connect to: loopback, and the hosts of the user's bots and providers."""

import asyncio
import socket
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from bridge.rehearse.scenario_file import ScenarioError
from bridge.settings.model import Net

Network: TypeAlias = IPv4Network | IPv6Network

LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
EVERYTHING: Final = ("0.0.0.0/0", "::/0")


async def only(urls: Iterable[str]) -> Net:
    """Return settings that allow connections to loopback and the hosts of some URLs only.

    Raises:
        ScenarioError: a host cannot be resolved.
    """
    hosts = {host for url in urls if (host := urlsplit(url).hostname)}
    allowed = {ip_network(one) for one in LOOPBACK}
    for host in sorted(hosts):
        allowed |= {ip_network(address) for address in await _addresses(host)}
    denied: list[Network] = [ip_network(one) for one in EVERYTHING]
    for network in allowed:
        denied = [rest for one in denied for rest in _without(one, network)]
    return Net(allow=[str(one) for one in allowed], deny=[str(one) for one in denied])


def _without(network: Network, hole: Network) -> Iterable[Network]:
    if isinstance(network, IPv4Network) and isinstance(hole, IPv4Network):
        return network.address_exclude(hole) if hole.subnet_of(network) else [network]
    if isinstance(network, IPv6Network) and isinstance(hole, IPv6Network):
        return network.address_exclude(hole) if hole.subnet_of(network) else [network]
    return [network]


async def _addresses(host: str) -> set[str]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ScenarioError(f"the bot's host {host} has no address: {error.strerror}") from None
    return {str(address[0]).partition("%")[0] for *_, address in found}
