"""Settings of a bridge of several machines: how they reach each other, and prove who they are."""

from typing import Final
from urllib.parse import SplitResult, urlsplit

from bridge.errors import SettingsError
from bridge.settings.http import Http
from bridge.settings.section import Secret, Section

MIN_SECRET_CHARACTERS: Final = 32
_HOW_TO: Final = "openssl rand -hex 32 makes a good one, to be set on every machine"
_WILDCARDS: Final = frozenset({"0.0.0.0", "::", "*"})  # noqa: S104 - they are refused


class Cluster(Section, frozen=True):
    """Several machines with one PostgreSQL (`data.url`). Requests about a call go to the machine that has it."""

    url: str = ""
    """Where the other machines reach this one, such as `http://10.0.0.5:8081`: an address of this machine,
    with a port of its own on which only they are answered. Empty: there are no other machines."""
    secret: Secret = ""
    """What the machines sign their requests to each other with, the same on all of them; at least 32
    characters (`openssl rand -hex 32`)."""
    former_secret: Secret = ""
    """Accepted besides `secret`. To change the secret without a gap: first set the new one here on
    every machine, then exchange the two on every machine, then empty this one."""
    tls_cert: str = ""
    """PEM file with this machine's certificate chain, for the host in `url`. With `https` in `url` the machines
    verify each other's certificates, which must be good for servers and clients; it needs `tls_key` and `tls_ca`."""
    tls_key: str = ""
    """PEM file with the private key of `tls_cert`."""
    tls_ca: str = ""
    """PEM file with the certificates that have signed those of the machines."""
    public_url: str = ""
    """Where clients reach this machine itself, such as `https://node1.calls.example`, if they can. Answers
    that name a media socket then name its owner's, which saves a hop. Empty: they name the common one."""

    @property
    def host(self) -> str:
        """The host in `url`."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The port in `url`."""
        return urlsplit(self.url).port or 0


def check_cluster(cluster: Cluster, http: Http, *, database_url: str) -> None:
    """Refuse what cannot work, naming the key and never a secret.

    Raises:
        SettingsError: what is wrong and what to do about it.
    """
    if cluster.public_url:
        _check_url("cluster.public_url", cluster.public_url, "https://node1.calls.example")
    if not cluster.url:
        _check_unused(cluster)
        return
    parts = _check_url("cluster.url", cluster.url, "http://10.0.0.5:8081")
    if parts.port is None:
        raise SettingsError("cluster.url: the port is missing; expected http://10.0.0.5:8081")
    if parts.hostname in _WILDCARDS:
        raise SettingsError(
            f"cluster.url: {parts.hostname} is no address that another machine can reach; name this "
            "machine's own, such as http://10.0.0.5:8081"
        )
    if parts.port == http.port:
        raise SettingsError(
            f"cluster.url: {parts.port} is http.port, which is for clients; choose another port"
        )
    if not database_url:
        raise SettingsError(
            'cluster.url: several machines share a PostgreSQL database; set data.url = "postgresql://…"'
        )
    _check_secrets(cluster)
    _check_tls(cluster, parts.scheme)


def _check_url(key: str, url: str, example: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise SettingsError(f"{key}: expected a URL such as {example}") from None
    if not valid or parts.username is not None or parts.path not in ("", "/"):
        raise SettingsError(f"{key}: expected http or https, a host and no path, such as {example}")
    if parts.query or parts.fragment:
        raise SettingsError(f"{key}: expected no query, such as {example}")
    return parts


def _check_unused(cluster: Cluster) -> None:
    for key in ("secret", "former_secret", "tls_cert", "tls_key", "tls_ca", "public_url"):
        if getattr(cluster, key):
            raise SettingsError(f"cluster.{key}: has no effect without cluster.url; set that too")


def _check_secrets(cluster: Cluster) -> None:
    if not cluster.secret:
        raise SettingsError(f"cluster.secret: missing; {_HOW_TO}")
    for key, secret in (("secret", cluster.secret), ("former_secret", cluster.former_secret)):
        if secret and len(secret) < MIN_SECRET_CHARACTERS:
            raise SettingsError(
                f"cluster.{key}: has fewer than {MIN_SECRET_CHARACTERS} characters; {_HOW_TO}"
            )


def _check_tls(cluster: Cluster, scheme: str) -> None:
    files = (cluster.tls_cert, cluster.tls_key, cluster.tls_ca)
    if scheme == "https" and not all(files):
        raise SettingsError(
            "cluster.tls_cert, cluster.tls_key and cluster.tls_ca: all needed with https in cluster.url"
        )
    if scheme == "http" and any(files):
        raise SettingsError(
            "cluster.tls_cert, cluster.tls_key and cluster.tls_ca: not used with http in cluster.url; "
            "write https there"
        )
