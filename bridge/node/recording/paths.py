"""The paths of recordings whose callers chose a file."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from bridge.call.model import CallId, LineName
from bridge.errors import InvalidState
from bridge.media.folder import MediaFolder
from bridge.media.recording.archive import Archive
from bridge.media.recording.rows import Recording

CALLS: Final = "calls"
"""The folder for recordings whose callers want a file but do not name it."""
FIELD: Final = "Path"


class RecordingPaths:
    """The chosen paths of this node's recordings."""

    def __init__(self, files: MediaFolder, archive: Archive) -> None:
        self._files = files
        self._archive = archive
        self._requested: dict[CallId, str] = {}
        """By call, while it is recorded."""

    def reserve(self, line: LineName, call: CallId, path: str) -> Path:
        """Create an empty file for a call's recording (`MediaFolder.reserve`); "" chooses a name.

        Raises:
            InvalidRequest: the path is invalid, or leads out of the line's media folder.
        """
        reserved = self._files.reserve(line, path or f"{CALLS}/{call}.wav", FIELD)
        if path:
            self._requested[call] = self._files.relative(line, path, FIELD)
        return reserved

    def forget(self, call: CallId) -> None:
        """Forget the path of a call that is no longer recorded."""
        self._requested.pop(call, None)

    def check_same(
        self, line: LineName, call: CallId, recordings: Iterable[Recording], path: str
    ) -> None:
        """Check that a path is that of the current recording.

        Raises:
            InvalidRequest: it is invalid.
            InvalidState: it is another.
        """
        now = [self.media_key(recording) for recording in recordings]
        same = {self._requested.get(call)}
        same |= {self._files.relative(line, name, FIELD) for name in now}
        if self._files.relative(line, path, FIELD) not in same:
            raise InvalidState(
                f"the call is recorded already, to {now[0]}; stop that recording before another begins"
            )

    def media_key(self, recording: Recording) -> str:
        """Return a recording's path as its line sees it."""
        if recording.is_ours:
            return recording.key
        return self._files.name_of(self._archive.path(recording).resolve())
