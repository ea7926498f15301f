"""ICE and DTLS attributes of SDP (RFC 8839, RFC 8122, RFC 8842)."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from bridge.errors import SdpError
from bridge.wire.sdp.lines import Section

_MAX_CANDIDATES: Final = 32

# RFC 8839 allows letters, digits, "+" and "/"; WhatsApp's passwords end in "=". A colon is the
# separator in the user name of connectivity checks.
_UFRAG: Final = re.compile(r"[!-9;-~]{4,256}")
_PWD: Final = re.compile(r"[!-9;-~]{22,256}")
_FINGERPRINT: Final = re.compile(r"[0-9A-F]{2}(?::[0-9A-F]{2}){31}")
_CANDIDATE: Final = re.compile(
    r"(?P<foundation>[!-~]{1,32}) +(?P<component>[0-9]{1,3}) +(?P<transport>[A-Za-z]+) +"
    r"(?P<priority>[0-9]{1,10}) +(?P<host>[0-9A-Fa-f.:]{2,45}) +(?P<port>[0-9]{1,5}) +"
    r"typ +(?P<type>host|srflx|prflx|relay)(?: .*)?"
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An ICE candidate."""

    foundation: str
    component: int
    transport: str
    """Lower case."""
    priority: int
    host: str
    """An IP literal."""
    port: int
    type: str
    """host, srflx, prflx or relay."""


class Transport(NamedTuple):
    """The ICE and DTLS values of a peer."""

    ufrag: str
    pwd: str
    candidates: tuple[Candidate, ...]
    candidates_ignored: int
    fingerprint: str
    setup: str


def read_transport(levels: Sequence[Section], *, line: int) -> Transport:
    """Return the values of one media line, number `line`.

    `levels` begins with its section; those it inherits from follow.

    Raises:
        SdpError: A value is missing or malformed.
    """
    candidates, ignored = _read_candidates(levels)
    return Transport(
        ufrag=_read_credential(levels, "ice-ufrag", pattern=_UFRAG, line=line),
        pwd=_read_credential(levels, "ice-pwd", pattern=_PWD, line=line),
        candidates=candidates,
        candidates_ignored=ignored,
        fingerprint=_read_fingerprint(levels, line=line),
        setup=_read_setup(levels),
    )


def write_candidate(candidate: Candidate) -> str:
    """Return the value of `a=candidate`."""
    text = (
        f"{candidate.foundation} {candidate.component} {candidate.transport} {candidate.priority} "
        f"{candidate.host} {candidate.port} typ {candidate.type}"
    )
    if candidate.type == "host":
        return text
    # The related address is for diagnosis only and reveals private addresses, so it is blanked as
    # RFC 8839 §5.1 allows.
    blank = "::" if ":" in candidate.host else "0.0.0.0"  # noqa: S104 - not bound
    return f"{text} raddr {blank} rport 9"


def _level_with(levels: Sequence[Section], name: str) -> Section | None:
    return next((level for level in levels if level.has(name)), None)


def _read_credential(
    levels: Sequence[Section], name: str, *, pattern: re.Pattern[str], line: int
) -> str:
    level = _level_with(levels, name)
    attribute = level.first(name) if level else None
    if attribute is None:
        raise SdpError(f"the audio line has no a={name}", line=line)
    if not pattern.fullmatch(attribute.value):
        raise SdpError(f"a={name} has an invalid length or characters", line=attribute.line)
    return attribute.value


def _read_fingerprint(levels: Sequence[Section], *, line: int) -> str:
    level = _level_with(levels, "fingerprint")
    if level is None:
        raise SdpError("the audio line has no a=fingerprint: DTLS-SRTP is required", line=line)
    for attribute in level.all("fingerprint"):
        algorithm, _, value = attribute.value.partition(" ")
        if algorithm.lower() != "sha-256":
            continue
        value = value.strip().upper()
        if not _FINGERPRINT.fullmatch(value):
            raise SdpError("the sha-256 fingerprint is malformed", line=attribute.line)
        return value
    raise SdpError("the audio line has no sha-256 fingerprint", line=line)


def _read_setup(levels: Sequence[Section]) -> str:
    level = _level_with(levels, "setup")
    attribute = level.first("setup") if level else None
    if attribute is None:
        return "active"  # the default of an offer, RFC 4145 §4
    if attribute.value not in ("actpass", "active", "passive"):
        raise SdpError("a=setup must be actpass, active or passive", line=attribute.line)
    return attribute.value


def _read_candidates(levels: Sequence[Section]) -> tuple[tuple[Candidate, ...], int]:
    level = _level_with(levels, "candidate")
    usable: list[Candidate] = []
    ignored = 0
    for attribute in level.all("candidate") if level else ():
        candidate = _parse_candidate(attribute.value)
        if candidate is None or len(usable) == _MAX_CANDIDATES:
            ignored += 1
        else:
            usable.append(candidate)
    return tuple(usable), ignored


def _parse_candidate(value: str) -> Candidate | None:
    """Parse a candidate; None if it is unusable.

    Unusable are all but UDP and component 1, host names (mDNS ones included) and unreachable
    addresses. A malformed candidate is not an error.
    """
    match = _CANDIDATE.fullmatch(value)
    if match is None or match["transport"].lower() != "udp" or int(match["component"]) != 1:
        return None
    try:
        address = ipaddress.ip_address(match["host"])
    except ValueError:
        return None
    port, priority = int(match["port"]), int(match["priority"])
    if not 0 < port <= 65_535 or priority >= 1 << 32 or _is_unreachable(address):
        return None
    return Candidate(match["foundation"], 1, "udp", priority, str(address), port, match["type"])


def _is_unreachable(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    # An IPv4-mapped address would bypass filters of IPv4 networks (forbidden by RFC 8445 §5.1.1.1).
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return True
    return address.is_unspecified or address.is_multicast
