"""How each line takes calls: what was set, what is in force since it last connected, and whether it is.

What was set is written down at once and comes into force when the line connects anew, as it does at
the vendors whose clients set it. The database holds both, so that all nodes agree and a restart
changes nothing; each node keeps a copy to look at, and reads anew when another one tells it to.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

import msgspec

from bridge.call.model import LineName
from bridge.errors import EngineOff
from bridge.net.database import Database
from bridge.net.http import origin_of
from bridge.net.siblings import Siblings

log = logging.getLogger(__name__)

LINES_PATH: Final = "/node/lines"
"""Where nodes tell each other that a line has changed."""
FOLLOW_SECONDS: Final = 5.0
"""How often a node looks by itself; it may have been away when it was told."""

CALL_SUBSCRIPTIONS: Final = frozenset({"call", "all"})
"""Either of these among a line's subscriptions asks for the events of calls."""

SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS lines (line TEXT PRIMARY KEY, entry BLOB NOT NULL) WITHOUT ROWID;"
)


class InboundMode(StrEnum):
    """What becomes of a call that rings the line."""

    MANUAL = "manual"
    """It rings until somebody answers it."""
    WEBHOOK = "webhook"
    """It is answered at once."""
    BOT = "bot"
    IVR = "ivr"
    AI = "ai"
    REJECT = "reject"
    """It is rejected at once."""


class InboundAction(StrEnum):
    """How a call that rings a line is met."""

    RING = "ring"
    ANSWER = "answer"
    REJECT = "reject"


INBOUND_ACTIONS: Final = {
    InboundMode.WEBHOOK: InboundAction.ANSWER,
    InboundMode.BOT: InboundAction.ANSWER,
    InboundMode.IVR: InboundAction.ANSWER,
    InboundMode.AI: InboundAction.ANSWER,
    InboundMode.REJECT: InboundAction.REJECT,
}
"""In the other mode it rings: somebody else answers."""


@dataclass(frozen=True, slots=True)
class LineConfig:
    """How a line takes calls; texts are empty where nothing is set."""

    calls_enabled: bool = True
    mode: InboundMode = InboundMode.MANUAL
    record: bool = False
    stt_url: str = ""
    llm_url: str = ""
    tts_url: str = ""
    system_prompt: str = ""
    greeting: str = ""
    provider_token: str = field(default="", repr=False)
    """Sent to the three URLs; never shown again."""

    @property
    def origins(self) -> frozenset[str]:
        """The origins of the three URLs, as far as they are set."""
        urls = (self.stt_url, self.llm_url, self.tts_url)
        return frozenset(origin_of(url) for url in urls if url)


@dataclass(frozen=True, slots=True)
class Session:
    """A line's connection, as its clients see it."""

    connected: bool
    number: str
    """Digits; empty where the settings name none."""
    subscribed: tuple[str, ...]
    """The kinds of events that were asked for when it connected."""


class _Entry(msgspec.Struct, frozen=True):
    stored: LineConfig = LineConfig()
    in_force: LineConfig = LineConfig()
    connected: bool = True
    subscribed: tuple[str, ...] = ()

    @property
    def on(self) -> bool:
        return self.connected and self.in_force.calls_enabled


_FRESH: Final = _Entry()


