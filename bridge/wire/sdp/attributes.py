"""Attributes of an audio line that mean the same in every kind of description (RFC 8866 §6)."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from bridge.errors import SdpError
from bridge.wire.sdp.lines import Media, Section

AUDIO_LEVEL: Final = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
DIRECTIONS: Final = ("sendrecv", "recvonly", "sendonly", "inactive")

_RTPMAP: Final = re.compile(r"([0-9]{1,3}) +([^/ ]+)/([0-9]{1,6})(?:/([0-9]{1,2}))?")
_MILLISECONDS: Final = re.compile(r"([0-9]{1,4})(?:\.[0-9]+)?")
# Identifiers of the one-byte form (RFC 8285 §4.2), from a peer that may send it.
_EXTENSION: Final = re.compile(r"([1-9]|1[0-4])(?:/send(?:only|recv))? +([^ ]+)(?: .*)?")
_TRACK: Final = re.compile(r"[0-9]{1,10} msid:[^ ]+ ([^ ]+)")
_SSRC: Final = re.compile(r"([0-9]{1,10})(?: .*)?")

_MAX_PAYLOAD_TYPE: Final = 127
_RTCP_PAYLOAD_TYPES: Final = range(64, 96)  # conflict with RTCP on the same port, RFC 5761 §4


def read_codecs(
    media: Media, static: Mapping[str, tuple[str, int, int]] = MappingProxyType({})
) -> dict[int, tuple[str, int, int]]:
    """Map payload types to name (in lower case), clock rate and channels, in order of preference.

    `static` has the same of payload types that need no `a=rtpmap`.

    Raises:
        SdpError: An `a=rtpmap` is malformed.
    """
    known: dict[str, tuple[str, int, int]] = {}
    for attribute in media.all("rtpmap"):
        match = _RTPMAP.fullmatch(attribute.value)
        if match is None:
            raise SdpError("a=rtpmap is malformed", line=attribute.line)
        known.setdefault(match[1], (match[2].lower(), int(match[3]), int(match[4] or 1)))
    kinds = {**static, **known}
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
            if attribute.name in DIRECTIONS:
                return attribute.name
    return "sendrecv"


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
