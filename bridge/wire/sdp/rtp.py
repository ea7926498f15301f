"""SDP of one plain RTP audio line, as SIP trunks and telephones exchange it (RFC 3264, RFC 3551, RFC 8866).

`RTP/AVP` and `RTP/SAVP`, with or without feedback (`F`), keys by `a=crypto`, also where the protocol has DTLS in its name; no ICE, no DTLS. Unusable text raises
`SdpError` and no other exception.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from bridge.audio.codec.codec import OPUS, Codec
from bridge.errors import NoCommonCodec, SdpError
from bridge.wire.sdp.attributes import (
    Format,
    opposite,
    read_direction,
    read_events,
    read_formats,
    read_milliseconds,
)
from bridge.wire.sdp.crypto import Crypto, read_cryptos, write_cryptos
from bridge.wire.sdp.description import OPUS_PARAMETERS
from bridge.wire.sdp.lines import Description, Media, Section, split_description
from bridge.wire.sdp.negotiated_audio import NegotiatedAudio

Security: TypeAlias = Literal["off", "optional", "required"]
"""Whether media is encrypted: `optional` takes keys that are offered, also in `RTP/AVP` (RFC 8643)."""

EVENTS: Final[Mapping[int, int]] = {101: 8_000, 110: 48_000}
"""Payload types of telephone events in our offers, with their clock rates."""
OPUS_PAYLOAD_TYPE: Final = 111
"""Of Opus in our offers; the other codecs have static ones."""

_PROTOCOL: Final = re.compile(r"RTP/(S?)AVPF?|UDP/TLS/RTP/(S)AVPF?")
_CONNECTION: Final = re.compile(r"IN +IP[46] +([0-9A-Fa-f.:]{2,45})(?:/[0-9/]+)?")
_RTCP: Final = re.compile(r"([0-9]{1,5})(?: +(IN +IP[46] +[^ ]+))?")
_NO_REPORTS: Final = re.compile(r"R[RS]: *0+")
_FEEDBACK_INTERVAL: Final = re.compile(r"(?:\*|[0-9]{1,3}) +trr-int +([0-9]{1,6})")
_USUAL_RATE: Final = 8_000
"""Of telephone events."""
_SECOND: Final = 1000  # milliseconds
_MIN_PORT: Final = 1024
_MAX_PORT: Final = 65_535
_DIRECTIONS: Final = {
    (True, True): "sendrecv",
    (True, False): "sendonly",
    (False, True): "recvonly",
    (False, False): "inactive",
}
"""By whether one sends, and whether one receives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteRtp:
    """The audio line of a peer that is taken, and what was chosen of it."""

    audio: NegotiatedAudio
    host: str
    """An IP address; empty if the peer names none, as it wants nothing sent."""
    port: int
    rtcp: tuple[str, int] | None
    """Where its reports are received; None: where its audio is (RFC 5761)."""
    rare_reports: bool
    """Whether it wants fewer RTCP reports than one a second (RFC 3556, RFC 4585 §4.2)."""
    protocol: str
    crypto: Crypto | None
    """What it encrypts with; None for plain RTP."""
    index: int = 0
    """Of the media line, from 0."""
    lines: tuple[Media, ...] = ()
    """All media lines, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalRtp:
    """Our side of one audio line."""

    host: str
    port: int
    rtcp_port: int
    """The same as `port` if reports are received there."""
    session_id: int = 0
    session_version: int = 0
    """Incremented with every description of the session."""
    direction: str = "sendrecv"
    """What we are ready to do, from our point of view."""
    cryptos: tuple[Crypto, ...] = ()
    """In an answer the one that was chosen, with our key."""


def offered_type(codec: Codec) -> int:
    """Return the payload type of a codec in our offers."""
    return OPUS_PAYLOAD_TYPE if codec.payload_type is None else codec.payload_type


def read_offer(text: str, codecs: Sequence[Codec], security: Security) -> RemoteRtp:
    """Choose the first audio line that can be taken, and of its codecs the one that comes first in ours.

    Raises:
        NoCommonCodec: None of its codecs is among ours.
        SdpError: No line can be taken.
    """
    description = split_description(text)
    problem: SdpError | None = None
    for index, media in enumerate(description.media):
        if media.kind != "audio":
            continue
        try:
            crypto = _offered_crypto(media, security)
            formats = sorted(_common(media, codecs), key=lambda one: codecs.index(one.codec))
            return _read_line(description, index, formats[:1], crypto)
        except SdpError as error:
            problem = problem or error
    raise problem or SdpError("there is no audio line")


def read_answer(
    text: str, codecs: Sequence[Codec], cryptos: Sequence[Crypto], security: Security
) -> RemoteRtp:
    """Read the answer to an offer with these codecs and keys; the first codec in it is sent, all are received.

    Raises:
        NoCommonCodec: It has none of our codecs.
        SdpError: The line was refused, or cannot be used.
    """
    description = split_description(text)
    if not description.media or description.media[0].kind != "audio":
        raise SdpError("the answer has no audio line")
    media = description.media[0]
    crypto = _answered_crypto(media, cryptos, security)
    return _read_line(description, 0, _common(media, codecs), crypto)


def agree(remote: RemoteRtp, direction: str) -> RemoteRtp:
    """Return a peer's offer with the direction that our answer leaves it; `direction` is what we are ready to do."""
    theirs, ours = _flags(remote.audio.direction), _flags(direction)
    left = _DIRECTIONS[theirs[0] and ours[1], theirs[1] and ours[0]]
    return replace(remote, audio=replace(remote.audio, direction=left))


