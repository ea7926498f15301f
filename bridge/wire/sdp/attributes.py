"""Attributes and formats of an audio line, which mean the same in every kind of description (RFC 8866 §6, RFC 3551)."""

import re
from dataclasses import dataclass
from typing import Final

from bridge.audio.codec.codec import CODECS, Codec
from bridge.errors import SdpError
from bridge.wire.sdp.lines import Media, Section

AUDIO_LEVEL: Final = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
_OPPOSITES: Final = {
    "sendrecv": "sendrecv",
    "recvonly": "sendonly",
    "sendonly": "recvonly",
    "inactive": "inactive",
}

_RTPMAP: Final = re.compile(r"([0-9]{1,3}) +([^/ ]+)/([0-9]{1,6})(?:/([0-9]{1,2}))?")
_MILLISECONDS: Final = re.compile(r"([0-9]{1,4})(?:\.[0-9]+)?")
# Identifiers of the one-byte form (RFC 8285 §4.2), from a peer that may send it.
_EXTENSION: Final = re.compile(r"([1-9]|1[0-4])(?:/send(?:only|recv))? +([^ ]+)(?: .*)?")
_TRACK: Final = re.compile(r"[0-9]{1,10} msid:[^ ]+ ([^ ]+)")
_SSRC: Final = re.compile(r"([0-9]{1,10})(?: .*)?")

_MAX_PAYLOAD_TYPE: Final = 127
_RTCP_PAYLOAD_TYPES: Final = range(64, 96)  # conflict with RTCP on the same port, RFC 5761 §4

_EVENT_RATES: Final = (8_000, 48_000)
_CODECS: Final = {(one.name.lower(), one.clock_rate, one.channels): one for one in CODECS}
_STATIC: Final = {
    str(codec.payload_type): kind
    for kind, codec in _CODECS.items()
    if codec.payload_type is not None
}


@dataclass(frozen=True, slots=True)
class Format:
    """A codec of an audio line."""

    codec: Codec
    payload_type: int
    parameters: dict[str, str]
    """Names in lower case; "" is the value of a parameter without one."""


def read_formats(media: Media) -> list[Format]:
    """Return the codecs of a line that are spoken here, in its order; raises SdpError as `read_codecs`."""
    return [
        Format(_CODECS[kind], number, read_parameters(media, number))
        for number, kind in read_codecs(media).items()
        if kind in _CODECS
    ]


def read_events(media: Media, *codecs: Codec) -> dict[int, int]:
    """Return the payload types of telephone events (RFC 4733) with their clock rates; raises SdpError as `read_codecs`.

    Only those at the rates of the codecs, if there are any.
    """
    found = {
        number: rate
        for number, (name, rate, _) in read_codecs(media).items()
        if name == "telephone-event" and rate in _EVENT_RATES
    }
    rates = {codec.clock_rate for codec in codecs}
    same = {number: rate for number, rate in found.items() if rate in rates}
    return same or found


def read_codecs(media: Media) -> dict[int, tuple[str, int, int]]:
    """Map payload types to name (in lower case), clock rate and channels, in order of preference.

    Static payload types need no `a=rtpmap`.

    Raises:
        SdpError: An `a=rtpmap` is malformed.
    """
    known: dict[str, tuple[str, int, int]] = {}
    for attribute in media.all("rtpmap"):
        match = _RTPMAP.fullmatch(attribute.value)
        if match is None:
            raise SdpError("a=rtpmap is malformed", line=attribute.line)
        known.setdefault(match[1], (match[2].lower(), int(match[3]), int(match[4] or 1)))
    kinds = {**_STATIC, **known}
    return {
        int(number): kinds[number]
        for number in media.formats
        if number in kinds
        and int(number) <= _MAX_PAYLOAD_TYPE
        and int(number) not in _RTCP_PAYLOAD_TYPES
    }


def read_audio_level(media: Media) -> int | None:
    """Return the identifier of the audio-level extension (RFC 6464); None if it is not offered."""
    for attribute in media.all("extmap"):
        match = _EXTENSION.fullmatch(attribute.value)
        if match is not None and match[2] == AUDIO_LEVEL:
            return int(match[1])
    return None


def read_parameters(media: Media, payload_type: int) -> dict[str, str]:
    """Return the parameters of a payload type: names in lower case, "" where there is no value."""
    for attribute in media.all("fmtp"):
        number, _, text = attribute.value.partition(" ")
        if number == str(payload_type):
            pairs = (part.partition("=") for part in text.split(";") if part.strip())
            return {name.strip().lower(): value.strip() for name, _, value in pairs}
    return {}


def read_direction(media: Media, session: Section) -> str:
    """Return the direction: the line's, else the session's, else sendrecv."""
    for level in (media, session):
        for attribute in level.attributes:
            if attribute.name in _OPPOSITES:
                return attribute.name
    return "sendrecv"


def opposite(direction: str) -> str:
    """Return a direction from the other side's point of view, which answers an offered one (RFC 3264 §6.1)."""
    return _OPPOSITES[direction]


def read_ssrc(media: Media) -> int | None:
    """Return the first SSRC; raises SdpError if it is malformed."""
    attribute = media.first("ssrc")
    if attribute is None:
        return None
    match = _SSRC.fullmatch(attribute.value)
    if match is None or int(match[1]) >= 1 << 32:
        raise SdpError("a=ssrc is malformed", line=attribute.line)
    return int(match[1])


def count_tracks(media: Media) -> int:
    """Count the tracks that its sources belong to (`a=ssrc` with `msid`); Plan B has several a line."""
    matches = (_TRACK.match(attribute.value) for attribute in media.all("ssrc"))
    return len({match[1] for match in matches if match})


def read_milliseconds(media: Media, name: str) -> int | None:
    """Return `ptime` or `maxptime` in whole milliseconds; raises SdpError if it is malformed."""
    attribute = media.first(name)
    if attribute is None:
        return None
    match = _MILLISECONDS.fullmatch(attribute.value)
    if match is None:
        raise SdpError(f"a={name} is malformed", line=attribute.line)
    return int(match[1])
