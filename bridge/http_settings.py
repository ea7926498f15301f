"""What can be set for the HTTP service: where it listens, and for whom."""

from ipaddress import ip_address

import msgspec

from bridge.errors import SettingsError
from bridge.line_settings import Section
from bridge.net_settings import networks


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
