"""Settings of recordings, of the store for those that are finished, and of transcripts."""

from typing import Literal

import msgspec

from bridge.errors import SettingsError
from bridge.settings.section import Number, Positive, PositiveCount, Secret, Section


class S3(Section, frozen=True):
    """An S3-compatible store for finished recordings.

    While it is unreachable, files wait below `data.dir`. The bridge owns the prefix `recordings/` of the
    bucket; set a lifecycle rule that ends incomplete uploads.
    """

    bucket: str = ""
    """An existing bucket. Empty: recordings stay on the disk."""
    endpoint: str = ""
    """URL of the service. Empty: Amazon's, by region."""
    region: str = "us-east-1"
    """Region of the bucket."""
    access_key: Secret = ""
    """Empty: found as Amazon's own tools find it (environment, role of the machine)."""
    secret_key: Secret = ""
    """The secret of `access_key`."""
    redirect: bool = False
    """Redirect signed links (Chirp's `fileUrl`) to the store, which clients must then be able to reach.
    Off: the bridge passes the file on."""
    live: bool = False
    """Also upload recordings while they go on, in parts of 5 s below `recordings/live/`. When a machine is
    lost, another assembles them; without it they wait on its disk. Parts are deleted once the file is stored.
    Recordings into files of callers' own paths have no parts."""


class Recording(Section, frozen=True):
    """Call recording."""

    kept_days: Number = 30.0
    """Recordings are deleted after this many days."""
    min_free_mb: Number = 500.0
    """With less free disk space than this, recordings stop and new ones are refused; calls go on."""
    announcement: str = "none"
    """What all parties hear before recording begins: `none`, `beep` (0.2 s, 1400 Hz), or a sound file
    (below `media.root` unless its path is absolute). The recording is silent until it has been played
    to its end; if it cannot be played, nothing is recorded. Check the law that applies to your calls."""
    exclusive: bool = False
    """A call is either recorded or streamed to a WebSocket, never both (409), as with ZuckZapGo."""
    wadial: bool = True
    """Record calls of WADial's routes (created, accepted, streamed or played into there) from their
    answer, as WADial documents. Has no effect with `exclusive`."""
    ogg: list[Literal["inbound", "outbound", "mixed"]] = msgspec.field(
        default_factory=lambda: ["mixed"]
    )
    """Tracks of which an Ogg/Opus copy is made beside the WAV after the call: any of `inbound`,
    `outbound`, `mixed`."""
    passthrough: Literal["wav", "opus"] = "wav"
    """How calls are recorded whose far party sends Opus that can be forwarded undecoded (`media.passthrough`). `wav`:
    their packets are decoded for it. `opus`: tracks are Ogg/Opus files of the packets themselves, at an eighth of the size
    and a fraction of the CPU; the mix is made after the call, a WAV when it is requested.
    Recordings into a `Path` are WAV in any case."""
    s3: S3 = msgspec.field(default_factory=S3)


class Transcription(Section, frozen=True):
    """Transcripts of calls, by the speech-to-text provider of each line (`callSttUrl`)."""

    concurrent: PositiveCount = 2
    """Recordings that each node transcribes at once, at most half of them of one line where there are more than
    one. A call that is transcribed live takes one request at a time besides."""
    phrase_seconds: Positive = 30.0
    """Longest phrase that is sent to the provider; a longer one is cut."""
    attempts: PositiveCount = 8
    """How often in a row a recording's provider may fail, with pauses from 10 s to an hour, before its transcript
    is given up."""
    queued_phrases: PositiveCount = 20
    """Phrases of a live call that may wait for the provider; beyond that the oldest are left out."""
    unfinished_per_line: PositiveCount = 1000
    """Transcripts of a line that are not finished; over it, 503."""


def check_recording(recording: Recording) -> None:
    """Refuse settings that exclude each other, naming the key (`SettingsError`)."""
    check_s3(recording.s3)
    if recording.passthrough == "opus" and recording.s3.live:
        raise SettingsError(
            'recording.passthrough: "opus" cannot be used with recording.s3.live, whose parts are WAV'
        )


def check_s3(s3: S3) -> None:
    """Refuse a store that lacks what it needs, naming the key (`SettingsError`)."""
    if s3.endpoint and not s3.endpoint.startswith(("https://", "http://")):
        raise SettingsError("recording.s3.endpoint: expected a URL with http or https")
    if bool(s3.access_key) != bool(s3.secret_key):
        raise SettingsError("recording.s3.access_key and secret_key: set both or neither")
    if not s3.bucket and (s3.endpoint or s3.access_key):
        raise SettingsError("recording.s3.bucket: needed with the other keys of recording.s3")
    if s3.live and not s3.bucket:
        raise SettingsError("recording.s3.live: needs recording.s3.bucket, where the parts go")
