"""What is recorded and where."""

from collections.abc import Callable
from dataclasses import dataclass

from bridge.call.model import CallId, LineName
from bridge.media.archive import Archive, Recording
from bridge.media.disk_space import DiskSpace
from bridge.media.folder import MediaFolder
from bridge.node.announcement import Announcement


@dataclass(frozen=True, slots=True)
class RecordingRules:
    """The operator's and the lines' settings of recordings."""

    files: MediaFolder
    """The folders for paths chosen by callers."""
    disk_space: DiskSpace
    """The free disk space; recordings stop before it is used up."""
    automatic: Callable[[LineName], bool]
    """Whether all calls of a line are recorded."""
    captures: bool = False
    """Whether calls are recorded that a face asks `AutomaticRecording.capture` for."""
    redirect: bool = False
    """Whether signed links redirect to the store."""
    announcement: Announcement | None = None
    """What everybody hears before a recording begins."""


async def last_of_call(archive: Archive, line: LineName, call: CallId) -> list[Recording]:
    """Return the tracks of a call's last recording."""
    found = await archive.of_call(line, call)
    last = max((recording.started_at for recording in found), default="")
    return [track for track in found if track.started_at == last]
