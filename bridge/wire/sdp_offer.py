"""The SDP dialect of WhatsApp's media servers: offers, answers, and answers to offers.

One audio line with everything in it: Opus as 111, DTMF as 126 at 8 kHz, packets of 20 ms, one SSRC,
all candidates, a sha-256 fingerprint, and nothing else (RFC 3264, RFC 9429).
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from bridge.wire.sdp import (
    MAX_AVERAGE_BITRATE,
    LocalAudio,
    RemoteAudio,
    answer_direction,
    parse_offer,
    transport_lines,
)
from bridge.wire.sdp_lines import split_description
from bridge.wire.sdp_transport import write_candidate
from bridge.wire.sdp_unused import reject_line

MID: Final = "audio"
"""Of the audio line in our offer."""

_OPUS: Final = 111
_DIGITS_RATE: Final = 8_000
_DIGITS: Final = {126: _DIGITS_RATE}
_PROTOCOL: Final = "UDP/TLS/RTP/SAVPF"
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
    ice_lite=False,
    candidates=(),
    candidates_ignored=0,
    fingerprint="",
    setup="passive",
    opus_payload_type=_OPUS,
    opus_parameters={},
    telephone_events=_DIGITS,
    ssrc=None,
    ptime=20,
    maxptime=20,
    protocol=_PROTOCOL,
    reduced_size_rtcp=False,
    lines=(),
)
"""Stands for the peer before it has answered our offer; nothing may be sent to it."""


def write_offer(local: LocalAudio) -> str:
    """Write an offer of one sendrecv audio line; `local.setup` is normally `actpass`."""
    return _write(
        [
            *_head(local, bundled=MID),
            *_audio_line(
                local,
                protocol=_PROTOCOL,
                mid=MID,
                direction="sendrecv",
                opus=_OPUS,
                digits=_DIGITS,
            ),
        ]
    )


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
    lines = [*_head(local, bundled=accepted.mid if accepted.bundled else "")]
    for index, line in enumerate(remote.lines):
        if index != remote.index:
            lines.extend(reject_line(line, transport_lines(local)))
            continue
        lines.extend(
            _audio_line(
                local,
                protocol=remote.protocol,
                mid=remote.mid,
                direction=answer_direction(remote.direction),
                opus=remote.opus_payload_type,
                digits=remote.telephone_events,
            )
        )
    return _write(lines)


def _write(lines: list[str]) -> str:
    return "\r\n".join(lines) + "\r\n"


def _head(local: LocalAudio, *, bundled: str) -> Iterator[str]:
    yield "v=0"
    yield f"o=- {local.session_id} {local.session_version} IN IP4 127.0.0.1"
    yield "s=-"
    yield "t=0 0"
    if bundled:
        yield f"a=group:BUNDLE {bundled}"
    yield f"a=msid-semantic: WMS {local.cname}"


def _audio_line(
    local: LocalAudio,
    *,
    protocol: str,
    mid: str,
    direction: str,
    opus: int,
    digits: dict[int, int],
) -> Iterator[str]:
    port, host = 9, "0.0.0.0"  # noqa: S104 - stands for "no address" (RFC 9429 §5.3.1)
    if local.candidates:
        port, host = local.candidates[0].port, local.candidates[0].host
    yield f"m=audio {port} {protocol} {' '.join(map(str, (opus, *digits)))}"
    yield f"c=IN {'IP6' if ':' in host else 'IP4'} {host}"
    for candidate in local.candidates:
        yield f"a=candidate:{write_candidate(candidate)}"
    yield from transport_lines(local)
    if mid:
        yield f"a=mid:{mid}"
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
