"""The provider of Meta's lines between a Graph client, legs and a call service that are all fakes."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from bridge.call.model import CallDetails, CallFacts, CallId, EndReason, LegId, LineName
from bridge.db.database import Database
from bridge.db.sqlite import Sqlite
from bridge.errors import BridgeError
from bridge.http.service_health import ServiceHealth
from bridge.legs.cloud import Connect, InboundCall, Signalling
from bridge.providers.cloud.live import CloudLine, key_of_call
from bridge.providers.cloud.provider import CloudProvider
from bridge.stores.cloud import CloudStore
from bridge.wire.cloud import Caller, Connected, Status, StatusChanged, Terminated
from bridge.wire.metadata import pack
from tests.support.databases import open_database
from tests.support.whatsapp.left_behind import live_calls, member

LINE, NUMBER_ID, USER = LineName("main"), "900", "15550102222"
OURS = frozenset({NUMBER_ID})


class FakeGraph:
    """Notes what is asked, and answers or fails as it is told."""

    def __init__(self) -> None:
        self.health = ServiceHealth()
        self.asked: list[tuple[str, ...]] = []
        self.fails: dict[str, BridgeError] = {}
        self.gates: dict[str, asyncio.Event] = {}
        """By action: its answer waits for this."""
        self.announcements: dict[str, dict[str, str]] = {}
        self.next_id = "wacid.1"

    async def connect(self, number: str, sdp: str, *, opaque: str = "") -> str:
        await self._note("connect", number, opaque)
        return self.next_id

    async def pre_accept(self, wacid: str, sdp: str) -> None:
        await self._note("pre_accept", wacid)

    async def accept(self, wacid: str, sdp: str, *, opaque: str = "") -> None:
        await self._note("accept", wacid, opaque)

    async def reject(self, wacid: str) -> None:
        await self._note("reject", wacid)

    async def terminate(self, wacid: str) -> None:
        await self._note("terminate", wacid)

    async def _note(self, *words: str) -> None:
        self.asked.append(words)
        if (gate := self.gates.get(words[0])) is not None:
            await gate.wait()
        if (failure := self.fails.get(words[0])) is not None:
            raise failure


class FakeWhatsAppLeg:
    """Notes what it is told."""

    def __init__(
        self,
        leg_id: LegId,
        signalling: Signalling,
        inbound: InboundCall | None,
        connect: Connect | None,
    ) -> None:
        self.leg_id = leg_id
        self.signalling = signalling
        self.inbound = inbound
        self.connect = connect
        self.wacid = "" if inbound is None else inbound.wacid
        self.told: list[str] = []
        self.closed = False

    async def run(self, emit: Callable[[Any], None]) -> None:
        assert self.connect is not None
        await self.connect(cast("Any", self), "an offer")

    def dialled(self, wacid: str) -> None:
        self.wacid = wacid

    def set_answer(self, sdp: str) -> None:
        self.told.append(f"answer {sdp}")

    def ringing(self) -> None:
        self.told.append("ringing")

    def accepted(self) -> None:
        self.told.append("accepted")

    def terminated(self, reason: EndReason, error: BridgeError | None = None) -> None:
        self.told.append(f"terminated {reason}")

    async def aclose(self) -> None:
        self.closed = True
        if self.inbound is not None:
            await self.signalling.reject(self.wacid)
        elif self.wacid:
            await self.signalling.terminate(self.wacid)


class FakeReceiver:
    """A call service that takes calls, or fails."""

    def __init__(self) -> None:
        self.taken: list[tuple[LineName, str, CallDetails]] = []
        self.fails: BridgeError | None = None

    async def receive(
        self,
        line: LineName,
        number: str,
        far: Any,
        details: CallDetails | None = None,
    ) -> Any:
        if self.fails is not None:
            raise self.fails
        assert details is not None
        self.taken.append((line, number, details))
        return SimpleNamespace(facts=SimpleNamespace(call_id=f"call {len(self.taken)}"))


class CloudBench:
    """A provider, and everything about it."""

    def __init__(self, database: Database, *, node: int = 0) -> None:
        self.graph = cast("Any", FakeGraph())
        self.legs: list[FakeWhatsAppLeg] = []
        self.counts: Counter[str] = Counter()
        self.receiver = FakeReceiver()
        self.database = database
        self.store = CloudStore(database, own=member(node))
        self.leg_fails: BridgeError | None = None
        line = CloudLine(NUMBER_ID, "secret", "verify", pre_accept=True, graph=self.graph)
        self.provider = CloudProvider(
            {LINE: line}, legs=self._leg, store=self.store, count=self._count
        )

    @property
    def asked(self) -> list[tuple[str, ...]]:
        """What Meta was asked."""
        asked: list[tuple[str, ...]] = self.graph.asked
        return asked

    def take(self, *events: Any) -> frozenset[tuple[LineName, str]]:
        """Let a webhook come."""
        return self.provider.handle_webhook(events, self.receiver, numbers=OURS)

    async def dial(self, opaque: str = "", number: str = USER) -> Any:
        """InboundCall somebody; return the leg once Meta has accepted."""
        metadata = {"biz_opaque_callback_data": opaque} if opaque else {}
        details = CallDetails(metadata=pack(metadata))
        call = CallFacts(CallId("00ab"), LINE, number, datetime.now(UTC), details)
        leg: Any = self.provider.outbound_leg(call, number)
        await leg.run(lambda event: None)
        return leg

    async def wait_idle(self) -> None:
        """Wait until nothing is being done any more."""
        async with asyncio.timeout(5):
            await self.provider.calls.tasks.wait()
            await self.database.flush()

    async def live_at_metas(self) -> list[str]:
        """The calls whose end Meta does not know of, as written down."""
        await self.database.flush()
        left = await live_calls(self.database)
        return [key.removeprefix(key_of_call(line, "")) for key, line in left]

    def _leg(
        self,
        leg_id: LegId,
        *,
        signalling: Signalling,
        inbound: InboundCall | None = None,
        connect: Connect | None = None,
    ) -> Any:
        if self.leg_fails is not None:
            raise self.leg_fails
        self.legs.append(FakeWhatsAppLeg(leg_id, signalling, inbound, connect))
        return self.legs[-1]

    def _count(self, outcome: str) -> None:
        self.counts[outcome] += 1


@asynccontextmanager
async def cloud_bench(folder: Path) -> AsyncIterator[CloudBench]:
    """A provider for the length of a `with`."""
    database = open_database(Sqlite(folder / "bridge.sqlite3"))
    bench = CloudBench(database)
    try:
        yield bench
    finally:
        await bench.provider.calls.aclose()
        await database.aclose()


def now() -> float:
    """The moment, as Meta writes it."""
    return datetime.now(UTC).timestamp()


def ring(wacid: str = "wacid.1", **more: Any) -> Connected:
    """Somebody rings us."""
    caller = Caller(number=USER, name="Nadia")
    known: dict[str, Any] = {"at": now(), "inbound": True, "sdp": "their offer", "caller": caller}
    return Connected(**({"wacid": wacid, "phone_number_id": NUMBER_ID} | known | more))


def answer(wacid: str = "wacid.1", *, opaque: str = "", person: str = USER) -> Connected:
    """Meta's media server answers our offer."""
    return Connected(
        wacid, NUMBER_ID, now(), False, "their answer", Caller(number=person), opaque=opaque
    )


def status(word: str, wacid: str = "wacid.1", *, opaque: str = "") -> StatusChanged:
    """The person that we ring is one step further."""
    return StatusChanged(wacid, NUMBER_ID, now(), Status(word), USER, opaque)


def over(
    wacid: str = "wacid.1", *, answered: bool = False, failed: bool = False, outbound: bool = False
) -> Terminated:
    """The call is over."""
    return Terminated(wacid, NUMBER_ID, now(), failed, answered, (), outbound)
