"""Rejecting the media lines of an offer that the bridge does not use.

Port 0 should suffice (RFC 3264 §6), but webrtcbin needs a transport in each line, Pion the codec of
each format, werift the SCTP port, and libwebrtc rtcp-mux in lines that are not bundled.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bridge.wire.sdp.lines import Media

_RTPMAP: Final = re.compile(r"[0-9]{1,3} +[!-.0-~]+/[0-9]{1,9}(?:/[0-9]{1,3})?")
_SCTP_PORT: Final = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class OfferedLine:
    """The parts of an offered media line that an answer repeats."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    mid: str
    """"" without one."""
    bundled: bool
    """Whether it is in the BUNDLE group."""
    tagged: bool = False
    """Whether it is first in that group, so that its transport is the group's (RFC 9143 §7)."""
    rtpmap: str = ""
    """Of its first format; "" without one."""
    sctp_port: str = ""
    """Of a line for data channels (RFC 8841); "" without one."""


def read_line(media: Media, bundle: Sequence[str]) -> OfferedLine:
    """Return what an answer repeats of a line; malformed attributes are left out."""
    maps = (each.value for each in media.all("rtpmap") if _RTPMAP.fullmatch(each.value))
    port = media.first("sctp-port")
    return OfferedLine(
        kind=media.kind,
        port=media.port,
        protocol=media.protocol,
        formats=media.formats,
        mid=media.mid,
        bundled=bool(media.mid) and media.mid in bundle,
        tagged=bool(media.mid) and media.mid == next(iter(bundle), ""),
        rtpmap=next((text for text in maps if text.split()[0] == media.formats[0]), ""),
        sctp_port=port.value if port and _SCTP_PORT.fullmatch(port.value) else "",
    )


def reject_line(line: OfferedLine, transport: Sequence[str]) -> Iterator[str]:
    """Write a rejected media line; `transport` is that of the accepted line."""
    yield f"m={line.kind} 0 {line.protocol} {line.formats[0]}"
    yield "c=IN IP4 0.0.0.0"
    yield from _inactive(line, transport)
    if line.sctp_port:
        yield f"a=sctp-port:{line.sctp_port}"


def carries_transport(line: OfferedLine, accepted: OfferedLine) -> bool:
    """Return whether an unused line must be kept because it owns the bundle's transport.

    RFC 9143 §7.3.2 lets the accepted line take over, but webrtcbin does not follow, and libwebrtc
    rejects such an answer under `max-bundle`.
    """
    usable = bool(line.port and line.rtpmap)
    return line.tagged and usable and accepted.bundled and line is not accepted


def keep_line(
    line: OfferedLine, transport: Sequence[str], address: tuple[int, str], candidates: Sequence[str]
) -> Iterator[str]:
    """Write a media line that is kept, inactive, for its transport.

    `transport` and `address`, the port and the connection line, are those of the accepted line.
    """
    port, connection = address
    yield f"m={line.kind} {port} {line.protocol} {line.formats[0]}"
    yield connection
    yield from _inactive(line, transport)
    yield from candidates


def _inactive(line: OfferedLine, transport: Sequence[str]) -> Iterator[str]:
    if line.mid:
        yield f"a=mid:{line.mid}"
    yield "a=inactive"
    yield from transport
    if "RTP/" in line.protocol:
        yield "a=rtcp-mux"
    if line.rtpmap:
        yield f"a=rtpmap:{line.rtpmap}"
