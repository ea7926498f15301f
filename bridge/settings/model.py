"""Settings: a TOML file, then the environment (`environment`), into frozen records.

An unknown key or a wrong type stops the start and names the key. Only `app` reads these; every
other object is handed the values it needs. `deploy/bridge.example.toml` lists them all.
"""

import tomllib
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
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

CONFIG_VARIABLE = "BRIDGE_CONFIG"


class Data(Section, frozen=True):
    """What the bridge writes."""

    dir: str = "data"


class Simulator(Section, frozen=True):
    """The simulated WhatsApp contacts."""

    ring_seconds: float = 1.0


class Limits(Section, frozen=True):
    """How much is too much."""

    calls: int = 200
    calls_per_line: int = 0
    """0 = the same as `calls`, but for the last fifth where two or more lines are configured: that is kept
    for lines that have none."""
    streams_per_line: int = 400
    """Streams to customers' WebSockets of one line at once, on each node; 0 = no limit."""
    requests_per_minute: int = 0
    """Per key; 0 = no limit."""
    ring_seconds: float = 60.0
    """How long a call may ring before it ends as `no_answer`."""
    call_seconds: float = 14400.0
    alone_seconds: float = 60.0
    """A call that people in browsers have left ends after this long, unless anything used it since.

    Uses are a playback, stream, socket, agent or recording that was asked for, and every POST, PUT,
    PATCH or DELETE of its line that names it. A minute is time to reload a page or to change networks, and no
    more, since the other party hears silence meanwhile. Calls that never had a browser are not ended so."""
    overload_seconds: float = 5.0
    """After so long of overload new calls are refused; 0 = never."""
    kept_seconds: float = 3600.0
    """How long an ended call stays known: its quality figures, and where its recording lies."""
    connections: int = 2048
    """HTTP connections at a time, for each node; half the file descriptors at most."""
    stranger_requests: int = 64
    """Requests without a right key that one address may have under way at a time, for each node."""
    decoders: int = 64
    """Files that are played at a time on each node; each takes a process of some 35 MB."""
    decoders_per_line: int = 0
    """0 = the same as `decoders`, but for the last fifth, as with `calls_per_line`."""
    assets_per_line: int = 1000
    """Audio assets that a line may keep."""
    assets_mb_per_line: float = 1000.0
    """What they may take on the disk."""
    large_bodies_per_line: int = 8
    """Requests of a line with more than 256 kB that may be under way at a time on each node."""
    ended_per_line: int = 5000
    """Ended calls of one line that stay known on each node; the oldest make room."""
    ended_mb_per_line: float = 64.0
    """Memory that they may take there."""


class Rtc(Section, frozen=True):
    """WebRTC transport."""

    bind: list[str] = msgspec.field(default_factory=list)
    """Addresses to receive media on; empty = the address of the default route, else loopback."""
    external_address: str = ""
    """Public address written into answers when the bridge is behind 1:1 NAT."""
    ports: str = "20000-20999"
    """UDP ports for media, one a leg."""
    stun_urls: list[str] = msgspec.field(default_factory=lambda: ["stun:stun.l.google.com:19302"])
    """Told to browsers; the bridge itself asks no STUN server."""
    probe_private: bool = False
    """Send checks to all candidates that a browser offers, private ones too, before it has sent one."""


class Media(Section, frozen=True):
    """How sound passes through the bridge."""

    relay: bool = True
    """Pass Opus packets on undecoded where nothing needs their sound."""
    red: bool = False
    """Ask browsers that offer it to send each packet twice (RFC 2198)."""
    root: str = ""
    """The media folder, the only one server files are played from: `lines/NAME` in it is one line's,
    all else is every line's to play; empty = `files` below the data folder."""
    urls: bool = True
    """Play sound from customers' URLs."""


class Events(Section, frozen=True):
    """What happens to calls, as it is kept and told."""

    kept_seconds: float = 259200.0
    """How long events can be read again (`Last-Event-ID`)."""
    dead_seconds: float = 2592000.0
    """How long webhooks that nobody took can be replayed."""
    digits_seconds: float = 60.0
    """How long after the end of a call the digits that were pressed in it stay in its events."""


class S3(Section, frozen=True):
    """An S3-compatible store that recordings are moved up to; without a bucket there is none."""

    bucket: str = ""
    endpoint: str = ""
    """URL of the service; empty = Amazon's own of the region."""
    region: str = "us-east-1"
    access_key: str = ""
    """Empty = found as Amazon's own tools find theirs: environment, role of the machine."""
    secret_key: str = ""
    redirect: bool = False
    """Send who follows a signed link to the store, which then has to be reachable for them."""


