"""What can be set of the bridge's way to other servers."""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import msgspec

from bridge.errors import SettingsError
from bridge.settings.line import Section


class Net(Section, frozen=True):
    """Where the bridge may connect to for its customers."""

    allow: list[str] = msgspec.field(default_factory=list)
    """Networks that customers' URLs may reach although they are not public, or the bridge's own."""
    deny: list[str] = msgspec.field(default_factory=list)
    """Networks that customers' URLs may not reach, whatever `allow` says."""
    nameservers: list[str] = msgspec.field(default_factory=list)
    """Name servers to ask, as `address` or `address:port`; empty = those of /etc/resolv.conf."""
    require_tls: bool = False
    """Refuse customers' URLs that are plain `http` or `ws`, outside `allow`."""


def networks(key: str, texts: list[str]) -> list[IPv4Network | IPv6Network]:
    """Read the networks of a setting.

    Raises:
        SettingsError: one is no network.
    """
    found = []
    for text in texts:
        try:
            found.append(ip_network(text))
        except ValueError as error:
            raise SettingsError(f"{key}: {error}") from None
    return found


def check_net(net: Net) -> None:
    """Refuse what is no network or no name server.

    Raises:
        SettingsError: naming the key.
    """
    networks("net.allow", net.allow)
    networks("net.deny", net.deny)
    for text in net.nameservers:
        host, _, port = (
            text.rpartition(":") if text.count(":") == 1 or "]:" in text else (text, "", "53")
        )
        try:
            ip_address(host.strip("[]"))
        except ValueError:
            port = ""
        if not (port.isdecimal() and 0 < int(port) < 65536):
            raise SettingsError(
                f'net.nameservers: expected "address" or "address:port", got "{text}"'
            )
