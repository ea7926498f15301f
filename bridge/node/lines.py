"""Each line's call settings and connection.

Settings are stored at once and take effect when the line next connects, as at the vendors whose clients
make them. The database has both, so that all nodes agree and restarts change nothing; each node keeps a
copy, and reloads it when another node has changed something.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

import msgspec

from bridge.call.model import LineName
from bridge.cluster.siblings import Siblings
from bridge.db.database import Connection, Database
from bridge.errors import LineDisabled
from bridge.http.client import origin_of
from bridge.wire.stream.media_stream import StreamProtocol

log = logging.getLogger(__name__)

LINES_PATH: Final = "/node/lines"
"""Where nodes notify each other of a changed line."""

CALL_SUBSCRIPTIONS: Final = frozenset({"call", "all"})
"""Subscriptions that include the events of calls."""


class InboundMode(StrEnum):
    """What happens to inbound calls of a line."""

    MANUAL = "manual"
    """They ring until somebody answers."""
    WEBHOOK = "webhook"
    """They are answered at once."""
    BOT = "bot"
    IVR = "ivr"
    AI = "ai"
    REJECT = "reject"
    """They are rejected at once."""
    VOICEMAIL = "voicemail"
    """They are sent to voicemail at once."""
    STREAM = "stream"
    """They are answered at once, and streamed to `LineConfig.stream_url`."""


class InboundAction(StrEnum):
    """What a line does with an inbound call, at once or when nobody has decided in time."""

    RING = "ring"
    """It rings on, for as long as calls may ring."""
    ACCEPT = "accept"
    REJECT = "reject"
    VOICEMAIL = "voicemail"


INBOUND_ACTIONS: Final = {
    InboundMode.WEBHOOK: InboundAction.ACCEPT,
    InboundMode.BOT: InboundAction.ACCEPT,
    InboundMode.IVR: InboundAction.ACCEPT,
    InboundMode.AI: InboundAction.ACCEPT,
    InboundMode.REJECT: InboundAction.REJECT,
    InboundMode.VOICEMAIL: InboundAction.VOICEMAIL,
    InboundMode.STREAM: InboundAction.ACCEPT,
}
"""In all other modes the call rings."""


@dataclass(frozen=True, slots=True)
class LineConfig:
    """The call settings of a line; texts are empty where nothing is set."""

    calls_enabled: bool = True
    mode: InboundMode = InboundMode.MANUAL
    record: bool = False
    stt_url: str = ""
    llm_url: str = ""
    tts_url: str = ""
    stream_url: str = ""
    stream_protocol: StreamProtocol = StreamProtocol.NATIVE
    system_prompt: str = ""
    greeting: str = ""
    provider_token: str = field(default="", repr=False)
    """Sent to these URLs, to a stream's with `openai-realtime` only; never shown again."""

    @property
    def origins(self) -> frozenset[str]:
        """The origins of those of its URLs that are set."""
        urls = (self.stt_url, self.llm_url, self.tts_url, self.stream_url)
        return frozenset(origin_of(url) for url in urls if url)


@dataclass(frozen=True, slots=True)
class Session:
    """A line's connection, as its clients see it."""

    connected: bool
    number: str
    """Digits; empty where the settings name none."""
    subscribed: tuple[str, ...]
    """The kinds of events that were requested when it connected."""


class _Entry(msgspec.Struct, frozen=True):
    stored: LineConfig = LineConfig()
    in_force: LineConfig = LineConfig()
    connected: bool = True
    subscribed: tuple[str, ...] = ()

    @property
    def on(self) -> bool:
        return self.connected and self.in_force.calls_enabled


