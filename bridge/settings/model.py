"""Settings: a TOML file, then the environment (`environment`), into frozen records.

An unknown key or a wrong type stops the start and names the key. `app` and the processes (`serve`,
`supervisor`, `cli`) read these; other objects are passed the values they need.
`deploy/bridge.example.toml` lists them all.
"""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from bridge.errors import SettingsError
from bridge.settings.environment import place
from bridge.settings.http import Admin as Admin
from bridge.settings.http import Http as Http
from bridge.settings.http import Metrics as Metrics
from bridge.settings.http import check_http, check_keys
from bridge.settings.http import is_loopback as is_loopback
from bridge.settings.line import TEST_LINE, Section, check_agent, check_whatsapp
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

CONFIG_VARIABLE = "BRIDGE_CONFIG"


class Data(Section, frozen=True):
    """What the bridge writes."""

    dir: str = "data"
    """Folder for everything the bridge writes: database, recordings, assets."""


class Simulator(Section, frozen=True):
    """The simulated WhatsApp contacts."""

    ring_seconds: float = 1.0
    """How long a simulated contact rings before it answers."""


class Limits(Section, frozen=True):
    """How much is accepted, and for how long."""

    calls: int = 200
    """Concurrent calls; over it, 503 with `Retry-After`."""
    calls_per_line: int = 0
    """Concurrent calls of one line. 0: the same as `calls`; where two or more lines are configured, the last
    fifth of `calls` is then reserved for lines that have no call."""
    streams_per_line: int = 400
    """Concurrent streams to customers' WebSockets of one line, on each node; over it, 429. 0: no limit."""
    requests_per_minute: int = 0
    """Requests per key and minute; over it, 429 with `Retry-After`. 0: no limit."""
    ring_seconds: float = 60.0
    """How long a call rings before it ends as `no_answer`."""
    call_seconds: float = 14400.0
    """Maximum length of a call."""
    alone_seconds: float = 60.0
    """A call whose last browser has left ends after this long, unless something has used it since: a
    playback, a stream, a socket, an agent, a requested recording, or any POST, PUT, PATCH or DELETE
    that names it. Long enough to reload a page or to change networks; the other party hears silence
    meanwhile. Calls that never had a browser are not ended this way."""
    overload_seconds: float = 5.0
    """After this long of overload new calls are refused with 503. 0: never."""
    kept_seconds: float = 3600.0
    """How long an ended call can be queried: its quality figures, and where its recording is."""
    connections: int = 2048
    """Concurrent HTTP connections on each node, at most half the file descriptors. At the limit, the
    oldest connections without a valid key are closed to make room."""
    stranger_requests: int = 64
    """Concurrent requests without a valid key from one address, on each node; over it, 429."""
    decoders: int = 64
    """Files played concurrently on each node. Each takes a process of about 35 MB, which a paused
    playback gives back."""
    decoders_per_line: int = 0
    """Files played concurrently by one line, on each node. 0: as with `calls_per_line`."""
    assets_per_line: int = 1000
    """Audio assets a line may store."""
    assets_mb_per_line: float = 1000.0
    """Disk space for the audio assets of a line."""
    large_bodies_per_line: int = 8
    """Concurrent requests of a line with a body over 256 kB (uploads, base64), on each node."""
    ended_per_line: int = 5000
    """Ended calls of a line that can be queried, on each node; the oldest are dropped first."""
    ended_mb_per_line: float = 64.0
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

    kept_seconds: float = 259200.0
    """How long a client that was disconnected can read past events (`Last-Event-ID`)."""
    dead_seconds: float = 2592000.0
    """How long webhooks that were given up after 75 hours can be replayed."""
    digits_seconds: float = 60.0
    """How long after the end of a call its DTMF digits (a PIN, a card number) stay in its events. A webhook
    that is still to be delivered keeps them until then."""


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


