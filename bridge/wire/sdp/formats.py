"""The formats of a plain audio line: codecs, telephone events and their parameters (RFC 3551, RFC 4733, RFC 8866 §6.6)."""

from dataclasses import dataclass
from typing import Final

from bridge.audio.codec.codec import CODECS, Codec
from bridge.wire.sdp.attributes import read_codecs, read_parameters
from bridge.wire.sdp.lines import Media

_EVENT_RATES: Final = (8_000, 48_000)
_CODECS: Final = {(one.name.lower(), one.clock_rate, one.channels): one for one in CODECS}
_STATIC: Final = {
    str(one.payload_type): (one.name.lower(), one.clock_rate, one.channels)
    for one in CODECS
    if one.payload_type is not None
}


@dataclass(frozen=True, slots=True)
class Format:
    """A codec of an audio line."""

    codec: Codec
    payload_type: int
    parameters: dict[str, str]
    """Names in lower case; "" is the value of a parameter without one."""


def read_formats(media: Media) -> list[Format]:
    """Return the codecs of a line that are spoken here, in its order.

    Static payload types need no `a=rtpmap`.

    Raises:
        SdpError: An `a=rtpmap` is malformed.
    """
    return [
        Format(_CODECS[kind], number, read_parameters(media, number))
        for number, kind in read_codecs(media, _STATIC).items()
        if kind in _CODECS
    ]


def read_events(media: Media, *codecs: Codec) -> dict[int, int]:
    """Return the payload types of telephone events with their clock rates; only those of the codecs if there are any.

    Raises:
        SdpError: An `a=rtpmap` is malformed.
    """
    found = {
        number: rate
        for number, (name, rate, _) in read_codecs(media, _STATIC).items()
        if name == "telephone-event" and rate in _EVENT_RATES
    }
    rates = {codec.clock_rate for codec in codecs}
    same = {number: rate for number, rate in found.items() if rate in rates}
    return same or found
