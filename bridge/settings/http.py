"""What can be set for the HTTP service: where it listens, and for whom."""

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import msgspec

from bridge.errors import SettingsError
from bridge.settings.line import Section
from bridge.settings.net import networks

LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
MIN_KEY_CHARACTERS: Final = 20
"""Of a key that strangers could guess at; `openssl rand -hex 32` makes 64."""


class Http(Section, frozen=True):
    """Where the HTTP service listens."""

    host: str = "127.0.0.1"
    port: int = 8080
    tls_cert: str = ""
    """PEM file with the certificate chain; with `tls_key` turns HTTPS on."""
    tls_key: str = ""
    cors_origins: list[str] = msgspec.field(default_factory=lambda: ["*"])
    """Web origins whose pages may call the API with a key in a header; `*` is any."""
    public_url: str = ""
    """With what the links that the bridge gives begin; empty for what the request says."""
    trusted_proxies: list[str] = msgspec.field(default_factory=list)
    """Networks of reverse proxies whose `X-Forwarded-For` says who asks; nobody else's is believed."""
    allowed_hosts: list[str] = msgspec.field(default_factory=list)
    """Names that requests may ask for besides local ones and that of `public_url`. Checked on loopback,
    or where this is set."""

    @property
    def exposed(self) -> bool:
        """Whether others than this machine's own programs are to reach the service."""
        elsewhere = bool(self.public_url) and host_of(self.public_url) not in LOCAL_NAMES
        return not is_loopback(self.host) or bool(self.allowed_hosts) or elsewhere

    @property
    def hosts(self) -> frozenset[str] | None:
        """Names that requests may ask for; None where any will do."""
        if not (is_loopback(self.host) or self.allowed_hosts):
            return None
        named = [*map(host_name, self.allowed_hosts), host_of(self.public_url)]
        return LOCAL_NAMES | {name for name in named if name}


class Metrics(Section, frozen=True):
    """Who may read the metrics."""

    keys: list[str] = msgspec.field(default_factory=list)
    """Keys that open `/metrics` and nothing else; where there are some, lines' keys do not open it."""


class Admin(Section, frozen=True):
    """Who may change lines and their keys while the bridge runs."""

    keys: list[str] = msgspec.field(default_factory=list)
    """Keys that open `/admin/lines` and nothing else; without any there are no such routes."""


def host_name(host: str) -> str | None:
    """Return the name in a Host header, without its port; None when it is no name at all."""
    return host_of(f"//{host}")


def host_of(url: str) -> str | None:
    """Return the name of a URL's host; None without one."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Whether a listening address can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def check_http(http: Http) -> None:
    """Refuse what cannot be.

    Raises:
        SettingsError: naming the key.
    """
    if bool(http.tls_cert) != bool(http.tls_key):
        raise SettingsError("http.tls_cert and http.tls_key: set both or neither")
    networks("http.trusted_proxies", http.trusted_proxies)
    for host in http.allowed_hosts:
        name = host_name(host)
        if name is None or host.lower() not in (name, f"[{name}]"):
            raise SettingsError(f'http.allowed_hosts: expected names without a port, got "{host}"')


def check_keys(http: Http, keys: Iterable[tuple[str, str]]) -> None:
    """Refuse keys that are the same, or that strangers could guess.

    Args:
        http: says whether strangers reach the service.
        keys: the setting that each key stands in, and the key.

    Raises:
        SettingsError: naming the setting, never the key.
    """
    seen: set[str] = set()
    for setting, key in keys:
        if not key or key in seen:
            raise SettingsError(f"{setting}: a key is empty or used twice")
        if http.exposed and len(key) < MIN_KEY_CHARACTERS:
            raise SettingsError(
                f"{setting}: a key has fewer than {MIN_KEY_CHARACTERS} characters, and others can "
                "reach the bridge (http.host, http.public_url, http.allowed_hosts): openssl rand "
                "-hex 32 makes a good one"
            )
        seen.add(key)