class Recording(Section, frozen=True):
    """Call recording."""

    kept_days: float = 30.0
    """Recordings are deleted after this many days."""
    least_free_mb: float = 500.0
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

    nodes: int = 1
    """Processes, each with its own event loop, core, share of the media ports and calls; a crash of one
    ends only its calls. 0: one per core."""
    http: Http = msgspec.field(default_factory=Http)
    data: Data = msgspec.field(default_factory=Data)
    simulator: Simulator = msgspec.field(default_factory=Simulator)
    limits: Limits = msgspec.field(default_factory=Limits)
    rtc: Rtc = msgspec.field(default_factory=Rtc)
    media: Media = msgspec.field(default_factory=Media)
    recording: Recording = msgspec.field(default_factory=Recording)
    events: Events = msgspec.field(default_factory=Events)
    agent: Agent = msgspec.field(default_factory=Agent)
    turn: Turn = msgspec.field(default_factory=Turn)
    net: Net = msgspec.field(default_factory=Net)
    log: Log = msgspec.field(default_factory=Log)
    metrics: Metrics = msgspec.field(default_factory=Metrics)
    admin: Admin = msgspec.field(default_factory=Admin)
    lines: dict[str, Line] = msgspec.field(default_factory=dict)
    """Without any line there are `demo` and `ai`, with the keys `demo` and `ai`, on loopback only; an agent
    answers the calls of `ai`."""


MAX_NODES = 256
"""A call id has one byte for its node."""
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
    try:
        settings = msgspec.convert(tree, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"settings: {error}") from error
    check(settings)
    return settings


def check(settings: Settings) -> None:
    """Check all settings together.

    Raises:
        SettingsError: naming the key and what to do.
    """
    port_range(settings.rtc.ports)
    if not 0 <= settings.nodes <= MAX_NODES:
        raise SettingsError(f"nodes: expected 0 (one per core) to {MAX_NODES}")
    check_http(settings.http)
    _check_limits(settings.limits)
    check_urls("rtc.stun_urls", settings.rtc.stun_urls, ("stun:", "stuns:"))
    check_rtc(settings.rtc)
    check_turn(settings.turn)
    _check_s3(settings.recording.s3)
    check_net(settings.net)
    _check_lines(settings)
    check_agent("agent", settings.agent)
    for name, line in settings.lines.items():
        check_whatsapp(f"lines.{name}.whatsapp", line.whatsapp)
        check_agent(f"lines.{name}.agent", line.agent or settings.agent)
        if not line.decision_seconds > 0:
            raise SettingsError(f"lines.{name}.decision_seconds: expected more than 0")


def _check_limits(limits: Limits) -> None:
    for key in msgspec.structs.asdict(limits):
        value = getattr(limits, key)
        if key in ("calls", "connections", "stranger_requests"):
            if value < 1:
                raise SettingsError(f"limits.{key}: expected at least 1")
        elif key in ("ring_seconds", "call_seconds"):
            if not value > 0:
                raise SettingsError(f"limits.{key}: expected more than 0")
        elif not value >= 0:
            raise SettingsError(f"limits.{key}: expected 0 or more")


def _check_s3(s3: S3) -> None:
    if s3.endpoint and not s3.endpoint.startswith(("https://", "http://")):
        raise SettingsError("recording.s3.endpoint: expected a URL with http or https")
    if bool(s3.access_key) != bool(s3.secret_key):
        raise SettingsError("recording.s3.access_key and secret_key: set both or neither")
    if not s3.bucket and (s3.endpoint or s3.access_key):
        raise SettingsError("recording.s3.bucket: needed with the other keys of recording.s3")


def keys_in(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield every key that clients may send, and the setting it stands in."""
    for name, line in settings.lines.items():
        yield from ((f"lines.{name}.keys", key) for key in line.keys)
        yield from ((f"lines.{name}.whatsapp.webhook_keys", k) for k in line.whatsapp.webhook_keys)
    yield from (("metrics.keys", key) for key in settings.metrics.keys)
    yield from (("admin.keys", key) for key in settings.admin.keys)


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
