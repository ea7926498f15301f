"""What is kept of calls, out of the settings: recordings, transcripts, voicemail."""

from functools import partial
from pathlib import Path

from bridge.api.server.services import Media, Records
from bridge.app.calls import Core
from bridge.app.foundation import Foundation
from bridge.app.lines import demonstrations_of, meta_lines, only_line
from bridge.call.model import LineName
from bridge.call.transcript import Transcribe
from bridge.call.voicemail import VoicemailRules
from bridge.cluster.membership import Membership
from bridge.http.object_store import Bucket
from bridge.media.disk_space import DiskSpace
from bridge.media.folder import MediaFolder
from bridge.media.machine_files import MachineFiles
from bridge.media.recording.archive import Archive, owner_of
from bridge.media.voicemails import VoicemailStore
from bridge.node.calls.agent import Agents
from bridge.node.calls.announcement import Announcement, beep
from bridge.node.calls.playback import Playbacks
from bridge.node.recording.recordings import Recordings
from bridge.node.recording.rules import RecordingRules
from bridge.node.transcripts.events import TranscriptEvents
from bridge.node.transcripts.meta_media import MetaMedia
from bridge.node.transcripts.transcription import TranscriptionJobs
from bridge.node.transcripts.transcripts import TranscriptionRules, Transcripts, recognizers
from bridge.node.voicemail.calls import VoicemailCalls
from bridge.node.voicemail.greetings import Greeting, Greetings
from bridge.node.voicemail.voicemails import Voicemails, VoicemailTranscripts
from bridge.settings.line import Voicemail
from bridge.settings.model import MAX_NODES, S3, Settings
from bridge.stores.share import Share

BEEP_FILE = "consent.wav"
"""The beep, below the data folder."""


def build_records(
    base: Foundation, core: Core, playbacks: Playbacks
) -> tuple[Records, TranscriptionJobs]:
    """Return what is kept of calls, and what transcribes their recordings."""
    recordings = build_recordings(base, core, playbacks)
    events = TranscriptEvents(core.manager, base.database, base.metrics.transcripts)
    transcripts, jobs = build_transcripts(base, core, recordings, events)
    meta_media = MetaMedia(
        meta_lines(base.settings, core.lines.cloud, base.http),
        recordings,
        events,
        database=base.database,
        due=core.lines.cloud.media_due,
        count=base.metrics.recordings.meta_file,
    )
    voicemails = build_voicemails(base, core, recordings)
    return Records(core.history, meta_media, recordings, transcripts, voicemails), jobs


def build_recordings(base: Foundation, core: Core, playbacks: Playbacks) -> Recordings:
    """Return the service that records calls."""
    settings = base.settings
    data, wanted = Path(settings.data.dir), settings.recording
    archive = Archive(
        base.database,
        data,
        wanted,
        share_of(base.members),
        shared=bool(settings.data.url),
        elsewhere=machine_files(base),
    )
    sound = _announcement(wanted.announcement, settings.media_root, data)
    rules = RecordingRules(
        wanted,
        files=media_folder(base),
        disk_space=DiskSpace(data, int(wanted.min_free_mb * 1_000_000)),
        automatic=lambda line: core.lines.lines.config(line).record,
        opus=core.plane.peers.opus,
        announcement=Announcement(playbacks, sound) if sound else None,
    )
    return Recordings(
        core.manager,
        archive,
        rules,
        store=bucket_of(wanted.s3),
        metrics=base.metrics.recordings,
    )


def bucket_of(s3: S3) -> Bucket | None:
    """Return the store for files; None if none is set."""
    return Bucket(s3) if s3.bucket else None


def share_of(members: Membership) -> Share:
    """Return what of the shared tables is this process's to work on.

    A node whose lease has run out, but that nobody has declared dead, may still be recording.
    """

    def living() -> list[tuple[int, str]]:
        known = (members.find(node) for node in range(MAX_NODES))
        return [(one.node, one.machine) for one in known if one is not None]

    return Share(members.own.machine, members.own.node, living)


def machine_files(base: Foundation) -> MachineFiles:
    """Return what reads files of other machines."""
    return MachineFiles(share_of(base.members), base.siblings)


def media_folder(base: Foundation) -> MediaFolder:
    """Return what finds files in the media folder."""
    owner = partial(owner_of, base.database, Path(base.settings.data.dir))
    return MediaFolder(base.settings.media_root, owner=owner, only_line=only_line(base.settings))


def _announcement(wanted: str, root: Path, data: Path) -> Path | None:
    """Return the file of what all hear before a recording begins."""
    if wanted == "none":
        return None
    if wanted == "beep":
        path = data / BEEP_FILE
        path.write_bytes(beep())
        return path
    return root / wanted


def build_transcripts(
    base: Foundation, core: Core, recordings: Recordings, events: TranscriptEvents
) -> tuple[Transcripts, TranscriptionJobs]:
    """Return the service that transcribes calls, and what transcribes their recordings."""
    settings, metrics = base.settings, base.metrics.transcripts
    own = {name: line.agent or settings.agent for name, line in settings.lines.items()}
    modes = {name: Transcribe(line.transcribe) for name, line in settings.lines.items()}
    rules = TranscriptionRules(
        settings.transcription,
        recognizers(
            base.http,
            core.lines.lines,
            settings_of=lambda line: own.get(line, settings.agent),
            demos=demonstrations_of(settings).keys(),
        ),
        automatic=lambda line: modes.get(line, Transcribe.OFF),
    )
    transcripts = Transcripts(
        core.manager, recordings, base.database, events, rules=rules, metrics=metrics
    )
    jobs = TranscriptionJobs(
        recordings, base.database, events, due=transcripts.due, rules=rules, metrics=metrics
    )
    return transcripts, jobs


def build_voicemails(base: Foundation, core: Core, recordings: Recordings) -> Voicemails:
    """Return the messages that callers left."""
    return Voicemails(
        core.manager, VoicemailStore(base.database), recordings, metrics=base.metrics.voicemails
    )


def build_voicemail_calls(
    settings: Settings, media: Media, records: Records, agents: Agents
) -> VoicemailCalls:
    """Return the service that sends callers to voicemail."""
    wanted = _settings_of_lines(settings)
    return VoicemailCalls(
        records.voicemails,
        records.recordings,
        media.playbacks,
        greetings=_greetings(settings, media, agents),
        rules_of=lambda line: _rules(wanted.get(line, Voicemail())),
    )


def build_voicemail_transcripts(settings: Settings, records: Records) -> VoicemailTranscripts:
    """Return what has messages transcribed, on the lines that want that."""
    wanted = {line for line, one in _settings_of_lines(settings).items() if one.transcribe}
    return VoicemailTranscripts(records.voicemails, records.transcripts, wanted=wanted.__contains__)


def _greetings(settings: Settings, media: Media, agents: Agents) -> Greetings:
    return Greetings(
        {
            line: Greeting(one.greeting, one.greeting_text)
            for line, one in _settings_of_lines(settings).items()
        },
        assets=media.assets,
        sounds=media.sounds,
        speak=agents.speak,
    )


def _settings_of_lines(settings: Settings) -> dict[LineName, Voicemail]:
    return {LineName(name): line.voicemail for name, line in settings.lines.items()}


def _rules(wanted: Voicemail) -> VoicemailRules:
    return VoicemailRules(
        wanted.max_seconds,
        wanted.silence_seconds,
        wanted.min_seconds,
        takes_rejected=wanted.rejected,
    )