class Lines:
    """The settings and connections of all lines."""

    def __init__(
        self,
        database: Database,
        numbers: Mapping[LineName, Sequence[str]],
        *,
        fresh: Mapping[LineName, LineConfig] = MappingProxyType({}),
        paused: Callable[[LineName], bool] = lambda line: False,
        siblings: Siblings | None = None,
    ) -> None:
        """`reload` reads what is stored.

        `fresh` has settings of lines that were never configured; `siblings` are notified of changes.
        """
        self._database = database
        self._paused = paused
        self._numbers = numbers
        self._fresh = fresh
        self._followers: list[Callable[[LineName], None]] = []
        self._siblings = siblings
        self._entries: dict[LineName, _Entry] = {}

    def follow_switch_off(self, follower: Callable[[LineName], None]) -> None:
        """Call a function, on every node, when a line stops taking calls."""
        self._followers.append(follower)

    def config(self, line: LineName) -> LineConfig:
        """Return the settings in effect since the line last connected."""
        return self._entry(line).in_force

    def stored(self, line: LineName) -> LineConfig:
        """Return the settings that take effect when the line next connects."""
        return self._entry(line).stored

    def session(self, line: LineName) -> Session:
        """Return the line's connection."""
        entry = self._entry(line)
        number = next(iter(self._numbers.get(line, ())), "").removeprefix("+")
        return Session(entry.connected, number, entry.subscribed)

    def subscribes_to_calls(self, line: LineName) -> bool:
        """Whether WaGo's and ZuckZapGo's webhooks of the line get the events of calls.

        They do not if the line was connected with a list of subscriptions without `Call`.
        """
        subscribed = {word.lower() for word in self._entry(line).subscribed}
        return not subscribed or bool(subscribed & CALL_SUBSCRIPTIONS)

    def check_on(self, line: LineName) -> None:
        """Check that the line makes and takes calls now.

        Raises:
            LineDisabled: calls are switched off, or the line is paused or not connected.
        """
        entry = self._entry(line)
        if self._paused(line):
            raise LineDisabled("calls engine not enabled: the line is paused by the operator")
        if not entry.connected:
            raise LineDisabled(
                "calls engine not enabled: the line is not connected (/session/connect)"
            )
        if not entry.in_force.calls_enabled:
            raise LineDisabled(
                "calls engine not enabled: set callsEnabled (PUT /call/config), then reconnect"
            )

    def admit(self, line: LineName) -> InboundAction:
        """Return what to do with an inbound call.

        Raises:
            LineDisabled: as `check_on`.
        """
        self.check_on(line)
        return INBOUND_ACTIONS.get(self._entry(line).in_force.mode, InboundAction.RING)

    async def put(self, line: LineName, config: LineConfig) -> None:
        """Store settings that take effect when the line next connects."""
        await self._change(line, lambda entry: msgspec.structs.replace(entry, stored=config))

    async def connect(self, line: LineName, subscribed: Sequence[str] | None = None) -> None:
        """Connect or reconnect the line, with the stored settings.

        `subscribed` are the kinds of events that are wanted; None keeps those of the last connection.
        """

        def change(entry: _Entry) -> _Entry:
            wanted = entry.subscribed if subscribed is None else tuple(subscribed)
            return msgspec.structs.replace(
                entry, in_force=entry.stored, connected=True, subscribed=wanted
            )

        await self._change(line, change)

    async def disconnect(self, line: LineName) -> None:
        """Disconnect the line; its calls end."""
        await self._change(line, lambda entry: msgspec.structs.replace(entry, connected=False))

    async def reload(self) -> None:
        """Read what may have changed elsewhere."""
        for line, entry in (await self._database.run(_read_all)).items():
            self._update(line, entry)

    async def _change(self, line: LineName, change: Callable[[_Entry], _Entry]) -> None:
        def work(connection: Connection) -> _Entry:
            entry = change(_read_all(connection, line).get(line, self._unset(line)))
            written = msgspec.json.encode(entry)
            connection.execute(
                "INSERT INTO lines VALUES (?, ?) "
                "ON CONFLICT (line) DO UPDATE SET entry = excluded.entry",
                (line, written),
            )
            return entry

        self._update(line, await self._database.run(work))
        if self._siblings is not None:
            await self._siblings.request_all(LINES_PATH)

    def _entry(self, line: LineName) -> _Entry:
        return self._entries.get(line) or self._unset(line)

    def _unset(self, line: LineName) -> _Entry:
        config = self._fresh.get(line, LineConfig())
        return _Entry(config, config)

    def _update(self, line: LineName, entry: _Entry) -> None:
        was_on = self._entry(line).on
        self._entries[line] = entry
        if was_on and not entry.on:
            log.info("line.disabled", extra={"line": line})
            for follower in self._followers:
                follower(line)


def with_changes(config: LineConfig, **changes: bool | str | None) -> LineConfig:
    """Return settings with those of the given fields changed that are not None.

    The providers' token is cleared when a URL gets a new origin without a new token: whoever can set a URL
    must not receive a token that is never shown.
    """
    kept: dict[str, Any] = {name: to for name, to in changes.items() if to is not None}
    changed = replace(config, **kept)
    if "provider_token" in kept or changed.origins <= config.origins:
        return changed
    return replace(changed, provider_token="")


def stored_configs(connection: Connection) -> dict[LineName, LineConfig]:
    """Return the settings in effect of all lines that were ever configured."""
    return {line: entry.in_force for line, entry in _read_all(connection).items()}


def _read_all(connection: Connection, line: LineName | None = None) -> dict[LineName, _Entry]:
    rows = connection.execute(
        "SELECT line, entry FROM lines WHERE line = coalesce(?, line)", (line,)
    )
    return {LineName(name): msgspec.json.decode(entry, type=_Entry) for name, entry in rows}
