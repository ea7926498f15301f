"""Settings: a TOML file, then the environment (`environment`), into frozen records.

An unknown key or a wrong type stops the start and names the key. `app` and the processes (`serve`,
`supervisor`, `cli`) read these; other objects are passed the values they need.
`deploy/bridge.example.toml` lists them all.
"""

import tomllib
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from bridge.errors import SettingsError
from bridge.settings.agent import Agent as Agent
from bridge.settings.agent import check_agent
from bridge.settings.cluster import Cluster as Cluster
from bridge.settings.cluster import check_cluster
from bridge.settings.data import Data as Data
from bridge.settings.data import check_data
from bridge.settings.disclosure import Disclosure as Disclosure
from bridge.settings.disclosure import check_disclosure
from bridge.settings.environment import place
from bridge.settings.http import Admin as Admin
from bridge.settings.http import Console as Console
from bridge.settings.http import Http as Http
from bridge.settings.http import Metrics as Metrics
from bridge.settings.http import check_http, check_keys
from bridge.settings.http import is_loopback as is_loopback
from bridge.settings.line import Line as Line
from bridge.settings.line import Stream as Stream
from bridge.settings.line import Voicemail as Voicemail
from bridge.settings.line import WhatsApp as WhatsApp
from bridge.settings.line import check_names, check_sound, check_whatsapp_sip, line_checks
from bridge.settings.livekit import LiveKit as LiveKit
from bridge.settings.livekit import check_api_keys
from bridge.settings.net import Net as Net
from bridge.settings.net import check_net
from bridge.settings.realtime import Realtime as Realtime
from bridge.settings.realtime import RealtimeTool as RealtimeTool
from bridge.settings.recording import S3 as S3
from bridge.settings.recording import Recording as Recording
from bridge.settings.recording import Transcription as Transcription
from bridge.settings.recording import check_recording
from bridge.settings.renamed import FormerName, rename
from bridge.settings.rtc import Rtc as Rtc
from bridge.settings.rtc import Turn as Turn
from bridge.settings.rtc import TurnServer as TurnServer
from bridge.settings.rtc import check_rtc, check_turn, check_urls
from bridge.settings.rtc import port_range as port_range
from bridge.settings.section import Count, Number, Positive, PositiveCount, Section
from bridge.settings.sip import LineSip as LineSip
from bridge.settings.sip import Sip as Sip
from bridge.settings.sip import check_sip
from bridge.settings.stored import place_stored
from bridge.settings.telemetry import Telemetry as Telemetry
from bridge.settings.telemetry import check_telemetry
from bridge.settings.tree import KeyPath, TreeReader, dotted, origin, paths
from bridge.settings.turns import Turns as Turns

CONFIG_VARIABLE = "BRIDGE_CONFIG"
FILE: Final = "file"

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
    abandoned_seconds: Number = 60.0
    """A call whose last browser has left ends after this long, unless something has used it since: a playback, a stream, a
    socket, an agent, a requested recording, or any POST, PUT, PATCH or DELETE that names it. Long enough to reload a page or to
    change networks; the other party hears silence meanwhile. Calls that never had a browser are not ended this way."""
    resume_seconds: Number = 10.0
    """How long a call waits for the client of a media socket with `resume` to connect again, after it has passed to a
    new process; then its leg leaves. 0: such calls stay in the old process."""
    overload_seconds: Number = 5.0
    """After this long of overload new calls are refused with 503. 0: never."""
    kept_seconds: Number = 3600.0
    """How long a node remembers an ended call for requests that would change it: they say that it has ended, and
    where its recording is. Its record stays for `calls.kept_days`."""
    connections: PositiveCount = 2048
    """Concurrent HTTP connections on each node, at most half the file descriptors. At the limit, the
    oldest connections without a valid key are closed to make room."""
    unauthenticated_requests: PositiveCount = 64
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

    passthrough: bool = True
    """Forward Opus packets undecoded between two WebRTC parties when nothing needs their audio. Off: all are decoded and encoded."""
    red: bool = False
    """Ask browsers to send each packet twice (RFC 2198): repairs single losses at twice the upstream bit
    rate. The bridge itself never sends redundancy."""
    root: str = ""
    """Media folder, the only one server files are played from. Empty: `files` below `data.dir`.
    `lines/NAME` in it is private to one line, which also records into it (`Path`); the only line of a
    bridge (no second one, no `admin.keys`) records into the folder itself. Everything else can be played by every line and is
    never written, recordings by their own line only."""
    urls: bool = True
    """Play audio from customers' URLs, through the address guard."""


