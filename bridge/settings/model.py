"""Settings: a TOML file, then the environment (`environment`), into frozen records.

An unknown key or a wrong type stops the start and names the key. `app` and the processes (`serve`,
`supervisor`, `cli`) read these; other objects are passed the values they need.
`deploy/bridge.example.toml` lists them all.
"""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from bridge.errors import SettingsError
from bridge.settings.cluster import Cluster as Cluster
from bridge.settings.cluster import check_cluster
from bridge.settings.data import Data as Data
from bridge.settings.data import check_data
from bridge.settings.environment import place
from bridge.settings.http import Admin as Admin
from bridge.settings.http import Http as Http
from bridge.settings.http import Metrics as Metrics
from bridge.settings.http import Operator as Operator
from bridge.settings.http import check_http, check_keys
from bridge.settings.http import is_loopback as is_loopback
from bridge.settings.line import TEST_LINE, check_whatsapp
from bridge.settings.line import Agent as Agent
from bridge.settings.line import Line as Line
from bridge.settings.line import WhatsApp as WhatsApp
from bridge.settings.net import Net as Net
from bridge.settings.net import check_net
from bridge.settings.rtc import Rtc as Rtc
from bridge.settings.rtc import Turn as Turn
from bridge.settings.rtc import TurnServer as TurnServer
from bridge.settings.rtc import check_rtc, check_turn, check_urls
from bridge.settings.rtc import port_range as port_range
from bridge.settings.section import Count, Number, Positive, PositiveCount, Section
from bridge.settings.sip import LineSip as LineSip
from bridge.settings.sip import Sip as Sip
from bridge.settings.sip import check_line_sip, check_sip
from bridge.settings.stream import Stream as Stream
from bridge.settings.stream import check_stream
from bridge.settings.transcription import Transcription as Transcription
from bridge.settings.voicemail import Voicemail as Voicemail
from bridge.settings.voicemail import check_voicemail

CONFIG_VARIABLE = "BRIDGE_CONFIG"
Kind = TypeVar("Kind")

MAX_NODES = 256
"""A call id has one byte for its node."""


class Simulator(Section, frozen=True):
    """The simulated WhatsApp contacts."""

    ring_seconds: Number = 1.0
    """How long a simulated contact rings before it answers."""


class Limits(Section, frozen=True):
    """How much is accepted, and for how long."""

    calls: PositiveCount = 200
    """Concurrent calls; over it, 503 with `Retry-After`."""
    calls_per_line: Count = 0
    """Concurrent calls of one line. 0: the same as `calls`; where two or more lines are configured, the last
    fifth of `calls` is then reserved for lines that have no call."""
    streams_per_line: Count = 400
    """Concurrent streams to customers' WebSockets of one line, on each node; over it, 429. 0: no limit."""
    tests_per_line: PositiveCount = 10
    """Concurrent test calls (`POST /call/test`) of one line, on each node; over it, 429. They count as calls too."""
    requests_per_minute: Count = 0
    """Requests per key and minute; over it, 429 with `Retry-After`. 0: no limit."""
    ring_seconds: Positive = 60.0
    """How long a call rings before it ends as `no_answer`."""
    call_seconds: Positive = 14400.0
    """Maximum length of a call."""
    alone_seconds: Number = 60.0
    """A call whose last browser has left ends after this long, unless something has used it since: a
    playback, a stream, a socket, an agent, a requested recording, or any POST, PUT, PATCH or DELETE
    that names it. Long enough to reload a page or to change networks; the other party hears silence
    meanwhile. Calls that never had a browser are not ended this way."""
    overload_seconds: Number = 5.0
    """After this long of overload new calls are refused with 503. 0: never."""
    kept_seconds: Number = 3600.0
    """How long a node remembers an ended call for requests that would change it: they say that it has ended, and
    where its recording is. Its record stays for `calls.kept_days`."""
    connections: PositiveCount = 2048
    """Concurrent HTTP connections on each node, at most half the file descriptors. At the limit, the
    oldest connections without a valid key are closed to make room."""
    stranger_requests: PositiveCount = 64
    """Concurrent requests without a valid key from one address, on each node; over it, 429."""
    decoders: Count = 64
    """Files played concurrently on each node. Each takes a process of about 35 MB, which a paused
    playback gives back."""
    drain_seconds: Number = 0.0
    """How long live calls go on after SIGTERM, or `media-bridge drain`; the rest is then ended as `drained`. 0:
    SIGTERM ends them at once. The service manager must wait longer than this (see the page on operations)."""
    decoders_per_line: Count = 0
    """Files played concurrently by one line, on each node. 0: as with `calls_per_line`."""
    assets_per_line: Count = 1000
    """Audio assets a line may store."""
    assets_mb_per_line: Number = 1000.0
    """Disk space for the audio assets of a line."""
    large_bodies_per_line: Count = 8
    """Concurrent requests of a line with a body over 256 kB (uploads, base64), on each node."""
    ended_per_line: Count = 5000
    """Ended calls of a line that are remembered for `kept_seconds`, on each node; the oldest are dropped first."""
    ended_mb_per_line: Number = 64.0
    """Memory for the ended calls of a line, on each node."""


