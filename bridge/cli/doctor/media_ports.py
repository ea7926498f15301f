"""The UDP ports for media, and the address that it comes from, as STUN servers see it."""

import asyncio
import errno
import socket
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from bridge.cli.doctor.findings import Finding, failed, ok, warning
from bridge.cli.doctor.runner import Surroundings
from bridge.cli.doctor.running import LOOPBACK_OF
from bridge.cli.stun import Reflexive, ask_from_free_port, server_address, server_of
from bridge.errors import SetupError
from bridge.http.interfaces import default_address
from bridge.settings.model import Settings, port_range

ANSWER_SECONDS: Final = 1.0
SAMPLES: Final = 3
"""Ports to which a datagram is sent."""
PROBE: Final = b"\xffmedia bridge doctor"
STUN: Final = "stun"
DEFAULT_TLS_PORT: Final = 5349
CONNECT_SECONDS: Final = 5.0
STUN_FIX: Final = (
    "browsers are told of it (the bridge itself uses none): name one that answers in rtc.stun_urls, "
    "or set it to []; if none answers, outbound UDP is closed here, and media cannot leave either"
)


@dataclass(frozen=True, slots=True)
class PortSurvey:
    """What was found on one address."""

    address: str
    free: tuple[int, ...] = ()
    taken: tuple[int, ...] = ()
    forbidden: tuple[int, ...] = ()
    """Ports that this user may not bind."""
    unreached: tuple[int, ...] = ()
    """Free ports at which a datagram of a second socket did not arrive."""
    foreign: bool = False
    """Whether the address is not this machine's."""


def media_addresses(settings: Settings) -> tuple[str, ...]:
    """Return the addresses on which media is received."""
    return tuple(settings.rtc.bind) or (default_address(),)


async def check_media_ports(around: Surroundings) -> list[Finding]:
    """Check all ports of `rtc.ports` on all addresses of `rtc.bind`."""
    settings = around.settings
    ports = port_range(settings.rtc.ports)
    found = []
    for address in media_addresses(settings):
        survey = await asyncio.to_thread(survey_ports, address, ports)
        found.append(evaluate(survey, running=around.running))
    if len(ports) < settings.limits.calls:
        found.append(
            warning(
                f"rtc.ports has {len(ports)} ports, one per leg, but limits.calls allows "
                f"{settings.limits.calls} calls",
                setting="rtc.ports",
                fix="widen rtc.ports to two ports per call, or lower limits.calls",
            )
        )
    return found


