"""What a line with a gateway engine knows of its calls beyond one process, and of dials gone wrong.

A dial whose outcome is not known may ring somebody although it has failed for us: no answer came,
or the process was killed meanwhile. Such a call is hung up when the engine lists it: an outbound
call to that number which nobody has, nobody is about to have, and which was not there before.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from bridge.call.model import LineName
from bridge.errors import BridgeError, InvalidRequest, InvalidState, LimitExceeded, NotFound
from bridge.net.cloud_store import CloudStore
from bridge.net.gateway import GatewayEngine
from bridge.wire.gateway import EngineCall

log = logging.getLogger(__name__)

KEPT_SECONDS: Final = 60.0
"""How long an ended call's id stands for that call; an engine that starts anew may give it again."""
DOUBT_SECONDS: Final = 120.0
"""How long a dial without a known outcome is thought of."""
MAX_DOUBTS: Final = 100

REFUSALS: Final = (InvalidRequest, InvalidState, LimitExceeded, NotFound)
"""With these an engine says for certain that it does not ring."""


@dataclass(frozen=True, slots=True)
class _Doubt:
    number: str
    before: frozenset[str]
    """Calls that the engine had already."""
    until: float
    row: int | None


class LineMemory:
    """One line's calls in the store (`gateway_follower.Memory`), and its dials."""

    def __init__(self, line: LineName, *, engine: GatewayEngine, store: CloudStore) -> None:
        """Make it; must be called within the running loop."""
        self._line = line
        self._engine = engine
        self._store = store
        self._now = asyncio.get_running_loop().time
        self._running: dict[int, str] = {}
        """Numbers that are being dialled, by the store's row."""
        self._doubts: list[_Doubt] = []

    async def dial(
        self, number: str, *, before: Collection[str], abandon: Callable[[str], None]
    ) -> str:
        """Let the engine ring a number, and give its id of the call.

        Args:
            number: digits.
            before: the calls that the engine has already.
            abandon: hangs up a call that began and is not given after all.

        Raises:
            BridgeError: it does not ring it, or nobody knows; then the call is hung up if it turns up.
        """
        row = await self._store.begin_dial(number, self._line)
        self._running[row] = number
        sure = False
        try:
            call_id = await self._engine.dial(number)
            sure = True
            try:
                await self.claim(call_id)
            except BaseException:
                abandon(call_id)
                raise
        except REFUSALS:
            sure = True
            raise
        finally:
            del self._running[row]
            if sure:
                self._store.end_dial(row)
            else:
                log.warning("gateway.dial_in_doubt")
                self._doubt(_Doubt(number, frozenset(before), self._now() + DOUBT_SECONDS, row))
        return call_id

    async def claim(self, call_id: str) -> bool:
        """Write down that this node has a call; False when one of the nodes has it already."""
        return await self._store.claim(self._key(call_id), self._line)

    def suspect(self, number: str) -> None:
        """Think of a dial that this node's forerunner was cut off from."""
        self._doubt(_Doubt(number, frozenset(), self._now() + DOUBT_SECONDS, None))

    def ended(self, call_id: str) -> None:
        """Note that a call is over on the engine."""
        self._store.ended(self._key(call_id))

    def release(self, call_id: str) -> None:
        """Note that a call is nobody's any more, so that it may be taken again."""
        self._store.release(self._key(call_id))

    @property
    def doubts(self) -> bool:
        """Whether there are dials without a known outcome."""
        return bool(self._doubts)

    async def disown(self, calls: Collection[EngineCall]) -> list[str]:
        """Give those of the strange calls that are ours, and that nobody waits for."""
        found: list[str] = []
        for doubt in list(self._doubts):
            if self._now() > doubt.until:
                self._settle(doubt)
            for call in calls:
                ours = not call.inbound and call.peer == doubt.number
                if ours and call.call_id not in doubt.before and await self._is_lost(call, doubt):
                    log.warning("gateway.orphan_ended")
                    found.append(call.call_id)
                    self._settle(doubt)
                    break
        return found

    async def _is_lost(self, call: EngineCall, doubt: _Doubt) -> bool:
        """Whether no node has the call, and none is about to."""
        if call.peer in self._running.values():
            return False
        rows = [other.row for other in self._doubts if other.row is not None]
        try:
            if await self._store.is_dialled(doubt.number, self._line, but=rows):
                return False
            return await self.claim(call.call_id)
        except BridgeError as error:
            log.warning("gateway.memory_failed", extra={"code": error.code})
            return False

    def _doubt(self, doubt: _Doubt) -> None:
        self._doubts.append(doubt)
        if len(self._doubts) > MAX_DOUBTS:
            self._settle(self._doubts[0])

    def _settle(self, doubt: _Doubt) -> None:
        self._doubts.remove(doubt)
        if doubt.row is not None:
            self._store.end_dial(doubt.row)

    def _key(self, call_id: str) -> str:
        return key_of(self._line, call_id)


def key_of(line: LineName, call_id: str) -> str:
    """Name a call among those of all lines; an engine's own ids are unique on that engine only."""
    return f"{line}/{call_id}"
