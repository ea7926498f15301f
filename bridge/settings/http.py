"""Settings of the HTTP service: where it listens, and for whom."""

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from bridge.errors import SettingsError
from bridge.settings.net import networks
from bridge.settings.section import Secret, Section

LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
MIN_KEY_CHARACTERS: Final = 20
"""Of a key that others could guess; `openssl rand -hex 32` makes 64."""


class Http(Section, frozen=True):
    """The HTTP service: the API and the pages."""

    host: str = "127.0.0.1"
    """Address to listen on. Beyond loopback at least one line needs a key."""
    port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    """TCP port. 0: any that is free."""
    tls_cert: str = ""
    """PEM file with the certificate chain; together with `tls_key` it turns on HTTPS, which browsers
    require for the microphone on any address but localhost."""
    tls_key: str = ""
    """PEM file with the private key of `tls_cert`."""
    cors_origins: list[str] = msgspec.field(default_factory=lambda: ["*"])
    """Web origins whose pages may call the API with a key in a header; `*` is any."""
    public_url: str = ""
    """Base of links to recordings, such as `https://calls.example`. Empty: scheme and host of the request.
    Set it behind a proxy: `X-Forwarded-*` headers are not trusted for it."""
    trusted_proxies: list[str] = msgspec.field(default_factory=list)
    """Networks of reverse proxies, such as `["127.0.0.1/32"]`, whose `X-Forwarded-For` names the client,
    so that limits on unauthenticated requests apply to each client and not to the proxy."""
    allowed_hosts: list[str] = msgspec.field(default_factory=list)
    """Names accepted in the Host header besides local ones, `host` and that of `public_url`, such as
    `["calls.example"]`. Checked on loopback, and anywhere once set, which turns the demo key off.
    `/healthz` and `/readyz` answer to any name."""

    @property
    def url(self) -> str:
        """Where it listens, with a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls_cert else 'http'}://{host}:{self.port}/"

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
        named = [*map(host_name, [self.host, *self.allowed_hosts]), host_of(self.public_url)]
        return LOCAL_NAMES | {name for name in named if name}


class Metrics(Section, frozen=True):
    """Access to the metrics."""

    keys: list[Secret] = msgspec.field(default_factory=list)
    """Keys for `/metrics` only, such as Prometheus'. Without any, lines' keys open it, and on loopback the
    token of the start (`local.token` in `data.dir`)."""
    old_names: bool = True
    """Serve metrics that were renamed under their former names too, until version 1.0; docs/metrics.md has these."""


class Admin(Section, frozen=True):
    """Access to the administration of lines and nodes."""

    keys: list[Secret] = msgspec.field(default_factory=list)
    """Keys for `/admin/lines`, where lines and their keys are created, listed, rotated, paused and removed
    while the bridge runs, and for `/nodes`, where nodes are listed and drained. Without any, there are no
    such routes."""


class Console(Section, frozen=True):
    """Access to the console."""

    keys: list[Secret] = msgspec.field(default_factory=list)
    """Keys for `/console` only, which shows the calls of all lines and can hang them up. Without any there
    is no console, except in the demonstration without lines, where the link that the bridge prints opens it."""


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
    """Refuse values that exclude each other or are out of range, naming the key (`SettingsError`)."""
    if bool(http.tls_cert) != bool(http.tls_key):
        raise SettingsError("http.tls_cert and http.tls_key: set both or neither")
    networks("http.trusted_proxies", http.trusted_proxies)
    for host in http.allowed_hosts:
        name = host_name(host)
        if name is None or host.lower() not in (name, f"[{name}]"):
            raise SettingsError(f'http.allowed_hosts: expected names without a port, got "{host}"')


def check_keys(http: Http, keys: Iterable[tuple[str, str]]) -> None:
    """Refuse keys that are the same, or short enough to be guessed.

    Raises:
        SettingsError: naming the setting that comes with the key, never the key.
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
