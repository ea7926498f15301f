"""SDP of one audio line: parsing an offer and answering it (RFC 8866, RFC 9429).

Unusable text raises `SdpError` and no other exception.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from bridge.audio.codec.codec import OPUS
from bridge.errors import SdpError
from bridge.wire.sdp.attributes import (
    AUDIO_LEVEL,
    count_tracks,
    opposite,
    read_audio_level,
    read_codecs,
    read_direction,
    read_events,
    read_milliseconds,
    read_parameters,
    read_ssrc,
)
from bridge.wire.sdp.lines import Description, Media, Section, split_description
from bridge.wire.sdp.negotiated_audio import NegotiatedAudio
from bridge.wire.sdp.transport import Candidate, read_transport, write_candidate
from bridge.wire.sdp.unused import OfferedLine, carries_transport, keep_line, read_line, reject_line

_OPUS: Final = ("opus", 48_000, 2)
_RED: Final = ("red", 48_000, 2)

MAX_AVERAGE_BITRATE: Final = 40_000
"""`maxaveragebitrate` of our answers in bits per second (RFC 7587 §6.1)."""

OPUS_PARAMETERS: Final = (
    "minptime=10;useinbandfec=1;usedtx=0;stereo=0;sprop-stereo=0;"
    f"maxplaybackrate=16000;sprop-maxcapturerate=16000;maxaveragebitrate={MAX_AVERAGE_BITRATE}"
)
"""What we ask of a sender of Opus (RFC 7587 §6.1)."""

# RFC 9429 §5.1.2 treats all of these alike; the fingerprint implies DTLS.
_PAYLOAD_TYPE: Final = re.compile("[0-9]{1,3}")
_PROTOCOL: Final = re.compile(r"(?:(?:UDP/TLS|TCP/DTLS|TCP/TLS)/)?RTP/S?AVPF?")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteAudio:
    """The audio line of a peer, with what it inherits from other levels."""

    index: int
    """Index of the media line, from 0."""
    mid: str
    """"" if missing."""
    direction: str
    """sendrecv, sendonly, recvonly or inactive, from the peer's point of view."""
    ufrag: str
    pwd: str
    ice_lite: bool = False
    candidates: tuple[Candidate, ...] = ()
    """UDP, component 1, IP literals, at most 32."""
    candidates_ignored: int = 0
    fingerprint: str
    """SHA-256, upper-case hexadecimal with colons."""
    setup: str
    """actpass, active or passive."""
    opus_payload_type: int
    opus_parameters: dict[str, str]
    """Names in lower case; "" is the value of a parameter without one."""
    telephone_events: dict[int, int]
    """Payload type to clock rate (8000 or 48000), in the peer's order."""
    ssrc: int | None = None
    ptime: int | None = None
    """Milliseconds, as `maxptime`."""
    maxptime: int | None = None
    protocol: str
    reduced_size_rtcp: bool = False
    lines: tuple[OfferedLine, ...] = ()
    """All media lines, in order."""
    audio_level_id: int | None = None
    """Identifier of the audio-level header extension (RFC 6464), 1 to 14."""
    red_payload_type: int | None = None
    """Of redundant Opus (RFC 2198), if offered and wanted."""
    sends_on: int | None = None
    """Index of the media line that it sends on, where that is another than `index`, which it then only receives on."""

    @property
    def audio(self) -> NegotiatedAudio:
        """What an RTP session needs of it."""
        return NegotiatedAudio(
            codec=OPUS,
            payload_type=self.opus_payload_type,
            direction=self.direction,
            parameters=self.opus_parameters,
            telephone_events=self.telephone_events,
            ptime=self.ptime,
            maxptime=self.maxptime,
            red_payload_type=self.red_payload_type,
            audio_level_id=self.audio_level_id,
            refused_types=frozenset(
                int(kind)
                for line in (*self.lines[: self.index], *self.lines[self.index + 1 :])
                for kind in line.formats
                if _PAYLOAD_TYPE.fullmatch(kind)
            ),
        )


@dataclass(frozen=True, slots=True)
class LocalAudio:
    """Our side of one audio line."""

    ufrag: str
    pwd: str
    fingerprint: str
    """SHA-256, upper-case hexadecimal with colons."""
    candidates: tuple[Candidate, ...]
    """The default one first."""
    ssrc: int
    cname: str
    session_id: int
    session_version: int
    """Incremented with every description of the session."""
    setup: Literal["active", "passive", "actpass"]


