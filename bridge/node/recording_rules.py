"""What may be recorded, where, and which recording of a call is its last."""

from collections.abc import Callable
from dataclasses import dataclass

from bridge.call.model import CallId, LineName
from bridge.media.archive import Archive, Recording
from bridge.media.disk_space import DiskSpace
from bridge.media.folder import MediaFolder
from bridge.node.announcement import Announcement


@dataclass(frozen=True, slots=True)
class RecordingRules:
    """What may be recorded, and where."""

    files: MediaFolder
    """Has the folders that paths chosen by callers lie in."""
    room: DiskSpace
    """What the disk has left; recordings stop before it is full."""
    automatic: Callable[[LineName], bool]
    """Whether a line's calls are recorded without being asked for."""
    captures: bool = False
    """Whether calls of a face that keeps what it carries are recorded without being asked for."""
    redirect: bool = False
    """Whether who follows a signed link is sent to the store."""
    announcement: Announcement | None = None
    """What all hear before anything is recorded."""


async def last_of_call(archive: Archive, line: LineName, call: CallId) -> list[Recording]:
    """Return the tracks of a call's last recording, which began together."""
    found = await archive.of_call(line, call)
    last = max((recording.started_at for recording in found), default="")
    return [track for track in found if track.started_at == last]
