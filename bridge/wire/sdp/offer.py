"""The SDP dialect of WhatsApp's media servers: offers, answers, and answers to offers.

One audio line with everything in it: Opus as 111, DTMF as 126 at 8 kHz, packets of 20 ms, one SSRC,
all candidates, a sha-256 fingerprint, and nothing else (RFC 3264, RFC 9429).
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from bridge.wire.sdp.attributes import opposite
from bridge.wire.sdp.description import (
    MAX_AVERAGE_BITRATE,
    LocalAudio,
    RemoteAudio,
    default_address,
    parse_offer,
    transport_lines,
    write_description,
)
from bridge.wire.sdp.lines import split_description
from bridge.wire.sdp.transport import write_candidate
from bridge.wire.sdp.unused import reject_line

MID: Final = "audio"
"""Of the audio line in our offer."""

_DIGITS_RATE: Final = 8_000
_DIGITS: Final = {126: _DIGITS_RATE}
_OPUS_PARAMETERS: Final = (
    f"maxaveragebitrate={MAX_AVERAGE_BITRATE};maxplaybackrate=16000;minptime=20;"
    "sprop-maxcapturerate=16000;useinbandfec=1"
)

EXPECTED: Final = RemoteAudio(
    index=0,
    mid=MID,
    direction="inactive",
    ufrag="",
    pwd="",
    fingerprint="",
    setup="passive",
    opus_payload_type=111,
    opus_parameters={},
    telephone_events=_DIGITS,
    ptime=20,
    maxptime=20,
    protocol="UDP/TLS/RTP/SAVPF",
)
"""Stands for the peer before it has answered our offer; nothing may be sent to it."""


def write_offer(local: LocalAudio, *, direction: str = "sendrecv") -> str:
    """Write an offer of one audio line; `local.setup` is normally `actpass`."""
    return _write(local, _audio_line(EXPECTED, local, direction), bundled=MID)


def parse_answer(text: str) -> RemoteAudio:
    """Parse the answer to `write_offer`'s offer.

    An answer must choose its DTLS role; `actpass` or none is taken as `passive` (RFC 4145 §4), so
    that we start the handshake. WhatsApp accepts DTMF as 126 even if its answer omits it.

    Raises:
        SdpError: The audio line was rejected or is unusable.
    """
    audio = parse_plain_offer(text)
    description = split_description(text)
    levels = (description.session, *description.media)
    active = audio.setup == "active" and any(level.has("setup") for level in levels)
    return replace(
        audio,
        setup="active" if active else "passive",
        telephone_events=audio.telephone_events or _DIGITS,
    )


def parse_plain_offer(text: str) -> RemoteAudio:
    """Parse an offer as `parse_offer`, but with telephone events at 8 kHz only."""
    audio = parse_offer(text)
    digits = {kind: rate for kind, rate in audio.telephone_events.items() if rate == _DIGITS_RATE}
    return replace(audio, telephone_events=digits)


def write_plain_answer(remote: RemoteAudio, local: LocalAudio) -> str:
    """Answer an offer: accept its audio line and reject all others."""
    accepted = remote.lines[remote.index]
    lines: list[str] = []
    for line in remote.lines:
        if line is accepted:
            lines.extend(_audio_line(remote, local, opposite(remote.direction)))
        else:
            lines.extend(reject_line(line, transport_lines(local)))
    return _write(local, lines, bundled=accepted.mid if accepted.bundled else "")


def _write(local: LocalAudio, media: Iterable[str], *, bundled: str) -> str:
    bundle = (bundled,) if bundled else ()
    return write_description(local, media, bundle=bundle, streams=f" WMS {local.cname}")


def _audio_line(remote: RemoteAudio, local: LocalAudio, direction: str) -> Iterator[str]:
    port, connection = default_address(local)
    opus, digits = remote.opus_payload_type, remote.telephone_events
    yield f"m=audio {port} {remote.protocol} {' '.join(map(str, (opus, *digits)))}"
    yield connection
    for candidate in local.candidates:
        yield f"a=candidate:{write_candidate(candidate)}"
    yield from transport_lines(local)
    if remote.mid:
        yield f"a=mid:{remote.mid}"
    yield f"a={direction}"
    yield f"a=msid:{local.cname} audio"
    yield "a=rtcp-mux"
    yield f"a=rtpmap:{opus} opus/48000/2"
    yield f"a=fmtp:{opus} {_OPUS_PARAMETERS}"
    for payload_type, rate in digits.items():
        yield f"a=rtpmap:{payload_type} telephone-event/{rate}"
    yield "a=maxptime:20"
    yield "a=ptime:20"
    yield f"a=ssrc:{local.ssrc} cname:{local.cname}"