class Media(Section, frozen=True):
    """Audio paths and playback files."""

    relay: bool = True
    """Forward Opus packets without decoding between two WebRTC parties when nothing needs their audio.
    Off: every packet is decoded and encoded."""
    red: bool = False
    """Ask browsers to send each packet twice (RFC 2198): repairs single losses at twice the upstream bit
    rate. The bridge itself never sends redundancy."""
    root: str = ""
    """Media folder, the only one server files are played from. Empty: `files` below `data.dir`.
    `lines/NAME` in it is private to one line, which also records into it (`Path`); everything else can
    be played by every line and is never written."""
    urls: bool = True
    """Play audio from customers' URLs, through the address guard."""


class Events(Section, frozen=True):
    """How long events are stored."""

    kept_seconds: Number = 259200.0
    """How long a client that was disconnected can read past events (`Last-Event-ID`)."""
    dead_seconds: Number = 2592000.0
    """How long webhooks that were given up after 75 hours can be replayed."""
    digits_seconds: Number = 60.0
    """How long after the end of a call its DTMF digits (a PIN, a card number) stay in its events. A webhook
    that is still to be delivered keeps them until then."""


class Calls(Section, frozen=True):
    """What is heard before a call is answered, and the records of calls that have ended."""

    ringback: list[Literal["pstn", "whatsapp"]] = msgspec.field(default_factory=lambda: ["pstn"])
    """Channels of which a person on our side hears a ring-back tone while the other party rings and its
    network sends no audio itself. WhatsApp's sends none, and pages often have a tone of their own."""
    ringback_tone: Literal["europe", "north_america", "united_kingdom"] = "europe"
    """Which tone that is. It is also what a party hears that is being transferred."""
    kept_days: Number = 30.0
    """How long a call is in the history (`GET /calls`), with its quality, problems and timeline. At least
    `limits.kept_seconds`."""
    drain_announcement: str = ""
    """A sound file (below `media.root` unless its path is absolute) that all parties hear, for at most 10 s, before
    `limits.drain_seconds` end their call. Empty: none."""


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
    access_key: str = ""
    """Empty: found as Amazon's own tools find it (environment, role of the machine)."""
    secret_key: str = ""
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
    least_free_mb: Number = 500.0
    """With less free disk space than this, recordings stop and new ones are refused; calls go on."""
    consent: str = "none"
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
    s3: S3 = msgspec.field(default_factory=S3)


class Log(Section, frozen=True):
    """The log on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """`debug` adds every step of a leg's setup."""
    format: Literal["text", "json"] = "text"
    """`text` for people, `json` for machines."""


class Settings(Section, frozen=True):
    """Everything that can be set."""

    nodes: Annotated[int, Meta(ge=0, le=MAX_NODES)] = 1
    """Processes, each with its own event loop, core, share of the media ports and calls; a crash of one
    ends only its calls. 0: one per core."""
    http: Http = msgspec.field(default_factory=Http)
    data: Data = msgspec.field(default_factory=Data)
    cluster: Cluster = msgspec.field(default_factory=Cluster)
    simulator: Simulator = msgspec.field(default_factory=Simulator)
    limits: Limits = msgspec.field(default_factory=Limits)
    rtc: Rtc = msgspec.field(default_factory=Rtc)
    media: Media = msgspec.field(default_factory=Media)
    recording: Recording = msgspec.field(default_factory=Recording)
    events: Events = msgspec.field(default_factory=Events)
    calls: Calls = msgspec.field(default_factory=Calls)
    agent: Agent = msgspec.field(default_factory=Agent)
    transcription: Transcription = msgspec.field(default_factory=Transcription)
    turn: Turn = msgspec.field(default_factory=Turn)
    net: Net = msgspec.field(default_factory=Net)
    sip: Sip = msgspec.field(default_factory=Sip)
    log: Log = msgspec.field(default_factory=Log)
    metrics: Metrics = msgspec.field(default_factory=Metrics)
    admin: Admin = msgspec.field(default_factory=Admin)
    operator: Operator = msgspec.field(default_factory=Operator)
    lines: dict[str, Line] = msgspec.field(default_factory=dict)
    """Without any line there are `demo` and `ai`, with the keys `demo` and `ai`, on loopback only; an agent
    answers the calls of `ai`."""

    @property
    def media_root(self) -> Path:
        """The media folder."""
        return Path(self.media.root or Path(self.data.dir) / "files")


