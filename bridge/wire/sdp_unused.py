"""Media lines of an offer that we do not use, and what stacks need in their answers all the same.

The port 0 says everything (RFC 3264 §6). Still webrtcbin wants a transport in each line, Pion the
codec of each format, werift the port of SCTP, and libwebrtc, where nothing is bundled, rtcp-mux.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bridge.wire.sdp_lines import Media

_RTPMAP: Final = re.compile(r"[0-9]{1,3} +[^ ]+")
_SCTP_PORT: Final = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class OfferedLine:
    """One media line of an offer, as far as the answer has to mirror it."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    mid: str
    """"" without one."""
    bundled: bool
    """Whether it is in the BUNDLE group."""
    tagged: bool = False
    """Whether it stands first in that group, so that its transport is the group's (RFC 9143 §7)."""
    rtpmap: str = ""
    """Of its first format; "" without one."""
    sctp_port: str = ""
    """Of a line for data channels (RFC 8841); "" without one."""


def read_line(media: Media, bundle: Sequence[str]) -> OfferedLine:
    """Read what our answer repeats; what is malformed is left out, since nobody depends on it.

    Args:
        media: The line.
        bundle: Mids of the BUNDLE group, in order.
    """
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
    """Write the lines that reject a media line.

    Args:
        line: As it was offered.
        transport: Our ICE and DTLS lines, those of the line that is accepted.
    """
    yield f"m={line.kind} 0 {line.protocol} {line.formats[0]}"
    yield "c=IN IP4 0.0.0.0"
    yield from _inactive(line, transport)
    if line.sctp_port:
        yield f"a=sctp-port:{line.sctp_port}"


def carries_transport(line: OfferedLine, accepted: OfferedLine) -> bool:
    """Report whether an unused line has to stay, because its transport is that of the accepted one.

    So it is for the first line of RTP in a bundle. By RFC 9143 §7.3.2 the accepted line could take
    over; webrtcbin does not follow, and libwebrtc refuses such an answer under `max-bundle`.
    """
    usable = bool(line.port and line.rtpmap)
    return line.tagged and usable and accepted.bundled and line is not accepted


def keep_line(
    line: OfferedLine, transport: Sequence[str], address: tuple[int, str], candidates: Sequence[str]
) -> Iterator[str]:
    """Write the lines that keep a media line for its transport alone, with nothing sent in it.

    Args:
        line: As it was offered.
        transport: As for `reject_line`.
        address: Port and connection line, both those of the line that is accepted.
        candidates: Our candidate lines.
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
