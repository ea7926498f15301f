"""Peers that send on one audio line and receive on another, among spare ones, or do only one of both: LiveKit's client SDKs.

Their first offer has several lines to receive on and none to send on; that comes with a later offer. Unused lines are
answered `inactive`, in the group: refused with port 0 their transceivers stop, and an offer that such a client has made
meanwhile, as it does directly after the first, no longer fits.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from bridge.errors import SdpError
from bridge.wire.sdp.attributes import read_direction
from bridge.wire.sdp.description import (
    LocalAudio,
    RemoteAudio,
    accept_audio,
    candidate_lines,
    default_address,
    problem_of,
    read_audio,
    transport_lines,
    write_description,
)
from bridge.wire.sdp.lines import split_description
from bridge.wire.sdp.unused import OfferedLine, keep_line, read_line, reject_line


def parse_split_offer(text: str) -> RemoteAudio:
    """Parse the first audio line that the peer receives on, and note the last one that it sends on.

    With neither it is the first one, on which it has sent before.

    Raises:
        SdpError: There is no audio line, or it is unusable.
    """
    description = split_description(text)
    usable = [
        (index, read_direction(media, description.session))
        for index, media in enumerate(description.media)
        if media.kind == "audio" and problem_of(media) is None
    ]
    receives = [index for index, way in usable if way in ("recvonly", "sendrecv")]
    sends = [index for index, way in usable if way in ("sendonly", "sendrecv")]
    if not usable:
        raise SdpError("there is no audio line with Opus to send or receive on")
    index = receives[0] if receives else sends[-1] if sends else usable[0][0]
    sends_on = sends[-1] if sends else None
    audio = read_audio(description, index)
    if sends_on is None or sends_on == index:
        return audio
    return replace(audio, direction="sendrecv", sends_on=sends_on)


def prefer_line(offer: str, number: int) -> str:
    """Return an offer in which the audio lines that the peer receives on before this one are inactive, or before the last one.

    For SDKs that know by the line whom they hear: another party comes on another line.
    """
    lines = offer.split("\r\n")
    begins = [at for at, line in enumerate(lines) if line.startswith("m=")] + [len(lines)]
    found = [
        at
        for begin, end in pairwise(begins)
        if lines[begin].startswith("m=audio ")
        for at in range(begin, end)
        if lines[at] == "a=recvonly"
    ]
    for at in found[: min(number, len(found) - 1)]:
        lines[at] = "a=inactive"
    return "\r\n".join(lines)


def refuse_without_audio(text: str) -> str | None:
    """Return the answer to an offer without any audio line, which rejects all lines; None if there is one.

    Raises:
        SdpError: The offer is malformed.
    """
    description = split_description(text)
    if any(media.kind == "audio" for media in description.media):
        return None
    lines = ["v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=-", "t=0 0"]
    for media in description.media:
        lines += reject_line(read_line(media, description.bundle), ())
    return "\r\n".join(lines) + "\r\n"


def write_split_answer(remote: RemoteAudio, local: LocalAudio) -> str:
    """Answer an offer: accept the line or the two lines, keep the others that are bundled, reject the rest."""
    bundle: list[str] = []
    lines: list[str] = []
    for index, line in enumerate(remote.lines):
        usable = bool(line.port and line.rtpmap and line.bundled)
        accepted = index in (remote.index, remote.sends_on)
        lines.extend(_write_line(remote, local, index, line, usable=usable))
        if line.bundled and (accepted or usable):
            bundle.append(line.mid)
    return write_description(local, lines, bundle=bundle, streams="WMS *")


def name_track(answer: str, stream: str, track: str) -> tuple[str, str]:
    """Return an answer of ours with other names for what we send, and the mid of its line ("" if we send nothing)."""
    found, mid = "", ""
    lines = answer.split("\r\n")
    for number, line in enumerate(lines):
        if line.startswith("a=mid:"):
            mid = line.removeprefix("a=mid:")
        elif line.startswith("a=msid:"):
            found, lines[number] = mid, f"a=msid:{stream} {track}"
        elif line.startswith("a=ssrc:") and " msid:" in line:
            lines[number] = f"{line.partition(' ')[0]} msid:{stream} {track}"
    return "\r\n".join(lines), found


def _write_line(
    remote: RemoteAudio, local: LocalAudio, index: int, line: OfferedLine, *, usable: bool
) -> Iterator[str]:
    transport = transport_lines(local)
    if index == remote.index:
        direction = remote.direction if remote.sends_on is None else "recvonly"
        yield from accept_audio(replace(remote, direction=direction), local)
    elif index == remote.sends_on:
        other = replace(remote, index=index, mid=line.mid, direction="sendonly")
        # Our one source belongs to the other line.
        yield from (text for text in accept_audio(other, local) if not text.startswith("a=ssrc:"))
    elif usable:
        yield from keep_line(line, transport, default_address(local), candidate_lines(local))
    else:
        yield from reject_line(line, transport)