class Events(Section, frozen=True):
    """How long events are stored."""

    kept_seconds: Number = 259200.0
    """How long a client that was disconnected can read past events (`Last-Event-ID`)."""
    dead_letter_seconds: Number = 2592000.0
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


class Recovery(Section, frozen=True):
    """Live calls and the end of the process that carries them."""

    enabled: bool = True
    """Whether an upgrade passes live calls to the new processes, else they stay in the old ones until they end; and whether the
    process that is started in place of a dead one goes on with its calls, else they end as `node_lost`. Without a
    supervisor (`nodes` above 1, or `--supervised`) there is nobody to take them over. Of several machines the others go on
    with the calls of one that has died, whether it had a supervisor or not."""
    spare: bool = True
    """Whether a supervisor keeps one more process, with everything loaded, for the place of a node that dies: its calls are
    heard again at once, and not after the start of a process. It takes up to 140 MB. Off where the control group allows
    less than 1 GiB of memory."""
    hang_seconds: Annotated[float, Meta(ge=1, le=60)] = 3.0
    """After how long without a sign of life from its event loop the supervisor kills a process whose main thread used no CPU in that time, or
    whose media thread has stopped too. A main thread that is busy gets 10 s at least."""


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
    touches only its calls. 0: one per core."""
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
    recovery: Recovery = msgspec.field(default_factory=Recovery)
    turns: Turns = msgspec.field(default_factory=Turns)
    agent: Agent = msgspec.field(default_factory=Agent)
    disclosure: Disclosure = msgspec.field(default_factory=Disclosure)
    transcription: Transcription = msgspec.field(default_factory=Transcription)
    turn: Turn = msgspec.field(default_factory=Turn)
    net: Net = msgspec.field(default_factory=Net)
    sip: Sip = msgspec.field(default_factory=Sip)
    log: Log = msgspec.field(default_factory=Log)
    metrics: Metrics = msgspec.field(default_factory=Metrics)
    telemetry: Telemetry = msgspec.field(default_factory=Telemetry)
    admin: Admin = msgspec.field(default_factory=Admin)
    console: Console = msgspec.field(default_factory=Console)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The settings as they were found, with all that is wrong with them."""

    settings: Settings
    """With defaults in place of what cannot be used."""
    problems: tuple[str, ...]
    """Each names its key. A section with a mistake is not compared with others."""
    origins: Mapping[KeyPath, str]
    """By path, for every value and table that is set: the variable of the environment, else `FILE`."""
    file: Path | None
    renamed: tuple[FormerName, ...] = ()
    """Of settings that stand under these."""


def load(environment: Mapping[str, str], path: Path | None = None) -> Settings:
    """Read the settings file (`path`, else `BRIDGE_CONFIG`, else none), then the environment.

    Raises:
        SettingsError: a file that cannot be read, an unknown key, a wrong type, a contradiction.
    """
    return accepted(read(environment, path))


def accepted(reading: Reading) -> Settings:
    """Return settings without a mistake.

    Raises:
        SettingsError: the first that there is.
    """
    if reading.problems:
        raise SettingsError(reading.problems[0])
    return reading.settings


def read(environment: Mapping[str, str], path: Path | None = None) -> Reading:
    """Read the settings as `load` does, whatever is wrong with them."""
    named = environment.get(CONFIG_VARIABLE)
    file = path or (Path(named) if named else None)
    try:
        tree = _read(file) if file else {}
    except SettingsError as error:
        return Reading(settings=Settings(), problems=(str(error),), origins={}, file=file)
    others = {name: text for name, text in environment.items() if name != CONFIG_VARIABLE}
    variables, mistakes = place(tree, others, Settings)
    place_stored(tree)
    renamed = tuple(rename(tree, variables, mistakes))
    origins = {at: origin(at, variables) or FILE for at in paths(tree)}
    reader = TreeReader(Settings)
    found = reader.read(tree)
    settings = found if isinstance(found, Settings) else Settings()
    problems = [str(mistake) for mistake in mistakes]
    for mistake in reader.mistakes:
        variable = origin(mistake.path, variables)
        problems.append(f"{mistake} (set by {variable})" if variable else str(mistake))
    broken = {dotted(one.path[:depth]) for one in [*mistakes, *reader.mistakes] for depth in (1, 2)}
    problems += _contradictions(settings, broken)
    return Reading(
        settings=settings, problems=tuple(problems), origins=origins, file=file, renamed=renamed
    )