class Lines:
    """The lines of a bridge, as all its nodes see them."""

    def __init__(
        self,
        database: Database,
        numbers: Mapping[LineName, Sequence[str]],
        *,
        fresh: Mapping[LineName, LineConfig] = MappingProxyType({}),
        switched_off: Callable[[LineName], None],
        paused: Callable[[LineName], bool] = lambda line: False,
        siblings: Siblings | None = None,
    ) -> None:
        """Take what the lines are kept in.

        Args:
            database: keeps them.
            numbers: each line's own numbers.
            fresh: how lines take calls that were never set; in the plain way where it is not told.
            switched_off: told, on every node, that a line takes calls no more; ends those it has.
            paused: whether the operator has paused a line.
            siblings: the other nodes, which are told of changes.
        """
        self._database = database
        self._paused = paused
        self._numbers = numbers
        self._fresh = fresh
        self._switched_off = switched_off
        self._siblings = siblings
        self._entries: dict[LineName, _Entry] = {}
        database.create(SCHEMA)

    def config(self, line: LineName) -> LineConfig:
        """What is in force since the line last connected."""
        return self._entry(line).in_force

    def stored(self, line: LineName) -> LineConfig:
        """What was set last, and comes into force when the line next connects."""
        return self._entry(line).stored

    def session(self, line: LineName) -> Session:
        """The line's connection."""
        entry = self._entry(line)
        number = next(iter(self._numbers.get(line, ())), "").removeprefix("+")
        return Session(entry.connected, number, entry.subscribed)

    def told_of_calls(self, line: LineName) -> bool:
        """Whether WaGo's and ZuckZapGo's webhooks of the line are told of calls.

        They are not when the line was connected with a list of subscriptions without `Call`.
        """
        subscribed = {word.lower() for word in self._entry(line).subscribed}
        return not subscribed or bool(subscribed & CALL_SUBSCRIPTIONS)

    def check_on(self, line: LineName) -> None:
        """See whether the line makes and takes calls now.

        Raises:
            EngineOff: they are switched off, or it is not connected.
        """
        entry = self._entry(line)
        if self._paused(line):
            raise EngineOff("calls engine not enabled: the line is paused by the operator")
        if not entry.connected:
            raise EngineOff(
                "calls engine not enabled: the line is not connected (/session/connect)"
            )
        if not entry.in_force.calls_enabled:
            raise EngineOff(
                "calls engine not enabled: set callsEnabled (PUT /call/config), then reconnect"
            )

    def admit(self, line: LineName) -> InboundAction:
        """Say how a call that rings the line is met.

        Raises:
            EngineOff: as `check_on`.
        """
        self.check_on(line)
        return INBOUND_ACTIONS.get(self._entry(line).in_force.mode, InboundAction.RING)

    async def put(self, line: LineName, config: LineConfig) -> None:
        """Set how the line takes calls once it connects anew."""
        await self._change(line, lambda entry: msgspec.structs.replace(entry, stored=config))

    async def connect(self, line: LineName, subscribed: Sequence[str] | None = None) -> None:
        """Connect the line, or connect it anew: what was set comes into force.

        Args:
            line: which one.
            subscribed: the kinds of events that are wanted; None leaves them as they are.
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
        """Read what another node may have changed."""
        for line, entry in (await self._database.run(_read_all)).items():
            self._take(line, entry)

    async def follow(self) -> None:
        """Look for changes for ever."""
        while True:
            await asyncio.sleep(FOLLOW_SECONDS)
            try:
                await self.reload()
            except Exception:  # the next look may find the database well again
                log.exception("lines.unreadable")

    async def _change(self, line: LineName, change: Callable[[_Entry], _Entry]) -> None:
        def work(connection: sqlite3.Connection) -> _Entry:
            entry = change(_read_all(connection, line).get(line, self._unset(line)))
            written = msgspec.json.encode(entry)
            connection.execute("REPLACE INTO lines VALUES (?, ?)", (line, written))
            return entry

        self._take(line, await self._database.run(work))
        if self._siblings is not None:
            await self._siblings.ask_all(LINES_PATH)

    def _entry(self, line: LineName) -> _Entry:
        return self._entries.get(line) or self._unset(line)

    def _unset(self, line: LineName) -> _Entry:
        config = self._fresh.get(line)
        return _Entry(config, config) if config else _FRESH

    def _take(self, line: LineName, entry: _Entry) -> None:
        was_on = self._entry(line).on
        self._entries[line] = entry
        if was_on and not entry.on:
            log.info("line.off", extra={"line": line})
            self._switched_off(line)


def with_changes(config: LineConfig, **changes: bool | str | None) -> LineConfig:
    """Return a configuration with some of its fields changed; those that are None stay.

    The providers' token is cleared when a URL gets an origin that it was not set for, unless a token
    comes along: whoever can set a URL must not be sent a token that is never shown.
    """
    kept: dict[str, Any] = {name: to for name, to in changes.items() if to is not None}
    changed = replace(config, **kept)
    if "provider_token" in kept or changed.origins <= config.origins:
        return changed
    return replace(changed, provider_token="")


def _read_all(
    connection: sqlite3.Connection, line: LineName | None = None
) -> dict[LineName, _Entry]:
    rows = connection.execute(
        "SELECT line, entry FROM lines WHERE ?1 IS NULL OR line = ?1", (line,)
    )
    return {LineName(name): msgspec.json.decode(entry, type=_Entry) for name, entry in rows}
