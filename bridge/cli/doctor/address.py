"""The address that media comes from, as STUN servers see it, and the STUN servers themselves."""

import asyncio
from ipaddress import ip_address
from typing import Final

from bridge.cli.doctor.findings import Finding, failed, ok, warning
from bridge.cli.doctor.media_ports import media_addresses
from bridge.cli.doctor.runner import Surroundings
from bridge.cli.stun import Reflexive, ask_from_free_port, server_of
from bridge.errors import SetupError
from bridge.http.resolver import Dns
from bridge.settings.model import Settings, port_range

STUN: Final = "stun"
EXTERNAL: Final = "external_address"
DEFAULT_TLS_PORT: Final = 5349
CONNECT_SECONDS: Final = 5.0
STUN_FIX: Final = (
    "browsers are told of it (the bridge itself uses none): name one that answers in rtc.stun_urls, "
    "or set it to []; if none answers, outbound UDP is closed here, and media cannot leave either"
)


async def check_address(around: Surroundings) -> list[Finding]:
    """Ask each STUN server for this machine's address; compare that with the settings."""
    settings = around.settings
    urls = settings.rtc.stun_urls
    tried = [_try(url, index, around) for index, url in enumerate(urls)]
    results = await asyncio.gather(*tried)
    found = [finding for finding, _ in results]
    if not urls:
        found.append(ok(STUN, "rtc.stun_urls is empty: browsers use no STUN server"))
    seen = next((one for _, one in results if one is not None), None)
    found.append(judge_external(settings, media_addresses(settings)[0], seen))
    return found


def judge_external(settings: Settings, bind: str, seen: tuple[int, Reflexive] | None) -> Finding:
    """Return whether browsers are told an address at which they reach the media ports.

    `seen` is a local port, and where a STUN server has seen packets from it come from; None if no server
    has answered.
    """
    external = settings.rtc.external_address
    told = external or bind
    if seen is not None and external:
        return _judge_mapping(external, *seen)
    if seen is not None and seen[1].address == told:
        return ok(EXTERNAL, f"browsers are told {told}, and so do packets leave from there")
    if ip_address(told).is_global:
        if seen is not None:
            return _differs(told, seen[1].address)
        return ok(EXTERNAL, f"browsers are told {told}, a public address; no STUN server was asked")
    if not settings.http.exposed:
        return ok(
            EXTERNAL, f"browsers are told {told}; http.host lets only this machine use the bridge"
        )
    public = f"the internet sees this machine as {seen[1].address}" if seen else "it is private"
    value = f'"{seen[1].address}"' if seen else "the public address of this machine"
    return warning(
        EXTERNAL,
        f"browsers are told to send media to {told}, but {public}",
        setting="rtc.external_address",
        fix=f"set rtc.external_address to {value} and forward the UDP ports of rtc.ports to this "
        "machine; if all browsers are in this network, nothing is to be done",
    )


def _judge_mapping(external: str, local: int, seen: Reflexive) -> Finding:
    if seen.address != external:
        return _differs(external, seen.address)
    if seen.port != local:
        return warning(
            EXTERNAL,
            f"packets leave from {external}, but the NAT turns port {local} into {seen.port}",
            setting="rtc.external_address",
            fix="the NAT must keep ports (1:1, or UDP ports published one to one); check with a call "
            "from outside, or let browsers use TURN (turn.mode)",
        )
    return ok(EXTERNAL, f"packets leave from {external}, and the NAT keeps their port")


def _differs(told: str, seen: str) -> Finding:
    return failed(
        EXTERNAL,
        f"browsers are told to send media to {told}, but packets of this machine come from {seen}",
        setting="rtc.external_address",
        fix=f'if {seen} is the public address of this machine, set rtc.external_address to "{seen}"',
    )


async def _try(
    url: str, index: int, around: Surroundings
) -> tuple[Finding, tuple[int, Reflexive] | None]:
    name, port = server_of(url)
    if url.startswith("stuns:"):
        return await _try_tls(name, port if url.rpartition(":")[2].isdecimal() else 0), None
    bind = media_addresses(around.settings)[0]
    try:
        server = await _resolve(name, port, ip_address(bind).version, around.dns)
        # Each server is asked from another port, as all are asked at once.
        ports = [*reversed(port_range(around.settings.rtc.ports))]
        ports = ports[index:] + ports[:index]
        seen = await ask_from_free_port(server, address=bind, ports=ports)
    except (SetupError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        return warning(STUN, f"{url}: {reason}", setting="rtc.stun_urls", fix=STUN_FIX), None
    return ok(STUN, f"{url} sees this machine as {seen[1].address}"), seen


async def _resolve(name: str, port: int, version: int, dns: Dns) -> tuple[str, int]:
    try:
        known = [ip_address(name)]
    except ValueError:
        known = await dns.resolve(name)
    for address in known:
        if address.version == version:
            return str(address), port
    raise SetupError(f"it has no IPv{version} address, and rtc.bind is one")


async def _try_tls(name: str, port: int) -> Finding:
    """Connect to a STUN server over TLS, without a request."""
    shown = f"stuns:{name}"
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(name, port or DEFAULT_TLS_PORT, ssl=True)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return warning(STUN, f"{shown}: {reason}", setting="rtc.stun_urls", fix=STUN_FIX)
    writer.close()
    return ok(STUN, f"{shown} takes TLS connections")
