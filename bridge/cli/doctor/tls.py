"""The certificate that browsers see: the bridge's own, or that of the proxy in front of it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

from yarl import URL

from bridge.cli.certificate import Certificate, connect, handshake
from bridge.cli.doctor.database import known_identity
from bridge.cli.doctor.findings import Finding, failed, ok, warning
from bridge.cli.doctor.runner import Surroundings
from bridge.cli.doctor.running import LOOPBACK_OF, Occupant, ask
from bridge.settings.http import host_of
from bridge.settings.model import Http, is_loopback

PUBLIC: Final = "public_url"
SOON: Final = timedelta(days=14)


async def check_tls(around: Surroundings) -> list[Finding]:
    """Check the certificate chain, and that `http.public_url` leads to this bridge."""
    http = around.settings.http
    found = []
    if http.tls_cert:
        found.append(await asyncio.to_thread(_check_files, http))
    elif not http.public_url.startswith("https://"):
        found.append(evaluate_none(exposed=http.exposed))
    if http.public_url:
        found += await _check_public(around)
    return found


def evaluate_none(*, exposed: bool) -> Finding:
    """Return what it means that there is no HTTPS."""
    if not exposed:
        return ok("no HTTPS; browsers need none for pages of this machine")
    return warning(
        "others can reach the bridge, but without HTTPS, and browsers allow the microphone on "
        "secure pages only",
        setting="http.tls_cert, http.public_url",
        fix="set http.tls_cert and http.tls_key, or put a proxy with TLS in front "
        "(deploy/nginx/bridge.conf) and set http.public_url to its https address",
    )


def evaluate(name: str, seen: Certificate, now: datetime, *, setting: str) -> Finding:
    """Return what a certificate means for browsers; `name` says whose it is."""
    if seen.self_signed:
        return warning(
            f"the certificate of {name} is self-signed: browsers ask before they trust it, and Meta "
            "and most programs never do",
            setting=setting,
            fix="use a certificate of a public authority, unless this is a trial in your own network",
        )
    if seen.distrust or seen.expires is None:
        return failed(
            f"browsers do not trust the certificate of {name}: {seen.distrust}",
            setting=setting,
            fix="use a certificate of a public authority, for this name, with its intermediate "
            "certificates in the same file (fullchain.pem)",
        )
    left = seen.expires - now
    until = f"{seen.expires:%Y-%m-%d}, in {left.days} days"
    if left < SOON:
        return warning(
            f"the certificate of {name} expires on {until}",
            setting=setting,
            fix="renew it, and restart the bridge or the proxy, which read it at the start",
        )
    return ok(f"browsers trust the certificate of {name}, which expires on {until}")


def names_of(http: Http) -> list[str]:
    """Return the names that browsers use for the bridge, as far as the settings say; maybe none."""
    own = [] if http.host in LOOPBACK_OF or is_loopback(http.host) else [http.host]
    public = host_of(http.public_url)
    return list(dict.fromkeys([*([public] if public else []), *http.allowed_hosts])) or own


def _check_files(http: Http) -> Finding:
    setting = "http.tls_cert, http.tls_key"
    try:
        names = names_of(http)
        seen = [(name, handshake(http, name)) for name in names or [""]]
    except OSError as error:  # an SSLError too
        return failed(
            f"http.tls_cert and http.tls_key cannot be used: {error.strerror or error}",
            setting=setting,
            fix="both must be PEM files that the bridge's user may read, and belong together",
        )
    name, worst = next((one for one in seen if one[1].distrust), seen[0])
    return evaluate(name or "http.tls_cert", worst, datetime.now(UTC), setting=setting)


async def _check_public(around: Surroundings) -> list[Finding]:
    """Connect as a browser would; what the network in between does is part of it."""
    settings = around.settings
    url = URL(settings.http.public_url)
    found = []
    if url.scheme == "https":
        try:
            seen = await connect(str(url.host), url.port or 443, name=str(url.host))
        except OSError as error:
            return [_unreached(str(url.origin()), error)]
        found.append(
            evaluate(str(url.origin()), seen, datetime.now(UTC), setting="http.public_url")
        )
    own = await asyncio.to_thread(known_identity, settings.data)
    who = await ask(str(url.joinpath("healthz")), own, around.http)
    found.append(evaluate_public(str(url.origin()), who, running=around.running))
    return found


def evaluate_public(url: str, who: Occupant, *, running: bool) -> Finding:
    """Return whether the public address leads to the bridge."""
    if who is Occupant.OURS:
        return ok(f"{url} leads to this bridge", check=PUBLIC)
    if who is Occupant.NOBODY:
        return _unreached(url, ConnectionRefusedError())
    if not running:
        return warning(
            f"something answers at {url}; this bridge is not running, so where it leads is not known",
            check=PUBLIC,
            fix="start the bridge and run the doctor again",
        )
    return failed(
        f"{url} does not lead to this bridge: {who.value} answers there",
        check=PUBLIC,
        setting="http.public_url",
        fix="let the proxy pass everything, /healthz included, to http.host and http.port",
    )


def _unreached(url: str, error: OSError) -> Finding:
    return warning(
        f"{url} cannot be reached from here: {error.strerror or type(error).__name__}",
        check=PUBLIC,
        setting="http.public_url",
        fix="does the proxy run, and does its name have a DNS record? Some networks do not let a "
        "machine reach its own public address; then try it from outside",
    )