def check(settings: Settings) -> None:
    """Refuse settings that do not go together, naming the key (`SettingsError`)."""
    for problem in _contradictions(settings, frozenset()):
        raise SettingsError(problem)


def _contradictions(settings: Settings, broken: Set[str]) -> Iterator[str]:
    """Yield what the checks find, but not those of sections that are `broken`."""
    for sections, run in _checks(settings):
        if broken.isdisjoint(sections):
            try:
                run()
            except SettingsError as error:
                yield str(error)


def _checks(settings: Settings) -> Iterator[tuple[tuple[str, ...], Callable[[], object]]]:
    """Yield every check, after the sections that it looks at."""
    yield ("rtc",), partial(port_range, settings.rtc.ports)
    yield ("data",), partial(check_data, settings.data)
    yield ("http",), partial(check_http, settings.http)
    stun = partial(check_urls, "rtc.stun_urls", settings.rtc.stun_urls, ("stun:", "stuns:"))
    yield ("rtc",), stun
    yield ("rtc",), partial(check_rtc, settings.rtc)
    yield ("turn",), partial(check_turn, settings.turn)
    yield ("agent",), partial(check_agent, "agent", settings.agent)
    yield ("recording",), partial(check_recording, settings.recording)
    yield ("recording", "media", "data"), partial(_check_recording_announcement, settings)
    sound, root = settings.calls.drain_announcement, settings.media_root
    yield ("calls", "media", "data"), partial(check_sound, "calls.drain_announcement", sound, root)
    told = partial(check_disclosure, "disclosure", settings.disclosure, root, of_line=False)
    yield ("disclosure", "media", "data"), told
    yield ("net",), partial(check_net, settings.net)
    yield ("telemetry",), partial(check_telemetry, settings.telemetry)
    database = settings.data.url
    clustered = partial(check_cluster, settings.cluster, settings.http, database_url=database)
    yield ("cluster", "http", "data"), clustered
    yield ("lines", "http", "metrics", "admin", "console"), partial(_check_lines, settings)
    for name, line in settings.lines.items():
        yield from line_checks(f"lines.{name}", line, root)
    api_keys = {name: line.livekit for name, line in settings.lines.items()}
    yield ("lines",), partial(check_api_keys, api_keys)
    trunks = {name: line.sip for name, line in settings.lines.items() if line.sip}
    yield ("sip", "lines"), partial(check_sip, settings.sip, trunks)
    yield ("sip", "lines"), partial(check_whatsapp_sip, settings.sip, settings.lines)


def _check_recording_announcement(settings: Settings) -> None:
    sound, root = settings.recording.announcement, settings.media_root
    if sound not in ("none", "beep") and not (root / sound).is_file():
        raise SettingsError(
            f'recording.announcement: expected "none", "beep" or a sound file; there is none at {root / sound}'
        )


def keys_in(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield every key that clients may send, and the setting it stands in."""
    for name, line in settings.lines.items():
        yield from ((f"lines.{name}.keys", key) for key in line.keys)
        yield from ((f"lines.{name}.whatsapp.webhook_keys", k) for k in line.whatsapp.webhook_keys)
    yield from (("metrics.keys", key) for key in settings.metrics.keys)
    yield from (("admin.keys", key) for key in settings.admin.keys)
    yield from (("console.keys", key) for key in settings.console.keys)


def _check_lines(settings: Settings) -> None:
    if not settings.lines and settings.http.exposed:
        raise SettingsError(
            f"http.host {settings.http.host}, http.allowed_hosts or http.public_url lets others reach "
            "the bridge, but no line has a key, and the demo key is off then: set [lines.NAME] keys "
            "in the settings file, or BRIDGE_LINES__MAIN__KEYS='[\"a-long-random-key-of-your-own\"]'"
        )
    check_names(settings.lines)
    check_keys(settings.http, keys_in(settings))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise SettingsError(f"settings file {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"settings file {path}: {error}") from error