class Recording(Section, frozen=True):
    """What is recorded of calls."""

    kept_days: float = 30.0
    """After so many days a recording is deleted."""
    least_free_mb: float = 500.0
    """Recordings stop, and new ones are refused, when the disk has less room than this."""
    consent: str = "none"
    """What all hear before a recording begins: `none`, `beep`, or a sound file, below `media.root`
    unless its path is absolute."""
    exclusive: bool = False
    """A call is recorded or streamed to a WebSocket, never both."""
    wadial: bool = True
    """Calls of WADial's routes (begun, accepted, streamed or played into there) are recorded from their
    answer on, as its documents say; not with `exclusive`."""
    ogg: list[Literal["inbound", "outbound", "mixed"]] = msgspec.field(
        default_factory=lambda: ["mixed"]
    )
    """Tracks that an Ogg/Opus copy is made of after the end."""
    s3: S3 = msgspec.field(default_factory=S3)


class TurnServer(Section, frozen=True):
    """One TURN server with its own credentials, for `turn.servers`."""

    urls: list[str]
    username: str
    credential: str


class Turn(Section, frozen=True):
    """The TURN slot: what browsers are told to relay through."""

    mode: Literal["none", "static", "shared_secret"] = "none"
    urls: list[str] = msgspec.field(default_factory=list)
    secret: str = ""
    """`shared_secret`: the `static-auth-secret` of coturn."""
    ttl: int = 3600
    """`shared_secret`: seconds a credential is good for."""
    username: str = ""
    """`static`: user name for `urls`."""
    credential: str = ""
    servers: list[TurnServer] = msgspec.field(default_factory=list)
    """`static`: more servers, each with its own credentials."""


class Log(Section, frozen=True):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class Settings(Section, frozen=True):
    """Everything that can be set."""

    http: Http = msgspec.field(default_factory=Http)
    data: Data = msgspec.field(default_factory=Data)
    nodes: int = 1
    """Processes, each with a loop, media ports and calls of its own; 0 = one per core."""
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
    """Without any, the lines `demo` and `ai` with the keys `demo` and `ai` exist, on loopback only."""


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


def port_range(text: str) -> range:
    """Read `first-last` (both included).

    Raises:
        SettingsError: not two port numbers in order.
    """
    first, _, last = text.partition("-")
    if not (first.isdigit() and last.isdigit() and 0 < int(first) <= int(last) < 65536):
        raise SettingsError(f'rtc.ports: expected "first-last" between 1 and 65535, got "{text}"')
    return range(int(first), int(last) + 1)


def check(settings: Settings) -> None:
    """Refuse what cannot work together.

    Raises:
        SettingsError: naming the key and what to do.
    """
    port_range(settings.rtc.ports)
    if not 0 <= settings.nodes <= MAX_NODES:
        raise SettingsError(f"nodes: expected 0 (one per core) to {MAX_NODES}")
    check_http(settings.http)
    _check_limits(settings.limits)
    _check_urls("rtc.stun_urls", settings.rtc.stun_urls, ("stun:", "stuns:"))
    _check_rtc(settings.rtc)
    _check_turn(settings.turn)
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
    for key in ("connections", "stranger_requests"):
        if getattr(limits, key) < 1:
            raise SettingsError(f"limits.{key}: expected at least 1")


def _check_rtc(rtc: Rtc) -> None:
    for address in [*rtc.bind, *filter(None, [rtc.external_address])]:
        try:
            everywhere = ip_address(address).is_unspecified
        except ValueError:
            raise SettingsError(
                f'rtc.bind, rtc.external_address: "{address}" is not an IP address'
            ) from None
        if everywhere and not (address in rtc.bind and rtc.external_address):
            raise SettingsError(
                f"rtc.bind {address} needs rtc.external_address, or browsers are told to send "
                "their media nowhere; or name one address of this machine"
            )


def _check_turn(turn: Turn) -> None:
    served = [url for server in turn.servers for url in server.urls]
    _check_urls("turn.urls, turn.servers", [*turn.urls, *served], ("turn:", "turns:"))
    if turn.ttl < 1:
        raise SettingsError("turn.ttl: expected at least 1 second")
    if turn.mode == "shared_secret" and not (turn.urls and turn.secret):
        raise SettingsError("turn.mode shared_secret needs turn.urls and turn.secret")
    if turn.mode == "static" and not (turn.urls or turn.servers):
        raise SettingsError("turn.mode static needs turn.urls or turn.servers")
    if turn.mode == "static" and turn.urls and not (turn.username and turn.credential):
        raise SettingsError("turn.urls in mode static need turn.username and turn.credential")


def _check_s3(s3: S3) -> None:
    if s3.endpoint and not s3.endpoint.startswith(("https://", "http://")):
        raise SettingsError("recording.s3.endpoint: expected a URL with http or https")
    if bool(s3.access_key) != bool(s3.secret_key):
        raise SettingsError("recording.s3.access_key and secret_key: set both or neither")
    if not s3.bucket and (s3.endpoint or s3.access_key):
        raise SettingsError("recording.s3.bucket: needed with the other keys of recording.s3")


def _check_urls(name: str, urls: list[str], schemes: tuple[str, ...]) -> None:
    """Refuse what a browser would refuse, which then could not even make its connection."""
    for url in urls:
        if not url.startswith(schemes):
            raise SettingsError(f'{name}: "{url}" does not begin with {" or ".join(schemes)}')


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
