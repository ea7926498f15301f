"""What records calls, out of the settings."""

from pathlib import Path

from aiohttp import web

from bridge.api.keys import DATABASE, EVENTS, LINES, MANAGER, METRICS
from bridge.media.archive import Archive, Rules
from bridge.media.room import Room
from bridge.net.storage import Account, Bucket
from bridge.node.recording import RecordingRules, Recordings
from bridge.settings import Settings


def recordings(application: web.Application, settings: Settings) -> Recordings:
    """Make what records calls."""
    data, wanted, s3 = Path(settings.data.dir), settings.recording, settings.recording.s3
    lines, events = application[LINES], application[EVENTS]
    archive = Archive(
        application[DATABASE],
        data,
        Rules(wanted.kept_days, frozenset(wanted.ogg), stored=bool(s3.bucket)),
        node=events.node,
        nodes=events.nodes,
    )
    rules = RecordingRules(
        root=Path(settings.media.root) if settings.media.root else data / "files",
        room=Room(data, int(wanted.least_free_mb * 1_000_000)),
        automatic=lambda line: lines.config(line).record,
        redirect=s3.redirect,
    )
    account = Account(s3.bucket, s3.region, s3.endpoint, s3.access_key, s3.secret_key)
    return Recordings(
        application[MANAGER],
        archive,
        rules,
        store=Bucket(account) if s3.bucket else None,
        publish=events.publish,
        observer=application[METRICS].recordings,
    )