def survey_ports(address: str, ports: range) -> PortSurvey:
    """Bind each port for a moment, and send a datagram to some of those that are free."""
    free: list[int] = []
    taken: list[int] = []
    forbidden: list[int] = []
    for port in ports:
        try:
            _open(address, port).close()
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                return PortSurvey(address, foreign=True)
            (forbidden if error.errno == errno.EACCES else taken).append(port)
        else:
            free.append(port)
    step = max(1, (len(free) - 1) // (SAMPLES - 1))
    unreached = [port for port in free[::step][:SAMPLES] if not _reaches(address, port)]
    return PortSurvey(address, tuple(free), tuple(taken), tuple(forbidden), tuple(unreached))


def evaluate(survey: PortSurvey, *, running: bool) -> Finding:
    """Return what a survey means; beside a running bridge, taken ports are those of its calls."""
    address, total = survey.address, len(survey.free) + len(survey.taken) + len(survey.forbidden)
    if survey.foreign:
        return failed(
            f"{address} is not an address of this machine",
            setting="rtc.bind",
            fix="name an address that `ip address` lists; the public address of 1:1 NAT belongs "
            "into rtc.external_address",
        )
    if survey.forbidden:
        return failed(
            f"{len(survey.forbidden)} of {total} UDP ports may not be bound by this user",
            setting="rtc.ports",
            fix="choose ports above 1023",
        )
    if survey.unreached:
        return failed(
            f"a datagram from a second socket of this machine did not arrive at {address}, UDP port "
            f"{survey.unreached[0]}",
            setting="rtc.ports",
            fix="look for a local firewall rule (nft list ruleset) that drops UDP to rtc.ports",
        )
    if not survey.taken:
        return ok(f"all {total} UDP ports are free on {address}, and a second socket reaches them")
    if running:
        return ok(
            f"{len(survey.free)} of {total} UDP ports are free on {address}; the running "
            "bridge uses the others"
        )  # fmt: skip
    return _evaluate_taken(survey, total)


def _evaluate_taken(survey: PortSurvey, total: int) -> Finding:
    first = f"other programs use {len(survey.taken)} of {total} UDP ports on {survey.address}"
    fix = f"choose a range that nobody uses; `ss -lunp` shows who has port {survey.taken[0]}"
    level = warning if survey.free else failed
    return level(first, setting="rtc.ports", fix=fix)


def _open(address: str, port: int) -> socket.socket:
    six = ":" in address
    opened = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        if six:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind((address, port))
    except OSError:
        opened.close()
        raise
    return opened


def _reaches(address: str, port: int) -> bool:
    try:
        receiver = _open(address, port)
    except OSError:
        return True  # a call has taken it meanwhile
    try:
        with receiver, _open(address, 0) as sender:
            receiver.settimeout(ANSWER_SECONDS)
            sender.sendto(PROBE, (LOOPBACK_OF.get(address, address), port))
            return receiver.recv(len(PROBE)) == PROBE
    except OSError:
        return False


async def check_address(around: Surroundings) -> list[Finding]:
    """Ask each STUN server for this machine's address; compare that with the settings."""
    settings = around.settings
    urls = settings.rtc.stun_urls
    tried = [_try_stun(url, index, around) for index, url in enumerate(urls)]
    results = await asyncio.gather(*tried)
    found = [finding for finding, _ in results]
    if not urls:
        found.append(ok("rtc.stun_urls is empty: browsers use no STUN server", check=STUN))
    seen = next((one for _, one in results if one is not None), None)
    found.append(evaluate_external(settings, media_addresses(settings)[0], seen))
    return found


def evaluate_external(settings: Settings, bind: str, seen: tuple[int, Reflexive] | None) -> Finding:
    """Return whether browsers are told an address at which they reach the media ports.

    `seen` is a local port, and where a STUN server has seen packets from it come from; None if no server
    has answered.
    """
    external = settings.rtc.external_address
    told = external or bind
    if seen is not None and external:
        return _evaluate_mapping(external, *seen)
    if seen is not None and seen[1].address == told:
        return ok(f"browsers are told {told}, and so do packets leave from there")
    if ip_address(told).is_global:
        if seen is not None:
            return _differs(told, seen[1].address)
        return ok(f"browsers are told {told}, a public address; no STUN server was asked")
    if not settings.http.exposed:
        return ok(f"browsers are told {told}; http.host lets only this machine use the bridge")
    public = f"the internet sees this machine as {seen[1].address}" if seen else "it is private"
    value = f'"{seen[1].address}"' if seen else "the public address of this machine"
    return warning(
        f"browsers are told to send media to {told}, but {public}",
        setting="rtc.external_address",
        fix=f"set rtc.external_address to {value} and forward the UDP ports of rtc.ports to this "
        "machine; if all browsers are in this network, nothing is to be done",
    )


def _evaluate_mapping(external: str, local: int, seen: Reflexive) -> Finding:
    if seen.address != external:
        return _differs(external, seen.address)
    if seen.port != local:
        return warning(
            f"packets leave from {external}, but the NAT turns port {local} into {seen.port}",
            setting="rtc.external_address",
            fix="the NAT must keep ports (1:1, or UDP ports published one to one); check with a call "
            "from outside, or let browsers use TURN (turn.mode)",
        )
    return ok(f"packets leave from {external}, and the NAT keeps their port")


def _differs(told: str, seen: str) -> Finding:
    return failed(
        f"browsers are told to send media to {told}, but packets of this machine come from {seen}",
        setting="rtc.external_address",
        fix=f'if {seen} is the public address of this machine, set rtc.external_address to "{seen}"',
    )


async def _try_stun(
    url: str, index: int, around: Surroundings
) -> tuple[Finding, tuple[int, Reflexive] | None]:
    if url.startswith("stuns:"):
        name, port = server_of(url)
        return await _try_stun_tls(name, port if url.rpartition(":")[2].isdecimal() else 0), None
    bind = media_addresses(around.settings)[0]
    try:
        server = await server_address(url, ip_address(bind).version, around.dns)
        # Each server is asked from another port, as all are asked at once.
        ports = [*reversed(port_range(around.settings.rtc.ports))]
        ports = ports[index:] + ports[:index]
        seen = await ask_from_free_port(server, address=bind, ports=ports)
    except (SetupError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        return warning(f"{url}: {reason}", check=STUN, setting="rtc.stun_urls", fix=STUN_FIX), None
    return ok(f"{url} sees this machine as {seen[1].address}", check=STUN), seen


async def _try_stun_tls(name: str, port: int) -> Finding:
    """Connect to a STUN server over TLS, without a request."""
    shown = f"stuns:{name}"
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(name, port or DEFAULT_TLS_PORT, ssl=True)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return warning(f"{shown}: {reason}", check=STUN, setting="rtc.stun_urls", fix=STUN_FIX)
    writer.close()
    return ok(f"{shown} takes TLS connections", check=STUN)
