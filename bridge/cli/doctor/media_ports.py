"""The UDP ports for media: are they free, and does a second socket reach them?"""

import asyncio
import errno
import socket
from dataclasses import dataclass, field
from typing import Final

from bridge.cli.doctor.findings import Finding, failed, ok, warning
from bridge.cli.doctor.runner import Surroundings
from bridge.http.interfaces import default_address
from bridge.settings.model import Settings, port_range

CHECK: Final = "media_ports"
ANSWER_SECONDS: Final = 1.0
SAMPLES: Final = 3
"""Ports to which a datagram is sent."""
PROBE: Final = b"\xffmedia bridge doctor"
_EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound


@dataclass(frozen=True, slots=True)
class PortSurvey:
    """What was found on one address."""

    address: str
    free: tuple[int, ...] = ()
    taken: tuple[int, ...] = ()
    forbidden: tuple[int, ...] = ()
    """Ports that this user may not bind."""
    unreached: tuple[int, ...] = field(default=())
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
        found.append(judge(survey, running=around.running))
    if len(ports) < settings.limits.calls:
        found.append(
            warning(
                CHECK,
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


def judge(survey: PortSurvey, *, running: bool) -> Finding:
    """Return what a survey means; beside a running bridge, taken ports are those of its calls."""
    address, total = survey.address, len(survey.free) + len(survey.taken) + len(survey.forbidden)
    if survey.foreign:
        return failed(
            CHECK,
            f"{address} is not an address of this machine",
            setting="rtc.bind",
            fix="name an address that `ip address` lists; the public address of 1:1 NAT belongs "
            "into rtc.external_address",
        )
    if survey.forbidden:
        return failed(
            CHECK,
            f"{len(survey.forbidden)} of {total} UDP ports may not be bound by this user",
            setting="rtc.ports",
            fix="choose ports above 1023",
        )
    if survey.unreached:
        return failed(
            CHECK,
            f"a datagram from a second socket of this machine did not arrive at {address}, UDP port "
            f"{survey.unreached[0]}",
            setting="rtc.ports",
            fix="look for a local firewall rule (nft list ruleset) that drops UDP to rtc.ports",
        )
    if not survey.taken:
        return ok(
            CHECK, f"all {total} UDP ports are free on {address}, and a second socket reaches them"
        )
    if running:
        return ok(
            CHECK, f"{len(survey.free)} of {total} UDP ports are free on {address}; the running "
            "bridge uses the others"
        )  # fmt: skip
    return _judge_taken(survey, total)


def _judge_taken(survey: PortSurvey, total: int) -> Finding:
    first = f"other programs use {len(survey.taken)} of {total} UDP ports on {survey.address}"
    fix = f"choose a range that nobody uses; `ss -lunp` shows who has port {survey.taken[0]}"
    judged = warning if survey.free else failed
    return judged(CHECK, first, setting="rtc.ports", fix=fix)


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
    own = address if address not in _EVERYWHERE else ("::1" if ":" in address else "127.0.0.1")
    try:
        receiver = _open(address, port)
    except OSError:
        return True  # a call has taken it meanwhile
    try:
        with receiver, _open(address, 0) as sender:
            receiver.settimeout(ANSWER_SECONDS)
            sender.sendto(PROBE, (own, port))
            return receiver.recv(len(PROBE)) == PROBE
    except OSError:
        return False