def parse_offer(text: str, *, red: bool = False) -> RemoteAudio:
    """Parse the audio line to accept: the first one with Opus that is not rejected.

    Redundant audio is accepted only if `red` is true.

    Raises:
        SdpError: There is none, or it is unusable.
    """
    description = split_description(text)
    index = _choose_line(description)
    audio = read_audio(description, index)
    return replace(audio, red_payload_type=_find_red(description.media[index])) if red else audio


def answer_setup(offered: str) -> Literal["active", "passive"]:
    """Return the DTLS role that answers an offered one, client if possible (RFC 5763 §5)."""
    return "passive" if offered == "active" else "active"


def write_answer(remote: RemoteAudio, local: LocalAudio) -> str:
    """Answer an offer: accept its audio line; reject the others or keep them for their transport."""
    accepted = remote.lines[remote.index]
    transport = transport_lines(local)
    bundle: list[str] = []
    lines: list[str] = []
    for line in remote.lines:
        kept = carries_transport(line, accepted)
        if line is accepted:
            lines.extend(accept_audio(remote, local))
        elif kept:
            lines.extend(keep_line(line, transport, default_address(local), candidate_lines(local)))
        else:
            lines.extend(reject_line(line, transport))
        if kept or (line is accepted and line.bundled):
            bundle.append(line.mid)
    return write_description(local, lines, bundle=bundle, streams="WMS *")


def write_description(
    local: LocalAudio, media: Iterable[str], *, bundle: Sequence[str], streams: str
) -> str:
    """Write a description of media lines.

    `bundle` has the mids of the BUNDLE group, `streams` is the value of `a=msid-semantic`.
    """
    lines = [
        "v=0",
        f"o=- {local.session_id} {local.session_version} IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        *([f"a=group:BUNDLE {' '.join(bundle)}"] if bundle else []),
        f"a=msid-semantic:{streams}",
        *media,
    ]
    return "\r\n".join(lines) + "\r\n"


def transport_lines(local: LocalAudio) -> tuple[str, ...]:
    """Return our ICE and DTLS attributes, except candidates."""
    return (
        f"a=ice-ufrag:{local.ufrag}",
        f"a=ice-pwd:{local.pwd}",
        f"a=fingerprint:sha-256 {local.fingerprint}",
        f"a=setup:{local.setup}",
    )


def _choose_line(description: Description) -> int:
    problem: tuple[str, int] | None = None
    for index, media in enumerate(description.media):
        if media.kind != "audio":
            continue
        reason = problem_of(media)
        if reason is None:
            return index
        problem = problem or (reason, media.line)
    if problem is None:
        raise SdpError("there is no audio line")
    raise SdpError(problem[0], line=problem[1])


def problem_of(media: Media) -> str | None:
    """Return why an audio line cannot be accepted; None if it can."""
    if media.port == 0 and not media.has("bundle-only"):
        return "the audio line is rejected (port 0)"
    if not _PROTOCOL.fullmatch(media.protocol):
        return "the audio line's protocol is not RTP over DTLS"
    if _find_opus(media) is None:
        return "the audio line does not offer Opus (opus/48000/2)"
    if (tracks := count_tracks(media)) > 1:
        return (
            f"the audio line has {tracks} tracks (Plan B): offer one track a line, as Unified Plan does "
            '(sdpSemantics "unified-plan", or a newer WebRTC library)'
        )
    return None


def read_audio(description: Description, index: int) -> RemoteAudio:
    """Read an audio line without a problem; raises SdpError if its transport is unusable."""
    media, session = description.media[index], description.session
    if not media.has("rtcp-mux"):
        raise SdpError("rtcp-mux is required: the audio line has no a=rtcp-mux", line=media.line)
    transport = read_transport(_transport_levels(description, media), line=media.line)
    opus = _find_opus(media)
    assert opus is not None  # chosen for having it
    return RemoteAudio(
        index=index,
        mid=media.mid,
        direction=read_direction(media, session),
        **transport._asdict(),
        ice_lite=session.has("ice-lite"),
        opus_payload_type=opus,
        opus_parameters=read_parameters(media, opus),
        telephone_events=read_events(media),
        ssrc=read_ssrc(media),
        ptime=read_milliseconds(media, "ptime"),
        maxptime=read_milliseconds(media, "maxptime"),
        protocol=media.protocol,
        reduced_size_rtcp=media.has("rtcp-rsize"),
        lines=tuple(read_line(line, description.bundle) for line in description.media),
        audio_level_id=read_audio_level(media),
    )


