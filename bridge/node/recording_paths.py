"""Where recordings lie whose callers want a file of their own, and how their lines are told of it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from bridge.call.model import CallId, LineName
from bridge.errors import InvalidState
from bridge.media.archive import Archive, Recording
from bridge.media.folder import MediaFolder, relative

CALLS: Final = "calls"
"""The folder for recordings whose callers want a file but name none."""
FIELD: Final = "Path"


class RecordingPaths:
    """The paths of this node's recordings."""

    def __init__(self, files: MediaFolder, archive: Archive) -> None:
        self._files = files
        self._archive = archive
        self._asked: dict[CallId, str] = {}
        """Of calls that are recorded to a path, the one that was asked for."""

    def reserve(self, line: LineName, call: CallId, path: str) -> Path:
        """Make an empty file for a call's recording (`MediaFolder.reserve`); "" has its name chosen.

        Raises:
            InvalidRequest: the path is none, or leads out of the line's media folder.
        """
        reserved = self._files.reserve(line, path or f"{CALLS}/{call}.wav", FIELD)
        if path:
            self._asked[call] = relative(path, FIELD)
        return reserved

    def forget(self, call: CallId) -> None:
        """Forget what was asked for: the call is recorded no more."""
        self._asked.pop(call, None)

    def check_same(self, call: CallId, recordings: Iterable[Recording], path: str) -> None:
        """See whether a path is that of the recording that goes on.

        Raises:
            InvalidRequest: it is none.
            InvalidState: it is another.
        """
        now = [self.media_key(recording) for recording in recordings]
        same = {self._asked.get(call), *(relative(name, FIELD) for name in now)}
        if relative(path, FIELD) not in same:
            raise InvalidState(
                f"the call is recorded already, to {now[0]}; stop that recording before another begins"
            )

    def media_key(self, recording: Recording) -> str:
        """Return where a recording's file lies, as its line is told."""
        if recording.is_ours:
            return recording.key
        return self._files.name_of(recording.line, self._archive.path(recording).resolve())
