"""What an operator sees of this node: its live calls, its load, and its lines' ways to WhatsApp."""

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Final
from urllib.parse import urlsplit

import msgspec

from bridge.call.model import LegKind, Party
from bridge.call.record.quality import LegQuality
from bridge.call.view import record_of, snapshot_of
from bridge.node.manager import Manager
from bridge.node.runner import CallRunner
from bridge.stores.nodes import Member
from bridge.wire.iso8601 import unix_milliseconds

SNAPSHOT_PATH: Final = "/node/console"
"""Where siblings fetch each other's snapshot."""
HISTORY: Final = 60
"""Seconds of MOS that a console gets at once."""
FRESH_SECONDS: Final = 2.5
"""A leg sampled longer ago than this has left."""
MAX_LINES: Final = 1000
"""Lines shown; those after them, by name, are left out."""
LOST_SECONDS: Final = 600
"""How long a lost node is shown."""
MAX_LOST: Final = 16


class OpenProblem(msgspec.Struct):
    """A problem that a call has now."""

    code: str
    severity: str


class LiveCall(msgspec.Struct, rename="camel"):
    """A live call; levels are in dBov, moments in milliseconds since 1970."""

    call_id: str
    node: int
    line: str
    direction: str
    state: str
    from_: str = msgspec.field(name="from")
    to: str
    tag: str
    started_at: int
    answered_at: int | None
    legs: list[str]
    """Their kinds."""
    muted: bool
    heard: int | None
    """From the far party; None while nothing comes."""
    said: int | None
    """From everybody else, the loudest; likewise."""
    mos: float | None
    """The worst of all legs and directions in the last second."""
    problems: list[OpenProblem]
    """The broken ones first."""
    mos_history: list[float | None] | None = None
    """Of the seconds before, oldest first; None where it was not asked for."""


class NodeFigures(msgspec.Struct, rename="camel"):
    """The load of one node."""

    node: int
    state: str
    """`ready`, `refusing` (overloaded), `draining`, `silent` for one that does not answer, or `lost` for one whose
    calls another has ended."""
    machine: str = ""
    """The host's name, or what is known of it."""
    address: str = ""
    """The host in its `cluster.url`."""
    version: str = ""
    since: int = 0
    """Since when it is in service, or lost: milliseconds since 1970."""
    calls: int = 0
    legs: int = 0
    cpu: float = 0.0
    """Share of a core."""
    lag_ms: float = 0.0
    """How late its timers ran in the last second, at worst."""
    encoder: str = ""
    """The encoder level."""
    ports_used: int = 0
    ports_free: int = 0
    calls_limit: int = 0
    """Calls that all nodes together may have (`limits.calls`)."""


class LineHealth(msgspec.Struct, rename="camel"):
    """A line, and how its way to WhatsApp answered last; moments in seconds since 1970, 0 for never."""

    line: str
    provider: str
    """`cloud`, `gateway` or `simulator`."""
    numbers: list[str]
    state: str
    """`on`, `paused` by the operator, or `off`: disconnected, or calls are switched off."""
    answered_at: float = 0.0
    failed_at: float = 0.0
    failure: str = ""
    reported_at: float = 0.0
    """Its last event of its own, such as a webhook."""


class Snapshot(msgspec.Struct):
    """What one node knows."""

    calls: list[LiveCall]
    node: NodeFigures
    lines: list[LineHealth]
    lost: list[NodeFigures] = []
    """Nodes whose calls this one has ended lately."""


class NodeStatus(msgspec.Struct):
    """How a node is, and which it has seen lost."""

    node: NodeFigures
    lost: list[NodeFigures] = []
    """Nodes whose calls this one has ended lately."""


