"""Where a stream to a model goes, with whose key, and the model's session."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final
from urllib.parse import quote_plus

from bridge.call.model import LineName
from bridge.errors import InvalidRequest
from bridge.http.client import Http, origin_of
from bridge.legs.stream_functions import CallFunction, no_functions
from bridge.media.stream_link import StreamTarget
from bridge.node.lines import LineConfig, Lines
from bridge.node.runner import CallRunner
from bridge.node.streams.tools import HANG_UP_TOOL, StreamTools
from bridge.settings.realtime import Realtime
from bridge.telemetry.trace import OFF, Tracer
from bridge.wire.stream.media_stream import StreamFacts
from bridge.wire.stream.protocols import PROTOCOLS
from bridge.wire.stream.realtime_session import RealtimeSession, RealtimeTool

SCHEMES: Final = ("ws", "wss")
NO_URL: Final = (
    "the line has no realtime server: name its ws or wss URL here, or set callStreamUrl with callStreamProtocol "
    "openai-realtime (PUT /call/config, then reconnect), or [lines.NAME.realtime] in the settings"
)

_HAS_MODEL: Final = re.compile(r"[?&]model=")


@dataclass(frozen=True, slots=True)
class StreamServer:
    """Where a stream goes, the session of a model there, and what runs the functions that it calls."""

    target: StreamTarget
    session: RealtimeSession = field(default_factory=RealtimeSession)
    call_function: CallFunction = no_functions


class RealtimeStreams:
    """The models that the lines' calls are streamed to."""

    def __init__(
        self,
        lines: Lines,
        http: Http,
        *,
        settings_of: Callable[[LineName], Realtime | None],
        secrets_of: Callable[[LineName], Sequence[str]],
        tracer: Tracer = OFF,
    ) -> None:
        """`secrets_of` returns what signs the requests for functions, the newest first."""
        self._lines = lines
        self._http = http
        self._settings_of = settings_of
        self._secrets_of = secrets_of
        self.tracer = tracer
        """Of streams to models, and of all others."""

    def has(self, line: LineName) -> bool:
        """Whether the settings name a model for a line."""
        return self._settings_of(line) is not None

    async def check(self, line: LineName, url: str) -> None:
        """Check a stream's URL; an empty one is the line's own.

        Raises:
            InvalidRequest: the line has no server, or the URL is not `ws` or `wss`.
            AddressBlocked: customers' URLs may not lead there.
        """
        chosen, trusted = self._url(line, url)
        if not trusted:
            await self._http.of(line).check(chosen, schemes=SCHEMES)

    def server(self, runner: CallRunner, facts: StreamFacts, url: str) -> StreamServer:
        """Return the server of a call's stream; an empty URL is the line's own.

        Raises:
            InvalidRequest: the line has none.
        """
        line = runner.facts.line
        config, own = self._lines.config(line), self._settings_of(line)
        settings = own or Realtime()
        chosen, trusted = self._url(line, url)
        session = self._http.trusted_streams if trusted else self._http.of(line).streams
        key = _key(chosen, config, own)
        trace = self.tracer.of(runner.facts.call_id, runner.facts.details.trace)
        tools = StreamTools(
            runner,
            facts,
            settings,
            session=self._http.trusted,
            secrets=self._secrets_of(line),
            trace=trace,
        )
        return StreamServer(
            StreamTarget(_with_model(chosen, settings), session, partial(_headers, key), trace),
            _session(config, settings),
            tools.call,
        )

    def _url(self, line: LineName, url: str) -> tuple[str, bool]:
        """Return where a stream goes, and whether the operator has said so."""
        config, settings = self._lines.config(line), self._settings_of(line)
        own = config.stream_url if PROTOCOLS[config.stream_protocol].model else ""
        if chosen := url or own:
            return chosen, False
        if settings is None:
            raise InvalidRequest(NO_URL)
        return settings.url, True


def _key(url: str, config: LineConfig, settings: Realtime | None) -> str:
    """Return the key for a URL: none but that which was set for its origin."""
    origin = origin_of(url)
    if config.provider_token and origin == origin_of(config.stream_url):
        return config.provider_token
    return settings.key if settings is not None and origin == origin_of(settings.url) else ""


def _headers(key: str, _now: datetime) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


def _with_model(url: str, settings: Realtime) -> str:
    """Add the model where the server is the one it was set for and the URL names none."""
    ours = origin_of(url) == origin_of(settings.url)
    if not (ours and settings.model) or _HAS_MODEL.search(url):
        return url
    return f"{url}{'&' if '?' in url else '?'}model={quote_plus(settings.model)}"


def _session(config: LineConfig, settings: Realtime) -> RealtimeSession:
    tools = [RealtimeTool(tool.name, tool.description, tool.parameters) for tool in settings.tools]
    return RealtimeSession(
        instructions=config.system_prompt or settings.instructions,
        greeting=config.greeting or settings.greeting,
        voice=settings.voice,
        tools=[*tools, HANG_UP_TOOL] if settings.hang_up else tools,
    )
