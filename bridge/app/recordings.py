"""What records calls, out of the settings."""

from functools import partial
from pathlib import Path

from bridge.app.foundation import Foundation
from bridge.app.lines import only_line
from bridge.http.object_store import Account, Bucket
from bridge.media.asset_cache import AssetCache
from bridge.media.assets import AssetQuota, Assets
from bridge.media.decoding.decoders import Decoders
from bridge.media.disk_space import DiskSpace
from bridge.media.folder import MediaFolder
from bridge.media.machine_files import MachineFiles
from bridge.media.recording.archive import Archive, RetentionRules, owner_of
from bridge.media.share import NODES, Share
from bridge.node.calls.announcement import Announcement, beep
from bridge.node.calls.playback import Playbacks
from bridge.node.recording.recordings import Recordings
from bridge.node.recording.rules import RecordingRules
from bridge.settings.model import S3
from bridge.stores.nodes import Members

CONSENT_FILE = "consent.wav"
"""The beep, below the data folder."""


def build_recordings(base: Foundation, playbacks: Playbacks) -> Recordings:
    """Return the service that records calls."""
    settings = base.settings
    data, wanted, s3 = Path(settings.data.dir), settings.recording, settings.recording.s3
    lines, members = base.lines, base.members
    archive = Archive(
        base.database,
        data,
        RetentionRules(
            wanted.kept_days,
            frozenset(wanted.ogg),
            stored=bool(s3.bucket),
            live=s3.live,
            shared=bool(settings.data.url),
        ),
        share_of(members),
        elsewhere=machine_files(base),
    )
    sound = _consent(wanted.consent, settings.media_root, data)
    rules = RecordingRules(
        files=media_folder(base),
        disk_space=DiskSpace(data, int(wanted.least_free_mb * 1_000_000)),
        automatic=lambda line: lines.config(line).record,
        captures=wanted.wadial and not wanted.exclusive,
        redirect=s3.redirect,
        announcement=Announcement(playbacks, sound) if sound else None,
        packets=base.peers.opus if wanted.relayed == "opus" else None,
    )
    recordings = Recordings(
        base.manager,
        archive,
        rules,
        store=bucket_of(s3),
        metrics=base.metrics.recordings,
    )
    members.follow_lost(lambda _: recordings.recovery.wake())
    return recordings


def build_assets(base: Foundation, decoders: Decoders) -> Assets:
    """Return the sounds that lines keep, and copy them to the store."""
    settings, limits, data = base.settings, base.settings.limits, Path(base.settings.data.dir)
    assets = Assets(
        base.database,
        data / "assets",
        decoders,
        AssetQuota(limits.assets_per_line, round(limits.assets_mb_per_line * 1e6)),
        cache=AssetCache(
            data / "asset_copies",
            machine_files(base),
            store=bucket_of(settings.recording.s3),
            count=base.metrics.assets.fetched,
        ),
        share=share_of(base.members),
    )
    base.background.spawn(assets.run(), name="assets")
    return assets


def bucket_of(s3: S3) -> Bucket | None:
    """Return the store for files; None if none is set."""
    account = Account(s3.bucket, s3.region, s3.endpoint, s3.access_key, s3.secret_key)
    return Bucket(account) if s3.bucket else None


def share_of(members: Members) -> Share:
    """Return what of the shared tables is this process's to work on.

    A node whose lease has run out, but that nobody has declared dead, may still be recording.
    """

    def living() -> list[tuple[int, str]]:
        known = (members.find(node) for node in range(NODES))
        return [(one.node, one.machine) for one in known if one is not None]

    return Share(members.own.machine, members.own.node, living)


def machine_files(base: Foundation) -> MachineFiles:
    """Return what reads files of other machines."""
    siblings = base.directory.siblings if base.directory else None
    return MachineFiles(share_of(base.members), siblings)


def media_folder(base: Foundation) -> MediaFolder:
    """Return what finds files in the media folder."""
    owner = partial(owner_of, base.database, Path(base.settings.data.dir))
    return MediaFolder(base.settings.media_root, owner=owner, only_line=only_line(base.settings))


def _consent(wanted: str, root: Path, data: Path) -> Path | None:
    """Return the file of what all hear before a recording begins."""
    if wanted == "none":
        return None
    if wanted == "beep":
        path = data / CONSENT_FILE
        path.write_bytes(beep())
        return path
    return root / wanted
