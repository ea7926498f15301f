"""What records calls, out of the settings."""

from functools import partial
from pathlib import Path

from bridge.app.foundation import Foundation
from bridge.errors import SettingsError
from bridge.media.archive import Archive, RetentionRules, owner_of
from bridge.media.disk_space import DiskSpace
from bridge.media.folder import MediaFolder
from bridge.net.storage import Account, Bucket
from bridge.node.announcement import Announcement, beep
from bridge.node.playback import Playbacks
from bridge.node.recording import Recordings
from bridge.node.recording_rules import RecordingRules
from bridge.settings.model import Settings

CONSENT_FILE = "consent.wav"
"""The beep, below the data folder."""


def build_recordings(base: Foundation, playbacks: Playbacks) -> Recordings:
    """Return the service that records calls."""
    settings = base.settings
    data, wanted, s3 = Path(settings.data.dir), settings.recording, settings.recording.s3
    lines, events = base.lines, base.events
    archive = Archive(
        base.database,
        data,
        RetentionRules(wanted.kept_days, frozenset(wanted.ogg), stored=bool(s3.bucket)),
        node=events.node,
        nodes=events.nodes,
    )
    sound = _consent(wanted.consent, root_of(settings), data)
    rules = RecordingRules(
        files=media_folder(base),
        disk_space=DiskSpace(data, int(wanted.least_free_mb * 1_000_000)),
        automatic=lambda line: lines.config(line).record,
        captures=wanted.wadial and not wanted.exclusive,
        redirect=s3.redirect,
        announcement=Announcement(base.manager, playbacks, sound) if sound else None,
    )
    account = Account(s3.bucket, s3.region, s3.endpoint, s3.access_key, s3.secret_key)
    return Recordings(
        base.manager,
        archive,
        rules,
        store=Bucket(account) if s3.bucket else None,
        metrics=base.metrics.recordings,
    )


def root_of(settings: Settings) -> Path:
    """Return the media folder."""
    return Path(settings.media.root or Path(settings.data.dir) / "files")


def media_folder(base: Foundation) -> MediaFolder:
    """Return what finds files in the media folder."""
    owner = partial(owner_of, base.database, Path(base.settings.data.dir))
    return MediaFolder(root_of(base.settings), owner=owner)


def _consent(wanted: str, root: Path, data: Path) -> Path | None:
    """Find what all hear before a recording begins.

    Raises:
        SettingsError: there is no such file.
    """
    if wanted == "none":
        return None
    if wanted == "beep":
        path = data / CONSENT_FILE
        path.write_bytes(beep())
        return path
    path = root / wanted
    if not path.is_file():
        raise SettingsError(
            f'recording.consent: expected "none", "beep" or a sound file; there is none at {path}'
        )
    return path
