"""What a recording is: one track of a call or the mix of both sides, and the key of its file.

A key is a path below the storage folder, and the key of the object in the store. Its suffix says the format; a file
at a path that a caller chose is a WAV, and stays there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final, NamedTuple, Self

import msgspec

from bridge.audio.file.formats import CONTENT_TYPES, RECORDED, WAV
from bridge.call.model import CallId, LineName
from bridge.call.routing import Subscription

KINDS: Final = {
    "inbound": Subscription.INBOUND,
    "outbound": Subscription.OUTBOUND,
    "mixed": Subscription.BOTH,
}
"""The kinds of tracks, and what the recorder of each hears."""
PREFIX: Final = "recordings/"
"""Of all keys that the bridge chooses."""
LIVE: Final = PREFIX + "live/"
"""Of the keys of parts that are uploaded while a call is recorded."""
META: Final = "meta"
"""The source of what Meta has recorded or transcribed."""
CONVERTING: Final = PREFIX + "converting"
"""The folder of files that are needed only while another is made of them."""


@dataclass(frozen=True, slots=True)
class RecordingRequest:
    """How a call is to be recorded."""

    kinds: Sequence[str] = tuple(KINDS)
    """Of `KINDS`."""
    path: str | None = None
    """Of the inbound track in the line's media folder, "" to choose a name; None for the archive. A number is
    added to a name that is taken."""
    copy_format: str = WAV
    """Of `CONTENT_TYPES`, the format that tracks are also wanted in."""
    asked_for: bool = True
    """Whether a request asks for it, not the line's settings."""
    key: str | None = None
    """Of the file at `path`, once it is reserved."""
    file_format: str = WAV
    """The format that tracks are written in, of `RECORDED`; a mix of packets is made of both sides."""


ALL_TRACKS: Final = RecordingRequest()
"""What each side says, and both mixed."""


@dataclass(frozen=True, slots=True)
class Written:
    """What is in the file of a recording; in those of both sides, if it is a mix of packets."""

    size_bytes: int = 0
    """0 if there is no file, or nothing in it."""
    seconds: float = 0.0

    @classmethod
    def sum(cls, parts: Iterable[Self]) -> Self:
        """Return what is in several files that began together."""
        found = list(parts)
        seconds = max((one.seconds for one in found), default=0.0)
        return cls(sum(one.size_bytes for one in found), seconds)


class Gap(NamedTuple):
    """A stretch of a recording in which nobody was heard, because the call passed to another process."""

    at_ms: int
    """Since the recording began."""
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Recording:
    """One recorded track of a call, or the mix."""

    recording_id: str
    call_id: CallId
    line: LineName
    kind: str
    """Of `KINDS`."""
    key: str
    status: str
    """`recording`, `completed` or `failed`."""
    started_at: str
    ended_at: str | None
    seconds: float
    size_bytes: int
    expires_at: str
    machine: str = ""
    """Where it is recorded; that which has assembled it from its parts."""
    live: int = 0
    """1 if its parts are uploaded while it is recorded."""
    format: str = WAV
    """The requested format, of `CONTENT_TYPES`; a WAV can be had too."""
    gaps_json: str = ""
    """The gaps; empty for none."""
    source: str = ""
    """`META`; empty for a recording of the bridge's."""

    @property
    def is_ours(self) -> bool:
        """Whether the bridge chose its path; only such recordings are copied."""
        return self.key.startswith(PREFIX)

    @property
    def file_format(self) -> str:
        """The format it is recorded in, of `RECORDED`."""
        suffix = self.key.rpartition(".")[2]
        return suffix if self.is_ours and suffix in RECORDED else WAV

    @property
    def content_type(self) -> str:
        """Of the file that it is recorded in."""
        return CONTENT_TYPES[self.file_format]

    @property
    def mixed_from(self) -> tuple[str, ...]:
        """The keys of both sides, of which a mix of packets is made after the call."""
        if self.kind != "mixed" or self.file_format == WAV or self.source:
            return ()
        return tuple(self.key_as(f"{side}.{self.file_format}") for side in ("inbound", "outbound"))

    @property
    def duration_ms(self) -> int:
        """Duration of the audio."""
        return round(self.seconds * 1000)

    @property
    def gaps(self) -> list[Gap]:
        """The gaps, in their order."""
        return msgspec.json.decode(self.gaps_json or "[]", type=list[Gap])

    def with_gap(self, gap: Gap) -> "Recording":
        """Return the recording with another gap."""
        return replace(self, gaps_json=msgspec.json.encode([*self.gaps, gap]).decode())

    def key_as(self, file_format: str) -> str:
        """Return the key of a copy in another format."""
        return f"{self.key.rpartition('.')[0]}.{file_format}"


def key_stem(day: date, call_id: str, kind: str) -> str:
    """Return the key of a track without its suffix."""
    name = call_id if kind == "inbound" else f"{call_id}.{kind}"
    return f"{PREFIX}{day:%Y/%m/%d}/{name}"


def parts_of(recording_id: str) -> str:
    """Return the prefix of the keys of a recording's parts."""
    return f"{LIVE}{recording_id}/"