def _transport_levels(description: Description, media: Media) -> list[Section]:
    levels: list[Section] = [media, description.session]
    if media.mid not in description.bundle:
        return levels
    # Bundled lines may inherit the transport of the tagged line (RFC 9143 §7.1.3), but a line with
    # its own ICE credentials cannot use the candidates of another.
    ufrag = media.first("ice-ufrag")
    for tagged in description.media:
        other = tagged.first("ice-ufrag")
        shared = ufrag is None or (other is not None and other.value == ufrag.value)
        if tagged.mid == description.bundle[0] and shared:
            levels.append(tagged)
    return levels


def _find_opus(media: Media) -> int | None:
    return next((number for number, codec in read_codecs(media).items() if codec == _OPUS), None)


def _find_red(media: Media) -> int | None:
    """Return the payload type of RED whose blocks are all of the accepted Opus."""
    for number, codec in read_codecs(media).items():
        if codec == _RED:
            texts = (each.value.partition(" ") for each in media.all("fmtp"))
            blocks = {text.strip() for kind, _, text in texts if kind == str(number)}
            opus = str(_find_opus(media))
            if all(set(each.split("/")) == {opus} for each in blocks):
                return number
    return None


def accept_audio(remote: RemoteAudio, local: LocalAudio) -> Iterator[str]:
    """Write an accepted audio line."""
    opus, events = remote.opus_payload_type, remote.telephone_events
    direction = opposite(remote.direction)
    port, connection = default_address(local)
    # A browser sends RED only if it is the first format.
    red = () if remote.red_payload_type is None else (remote.red_payload_type,)
    yield f"m=audio {port} {remote.protocol} {' '.join(map(str, (*red, opus, *events)))}"
    yield connection
    if remote.mid:
        yield f"a=mid:{remote.mid}"
    yield f"a={direction}"
    yield from transport_lines(local)
    yield "a=rtcp-mux"
    if remote.reduced_size_rtcp:
        yield "a=rtcp-rsize"
    if remote.audio_level_id is not None:
        yield f"a=extmap:{remote.audio_level_id} {AUDIO_LEVEL}"
    if remote.red_payload_type is not None:
        yield f"a=rtpmap:{remote.red_payload_type} red/48000/2"
        yield f"a=fmtp:{remote.red_payload_type} {opus}/{opus}"
    yield f"a=rtpmap:{opus} opus/48000/2"
    yield f"a=fmtp:{opus} {OPUS_PARAMETERS}"
    for payload_type, rate in events.items():
        yield f"a=rtpmap:{payload_type} telephone-event/{rate}"
        yield f"a=fmtp:{payload_type} 0-15"
    yield "a=ptime:20"
    sends = direction in ("sendrecv", "sendonly")
    if sends:
        yield f"a=msid:{local.cname} audio"
    # Even if we send nothing: when an SSRC disappears and returns, libwebrtc plays the stream but no
    # longer delivers it to the track's sinks.
    yield f"a=ssrc:{local.ssrc} cname:{local.cname}"
    if sends:
        yield f"a=ssrc:{local.ssrc} msid:{local.cname} audio"
    yield from candidate_lines(local)


def candidate_lines(local: LocalAudio) -> list[str]:
    """Return all our candidates."""
    written = [f"a=candidate:{write_candidate(candidate)}" for candidate in local.candidates]
    return [*written, "a=end-of-candidates"]


def default_address(local: LocalAudio) -> tuple[int, str]:
    """Return the port and the connection line: the default candidate's."""
    port, host = 9, "0.0.0.0"  # noqa: S104 - stands for "no address" (RFC 9429 §5.3.1)
    if local.candidates:
        port, host = local.candidates[0].port, local.candidates[0].host
    return port, f"c=IN {'IP6' if ':' in host else 'IP4'} {host}"
