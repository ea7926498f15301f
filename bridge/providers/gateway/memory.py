"""The calls of a line with a gateway in the store, and the orphans of its dials.

A dial without a known outcome (no answer came, or the process was killed) may ring somebody although
it has failed for us. Such an orphan is hung up once the gateway lists it: an outbound call to that
number that was not there before and that no node has or is about to have.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from bridge.call.model import LineName
from bridge.errors import BridgeError, InvalidRequest, InvalidState, LimitExceeded, NotFound
from bridge.stores.cloud import CloudStore
from bridge.whatsapp.gateway import Gateway
from bridge.wire.gateway import EngineCall

log = logging.getLogger(__name__)

KEPT_SECONDS: Final = 60.0
"""How long an ended call keeps its id; a gateway that restarts may use it again."""
ORPHAN_SECONDS: Final = 120.0
"""How long the call of a dial without a known outcome may turn up."""
MAX_SUSPECTS: Final = 100

REFUSALS: Final = (InvalidRequest, InvalidState, LimitExceeded, NotFound)
"""With these a gateway certainly does not ring."""


@dataclass(frozen=True, slots=True)
class _Suspect:
    number: str
    before: frozenset[str]
    """Calls that the gateway had before the dial."""
    until: float
    row: int | None


class LineMemory:
    """One line's calls and dials as all nodes and the next process know them."""

    def __init__(self, line: LineName, *, gateway: Gateway, store: CloudStore) -> None:
        """Must be called within the running loop."""
        self._line = line
        self._gateway = gateway
        self._store = store
        self._now = asyncio.get_running_loop().time
        self._running: dict[int, str] = {}
        """Numbers being dialled, by the store's row."""
        self._suspects: list[_Suspect] = []

    async def dial(
        self, number: str, *, before: Collection[str], abandon: Callable[[str], None]
    ) -> str:
        """Have the gateway ring a number, and return its id of the call.

        `before` are the calls that the gateway has already; `abandon` hangs up one that cannot be claimed.

        Raises:
            BridgeError: it does not ring, or the outcome is unknown; then the call is hung up once listed.
        """
        row = await self._store.begin_dial(number, self._line)
        self._running[row] = number
        decided = False
        try:
            call_id = await self._gateway.dial(number)
            decided = True
            try:
                await self.claim(call_id)
            except BaseException:
                abandon(call_id)
                raise
        except REFUSALS:
            decided = True
            raise
        finally:
            del self._running[row]
            if decided:
                self._store.end_dial(row)
            else:
                log.warning("gateway.dial_outcome_unknown")
                self._add(_Suspect(number, frozenset(before), self._now() + ORPHAN_SECONDS, row))
        return call_id

    async def claim(self, call_id: str) -> bool:
        """Claim a call for this node; return False if a node has it already."""
        return await self._store.claim(key_of(self._line, call_id), self._line)

    def suspect_orphan(self, number: str) -> None:
        """Expect the call of a dial that the killed previous process had begun."""
        self._add(_Suspect(number, frozenset(), self._now() + ORPHAN_SECONDS, None))

    def ended(self, call_id: str) -> None:
        """Note that a call has ended on the gateway."""
        self._store.ended(key_of(self._line, call_id))

    def release(self, call_id: str) -> None:
        """Let a call be claimed again."""
        self._store.release(key_of(self._line, call_id))

    @property
    def suspects(self) -> bool:
        """Whether there are dials without a known outcome."""
        return bool(self._suspects)

    async def orphans(self, calls: Collection[EngineCall]) -> list[str]:
        """Return those of the unknown calls that a dial without a known outcome has begun."""
        found: list[str] = []
        for suspect in list(self._suspects):
            if self._now() > suspect.until:
                self._remove(suspect)
            for call in calls:
                matches = not call.inbound and call.peer == suspect.number
                fresh = call.call_id not in suspect.before
                if matches and fresh and await self._is_orphan(call, suspect):
                    log.warning("gateway.orphan_ended")
                    found.append(call.call_id)
                    self._remove(suspect)
                    break
        return found

    async def _is_orphan(self, call: EngineCall, suspect: _Suspect) -> bool:
        """Return whether no node has the call, or is about to have it."""
        if call.peer in self._running.values():
            return False
        rows = [other.row for other in self._suspects if other.row is not None]
        try:
            if await self._store.is_dialled(suspect.number, self._line, but=rows):
                return False
            return await self.claim(call.call_id)
        except BridgeError as error:
            log.warning("gateway.store_failed", extra={"code": error.code})
            return False

    def _add(self, suspect: _Suspect) -> None:
        self._suspects.append(suspect)
        if len(self._suspects) > MAX_SUSPECTS:
            self._remove(self._suspects[0])

    def _remove(self, suspect: _Suspect) -> None:
        self._suspects.remove(suspect)
        if suspect.row is not None:
            self._store.end_dial(suspect.row)


def key_of(line: LineName, call_id: str) -> str:
    """Return a call's key among those of all lines; a gateway's ids are unique on that gateway only."""
    return f"{line}/{call_id}"