DEMO_LINE = "demo"
DEMO_KEY = "demo"
DEMO_NUMBER = "15550109000"
DEMO_AI_LINE = "ai"
DEMO_AI_KEY = "ai"
DEMO_AI_NUMBER = "15550109001"
"""What the demo line calls from, where a face wants to know."""


def load(environment: Mapping[str, str], path: Path | None = None) -> Settings:
    """Read the settings file (`path`, else `BRIDGE_CONFIG`, else none), then the environment.

    Raises:
        SettingsError: a file that cannot be read, an unknown key, a wrong type, a contradiction.
    """
    chosen = path or (
        Path(environment[CONFIG_VARIABLE]) if environment.get(CONFIG_VARIABLE) else None
    )
    tree = _read(chosen) if chosen else {}
    others = {name: text for name, text in environment.items() if name != CONFIG_VARIABLE}
    place(tree, others, Settings)
    # The lines are read one by one, because an error in a table of tables would not name the line.
    tables = _convert(tree.pop("lines", {}), dict[str, Any], "lines")
    lines = {name: _convert(table, Line, f"lines.{name}") for name, table in tables.items()}
    settings = msgspec.structs.replace(_convert(tree, Settings), lines=lines)
    check(settings)
    return settings


def check(settings: Settings) -> None:
    """Refuse settings that do not go together, naming the key (`SettingsError`)."""
    port_range(settings.rtc.ports)
    check_data(settings.data)
    check_http(settings.http)
    check_urls("rtc.stun_urls", settings.rtc.stun_urls, ("stun:", "stuns:"))
    check_rtc(settings.rtc)
    check_turn(settings.turn)
    _check_s3(settings.recording.s3)
    _check_sounds(settings)
    check_net(settings.net)
    check_cluster(settings.cluster, settings.http, database_url=settings.data.url)
    _check_lines(settings)
    for name, line in settings.lines.items():
        check_whatsapp(f"lines.{name}.whatsapp", line.whatsapp)
        check_voicemail(f"lines.{name}.voicemail", line.voicemail)
        check_stream(f"lines.{name}.stream", line.stream, settings.media_root)
        if line.sip is not None:
            check_line_sip(f"lines.{name}.sip", line.sip)
    check_sip(settings.sip, (name for name, line in settings.lines.items() if line.sip))


def _check_s3(s3: S3) -> None:
    if s3.endpoint and not s3.endpoint.startswith(("https://", "http://")):
        raise SettingsError("recording.s3.endpoint: expected a URL with http or https")
    if bool(s3.access_key) != bool(s3.secret_key):
        raise SettingsError("recording.s3.access_key and secret_key: set both or neither")
    if not s3.bucket and (s3.endpoint or s3.access_key):
        raise SettingsError("recording.s3.bucket: needed with the other keys of recording.s3")
    if s3.live and not s3.bucket:
        raise SettingsError("recording.s3.live: needs recording.s3.bucket, where the parts go")


def _check_sounds(settings: Settings) -> None:
    root = settings.media_root
    consent, announcement = settings.recording.consent, settings.calls.drain_announcement
    if consent not in ("none", "beep") and not (root / consent).is_file():
        raise SettingsError(
            f'recording.consent: expected "none", "beep" or a sound file; there is none at {root / consent}'
        )
    if announcement and not (root / announcement).is_file():
        raise SettingsError(
            f"calls.drain_announcement: there is no sound file at {root / announcement}"
        )


def keys_in(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield every key that clients may send, and the setting it stands in."""
    for name, line in settings.lines.items():
        yield from ((f"lines.{name}.keys", key) for key in line.keys)
        yield from ((f"lines.{name}.whatsapp.webhook_keys", k) for k in line.whatsapp.webhook_keys)
    yield from (("metrics.keys", key) for key in settings.metrics.keys)
    yield from (("admin.keys", key) for key in settings.admin.keys)
    yield from (("operator.keys", key) for key in settings.operator.keys)


def _check_lines(settings: Settings) -> None:
    if not settings.lines and settings.http.exposed:
        raise SettingsError(
            f"http.host {settings.http.host}, http.allowed_hosts or http.public_url lets others reach "
            "the bridge, but no line has a key, and the demo key is off then: set [lines.NAME] keys "
            "in the settings file, or BRIDGE_LINES__MAIN__KEYS='[\"a-long-random-key-of-your-own\"]'"
        )
    for name in settings.lines:
        if name.endswith(TEST_LINE):
            raise SettingsError(f"lines.{name}: names that end in {TEST_LINE} are of test keys")
    check_keys(settings.http, keys_in(settings))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise SettingsError(f"settings file {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"settings file {path}: {error}") from error


def _convert(value: object, kind: type[Kind], section: str = "") -> Kind:
    """Return what was written in a section as its type, or raise `SettingsError`."""
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        key = (section + path.removesuffix("`")).removeprefix(".") or "settings"
        raise SettingsError(f"{key}: {text[0].lower()}{text[1:]}") from error