def write_offer(
    local: LocalRtp,
    formats: Mapping[Codec, int],
    events: Mapping[int, int],
    protocol: str = "RTP/AVP",
) -> str:
    """Write an offer.

    Args:
        local: Our side.
        formats: Codecs and their payload types, the preferred one first.
        events: Payload types of telephone events, with their clock rates; those of a codec's rate are offered, and those
            of 8 kHz, which some peers take beside Opus alone.
        protocol: Such as "RTP/SAVP".
    """
    rates = {_USUAL_RATE, *(codec.clock_rate for codec in formats)}
    free = {number: rate for number, rate in events.items() if number not in formats.values()}
    fitting = {number: rate for number, rate in free.items() if rate in rates}
    line = _write_line(local, protocol, formats, fitting or free, local.direction)
    return _write(local, [*line, *_rtcp_lines(local, muxed=True)])


def write_answer(remote: RemoteRtp, local: LocalRtp) -> str:
    """Answer an offer that `agree` was applied to: its line is taken, all others are refused, in their order."""
    lines: list[str] = []
    audio = remote.audio
    for index, media in enumerate(remote.lines):
        if index == remote.index:
            formats = {audio.codec: audio.payload_type}
            direction = opposite(audio.direction)
            lines.extend(
                _write_line(local, remote.protocol, formats, audio.telephone_events, direction)
            )
            lines.extend(_rtcp_lines(local, muxed=remote.rtcp is None))
        else:
            lines.append(f"m={media.kind} 0 {media.protocol} {' '.join(media.formats)}")
    return _write(local, lines)


def _flags(direction: str) -> tuple[bool, bool]:
    """Return whether one sends, and whether one receives."""
    return direction in ("sendrecv", "sendonly"), direction in ("sendrecv", "recvonly")


def _common(media: Media, codecs: Sequence[Codec]) -> list[Format]:
    found = [one for one in read_formats(media) if one.codec in codecs]
    if not found:
        raise NoCommonCodec("the audio line has none of our codecs", line=media.line)
    return found


def _offered_crypto(media: Media, security: Security) -> Crypto | None:
    secure = _is_secure(media)
    if secure and security == "off":
        raise SdpError("the audio line asks for SRTP, which is switched off", line=media.line)
    usable = () if security == "off" else read_cryptos(media)
    if not usable and (secure or security == "required"):
        raise SdpError("the audio line has no a=crypto that can be used", line=media.line)
    return usable[0] if usable else None


def _answered_crypto(media: Media, cryptos: Sequence[Crypto], security: Security) -> Crypto | None:
    secure = _is_secure(media)
    offered = {(one.tag, one.suite) for one in cryptos}
    usable = [one for one in read_cryptos(media) if (one.tag, one.suite) in offered]
    if not usable and (secure or security == "required"):
        raise SdpError("the answer has no a=crypto of our offer", line=media.line)
    return usable[0] if usable else None


def _is_secure(media: Media) -> bool:
    if media.port == 0:
        raise SdpError("the audio line is refused (port 0)", line=media.line)
    match = _PROTOCOL.fullmatch(media.protocol)
    if match is None:
        raise SdpError("the audio line's protocol is not RTP/AVP or RTP/SAVP", line=media.line)
    return bool(match[1] or match[2])