class LostNodes:
    """The nodes that were lost in the last minutes, and whose calls this node has ended."""

    def __init__(self) -> None:
        self._found: deque[NodeFigures] = deque(maxlen=MAX_LOST)

    def note(self, lost: Member) -> None:
        """Note a lost node."""
        self._found.append(
            NodeFigures(
                lost.node,
                "lost",
                machine=shown(lost),
                address=address_of(lost),
                since=unix_milliseconds(datetime.now(UTC)),
            )
        )

    def recent(self) -> list[NodeFigures]:
        """Return those of the last minutes."""
        since = unix_milliseconds(datetime.now(UTC)) - LOST_SECONDS * 1000
        return [one for one in self._found if one.since >= since]


def shown(member: Member) -> str:
    """Return what a machine is called that does not tell its name."""
    return address_of(member) or member.machine[:8]


def address_of(member: Member) -> str:
    """Return the host in a node's `cluster.url`; "" without one."""
    return urlsplit(member.url).hostname or ""


class NodeView:
    """One node's part of the console."""

    def __init__(
        self,
        manager: Manager,
        *,
        node: int,
        figures: Callable[[], NodeFigures],
        lines: Callable[[], list[LineHealth]],
    ) -> None:
        self._manager = manager
        self._node = node
        self.figures = figures
        """Returns the node's load."""
        self._lines = lines
        self.lost = LostNodes()

    def status(self) -> NodeStatus:
        """Describe the node without its calls."""
        return NodeStatus(self.figures(), self.lost.recent())

    async def snapshot(self, *, history: bool = False) -> Snapshot:
        """Describe the node's calls, with the MOS of the last minute where `history` is set."""
        now = asyncio.get_running_loop().time()
        calls = await self._manager.describe(
            None, lambda runner: self._call(runner, now, history=history)
        )
        return Snapshot(calls, self.figures(), self._lines()[:MAX_LINES], self.lost.recent())

    def _call(self, runner: CallRunner, now: float, *, history: bool) -> LiveCall:
        call = snapshot_of(record_of(runner.facts, runner.machine, now=now))
        call_id = runner.facts.call_id
        known = self._manager.quality.legs(call_id)
        legs = [leg for leg in known if now - leg.last_at < FRESH_SECONDS]
        heard, said, mos = _now(legs)
        found = self._manager.diagnoses.find(call_id)
        open_ = found.diagnosis.open if found else []
        return LiveCall(
            call_id=call.id,
            node=self._node,
            line=runner.facts.line,
            direction=call.direction,
            state=call.state,
            from_=call.from_,
            to=call.to,
            tag=call.tag,
            started_at=unix_milliseconds(call.started_at),
            answered_at=unix_milliseconds(call.answered_at) if call.answered_at else None,
            legs=[kind.value for kind in runner.kinds()],
            muted=call.muted,
            heard=heard,
            said=said,
            mos=mos,
            problems=[OpenProblem(one.code.value, one.severity.word) for one in open_],
            mos_history=_history(legs) if history else None,
        )


def _now(legs: list[LegQuality]) -> tuple[int | None, int | None, float | None]:
    """Return the level heard from the far party, that of the others, and the worst MOS."""
    heard: list[float] = []
    said: list[float] = []
    scores: list[float] = []
    for leg in legs:
        sample = leg.timeline.newest()
        if sample is None:
            continue
        scores += [score for score in (sample.mos, sample.sent_mos) if score is not None]
        if sample.level is not None and leg.last.kind is not LegKind.RECORDER:
            (heard if leg.last.party is Party.FAR else said).append(sample.level)
    loudest = [round(max(levels)) if levels else None for levels in (heard, said)]
    return loudest[0], loudest[1], round(min(scores), 1) if scores else None


def _history(legs: list[LegQuality]) -> list[float | None]:
    """Return the worst MOS of each of the last seconds but the newest."""
    columns = [leg.timeline.recent(name, HISTORY) for leg in legs for name in ("mos", "sent_mos")]
    newest_first = zip_longest(*(reversed(column) for column in columns))
    worst = [
        min((one for one in second if one is not None), default=None) for second in newest_first
    ]
    return [None if one is None else round(one, 1) for one in worst[:0:-1]]
