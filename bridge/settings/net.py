"""Settings of outgoing connections."""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import msgspec

from bridge.errors import SettingsError
from bridge.settings.section import Section


class Net(Section, frozen=True):
    """Outgoing connections to customers' URLs: webhooks, streams, files to play."""

    allow: list[str] = msgspec.field(default_factory=list)
    """Networks that customers' URLs may reach although they are not public, on any port and without TLS,
    such as `["10.1.0.0/16"]`. Otherwise they reach public addresses only, and of these neither the
    machine's own nor the networks of its interfaces."""
    deny: list[str] = msgspec.field(default_factory=list)
    """Networks that customers' URLs may not reach; wins over `allow`."""
    nameservers: list[str] = msgspec.field(default_factory=list)
    """Name servers, as `address` or `address:port`. Empty: those of /etc/resolv.conf. Search domains come
    from there and /etc/hosts is read first; other sources of nsswitch.conf, such as mDNS, are not used."""
    require_tls: bool = False
    """Refuse customers' URLs with plain `http` or `ws`, outside `allow`."""


def networks(key: str, texts: list[str]) -> list[IPv4Network | IPv6Network]:
    """Read the networks of a setting, or raise `SettingsError`."""
    found = []
    for text in texts:
        try:
            found.append(ip_network(text))
        except ValueError as error:
            raise SettingsError(f"{key}: {error}") from None
    return found


def check_net(net: Net) -> None:
    """Refuse what is no network or name server, naming the key (`SettingsError`)."""
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