def _read_line(
    description: Description, index: int, formats: Sequence[Format], crypto: Crypto | None
) -> RemoteRtp:
    """Read a line whose `formats`, the preferred one first, are in both descriptions."""
    media, session = description.media[index], description.session
    connection = media.field("c") or session.field("c")
    if connection is None:
        raise SdpError("the audio line has no c= line", line=media.line)
    host = _read_host(connection.value, connection.line)
    if host and media.port < _MIN_PORT:
        raise SdpError("the audio line's port is below 1024", line=media.line)
    chosen, *others = formats
    sends, receives = _flags(read_direction(media, session))
    audio = NegotiatedAudio(
        codec=chosen.codec,
        payload_type=chosen.payload_type,
        direction=_DIRECTIONS[sends, receives and bool(host)],
        parameters=chosen.parameters,
        telephone_events=read_events(media, *(one.codec for one in formats)),
        other_formats={one.payload_type: one.codec for one in others},
        ptime=read_milliseconds(media, "ptime") or None,
        maxptime=read_milliseconds(media, "maxptime") or None,
    )
    return RemoteRtp(
        audio=audio,
        host=host,
        port=media.port,
        rtcp=None if media.has("rtcp-mux") else _read_rtcp(media, host),
        rare_reports=any(_wants_rare_reports(level) for level in (media, session)),
        protocol=media.protocol,
        crypto=crypto,
        index=index,
        lines=description.media,
    )


def _read_host(text: str, line: int) -> str:
    """Return the address of a connection line; empty if it stands for none (RFC 3264 §8.4)."""
    match = _CONNECTION.fullmatch(text)
    try:
        address = ipaddress.ip_address(match[1] if match else "")
    except ValueError:
        raise SdpError("the connection line has no IP address", line=line) from None
    if address.is_multicast or str(address) == "255.255.255.255":
        raise SdpError("the connection line's address is not one host's", line=line)
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    return "" if address.is_unspecified else str(address)


def _read_rtcp(media: Media, host: str) -> tuple[str, int]:
    """Return where the peer's reports are received: the next port, or what it says (RFC 3605)."""
    attribute = media.first("rtcp")
    if attribute is None:
        return host, min(media.port + 1, _MAX_PORT)
    match = _RTCP.fullmatch(attribute.value)
    if match is None or not _MIN_PORT <= int(match[1]) <= _MAX_PORT:
        raise SdpError("a=rtcp is malformed", line=attribute.line)
    return _read_host(match[2], attribute.line) if match[2] else host, int(match[1])


def _wants_rare_reports(level: Section) -> bool:
    if any(one.name == "b" and _NO_REPORTS.fullmatch(one.value) for one in level.fields):
        return True
    intervals = (_FEEDBACK_INTERVAL.fullmatch(one.value) for one in level.all("rtcp-fb"))
    return any(match is not None and int(match[1]) > _SECOND for match in intervals)


def _write(local: LocalRtp, media: Sequence[str]) -> str:
    family = "IP6" if ":" in local.host else "IP4"
    lines = [
        "v=0",
        f"o=- {local.session_id} {local.session_version} IN {family} {local.host}",
        "s=-",
        f"c=IN {family} {local.host}",
        "t=0 0",
        *media,
    ]
    return "\r\n".join(lines) + "\r\n"


def _write_line(
    local: LocalRtp,
    protocol: str,
    formats: Mapping[Codec, int],
    events: Mapping[int, int],
    direction: str,
) -> Iterator[str]:
    numbers = " ".join(map(str, (*formats.values(), *events)))
    yield f"m=audio {local.port} {protocol} {numbers}"
    for codec, number in formats.items():
        channels = f"/{codec.channels}" if codec.channels > 1 else ""
        yield f"a=rtpmap:{number} {codec.name}/{codec.clock_rate}{channels}"
        if codec is OPUS:
            yield f"a=fmtp:{number} {OPUS_PARAMETERS}"
    for number, rate in events.items():
        yield f"a=rtpmap:{number} telephone-event/{rate}"
        yield f"a=fmtp:{number} 0-15"
    yield "a=ptime:20"
    yield f"a={direction}"
    yield from write_cryptos(local.cryptos)


def _rtcp_lines(local: LocalRtp, *, muxed: bool) -> list[str]:
    port = local.rtcp_port
    named = port != local.port + 1 and not (muxed and port == local.port)
    lines = [f"a=rtcp:{port}"] if named else []
    return [*lines, "a=rtcp-mux"] if muxed else lines
