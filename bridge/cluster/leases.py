"""The nodes of several machines, by leases in the database that they share.

A node renews its lease each heartbeat (`cluster.timing`), on a connection of its own: the commits of events may take long. The
database's clock is the only one that counts. A lease that ran out can be renewed as long as nobody has declared
its node dead; afterwards the node finds itself fenced.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Self, TypeVar

from typing_extensions import override

from bridge.cluster.failure_detector import Decision, FailureDetector, decide, suspects
from bridge.cluster.membership import Membership
from bridge.cluster.timing import DEFAULT, ClusterTiming
from bridge.db.session import Connection, Engine, Session, transaction
from bridge.errors import BridgeError
from bridge.http.node_signature import RowSigner
from bridge.stores import nodes
from bridge.stores.nodes import Lease, Member, NodeLoad
from bridge.tasks import Tasks

if TYPE_CHECKING:
    from bridge.metrics.node import NodeMetrics

log = logging.getLogger(__name__)

UNSIGNED: Final = (
    "its row in the database is signed by neither cluster.secret nor cluster.former_secret of this machine: set "
    "the same cluster.secret on both, and the same version; where they are, somebody else has changed the row"
)

Result = TypeVar("Result")


async def _unknown(_: Member) -> str | None:
    return None


class Leased(Membership):
    """The nodes that share a database."""

    def __init__(
        self,
        own: Member,
        session: Session,
        connect: Callable[[], Session],
        thread: ThreadPoolExecutor,
        signer: RowSigner,
        *,
        timing: ClusterTiming,
    ) -> None:
        """Use `join` instead."""
        super().__init__(own, launch_id="", timing=timing)
        self.finish_seconds = timing.finish_leased
        self.boot_of: Callable[[Member], Awaitable[str | None]] = _unknown
        """Asks a node, at its address, for its boot id; None: it does not answer."""
        self.describe: Callable[[], tuple[NodeLoad, bool]] = lambda: (NodeLoad(), False)
        """Returns this node's load, and whether it is draining."""
        self.metrics: NodeMetrics | None = None
        """Gets the seconds that the lease still lasts, and counts what the failure detector refuses."""
        self._connect = connect
        self._signer = signer
        self._unsigned: set[str] = set()
        """Processes whose rows were found unsigned; by boot id."""
        self._session: Session | None = session
        self._thread = thread
        self._loop = asyncio.get_running_loop()
        self._detector = FailureDetector(timing)
        self._found: list[Lease] = []
        self._shared_time = 0.0
        self._read_at = self._loop.time()
        self._renewed_at = -timing.heartbeat
        self._reachable = True
        self._tasks = Tasks()
        self._closed = False

    @classmethod
    async def join(
        cls,
        engine: Engine,
        connect: Callable[[], Session],
        own: Member,
        *,
        launch_id: str = "",
        signer: RowSigner | None = None,
        timing: ClusterTiming = DEFAULT,
    ) -> Self:
        """Register this process, and keep its lease until `aclose`; `connect` opens a session of the database.

        Its number is given to it here. `signer` signs its row, and says whose `cluster.url` may be used; without
        one all are.

        Raises:
            SetupError: the database cannot be used, or has 256 nodes.
        """
        signer = signer or RowSigner()

        def register() -> tuple[Member, Session]:
            with closing(engine.open()) as session, transaction(session):
                joined = nodes.join(
                    session,
                    own,
                    launch_id=launch_id or own.boot,
                    now=session.now(),
                    lease=timing.lease,
                    signer=signer,
                )
            return joined, connect()

        thread = ThreadPoolExecutor(1, thread_name_prefix="lease")
        try:
            joined, session = await asyncio.get_running_loop().run_in_executor(thread, register)
        except BaseException:
            thread.shutdown(wait=False)
            raise
        made = cls(joined, session, connect, thread, signer, timing=timing)
        await made.look()
        made._tasks.spawn(made._beat(), name="lease")
        made._tasks.spawn(made._detect(), name="failure detector")
        return made

    @override
    def now(self) -> float:
        """Return the database's time."""
        return self._shared_time + self._loop.time() - self._read_at

    @override
    def others(self) -> list[Member]:
        """Return the other nodes whose leases had not run out when they were read last."""
        return [
            one.member
            for one in self._found
            if one.member.boot != self.own.boot
            and (one.until is None or one.until >= self._shared_time)
        ]

    def update(self, living: Collection[Member], ended: Collection[Member]) -> None:
        """Note which processes of this machine the supervisor saw end; their numbers are not those of nodes."""
        new = {one.boot for one in ended} - self._known
        self._known |= new
        self._report([one for one in self._members.values() if one.boot in new], certain=True)

    @override
    def register(self, connection: Connection) -> None:
        """Do nothing: this process has joined."""

    async def look(self) -> None:
        """Renew the lease if it is time, and read who else is there.

        Raises:
            BridgeError: the database cannot be reached.
        """
        renew = self._loop.time() - self._renewed_at >= self.timing.heartbeat - self.timing.look / 2
        load, draining = self.describe()
        own = replace(self.own, load=load, draining=draining)

        def work(session: Session) -> tuple[bool, float, list[Lease]]:
            now = session.now()
            alive = not renew or nodes.renew(
                session, own, now=now, lease=self.timing.lease, signer=self._signer
            )
            return alive, now, nodes.leases(session)

        asked_at = self._loop.time()
        alive, self._shared_time, found = await self._in_thread(work)
        self._read_at = self._loop.time()
        self.own = own
        if renew:
            self._renewed_at = asked_at
            self._detector.renewed(self._read_at)
        if not alive or own.boot not in {one.member.boot for one in found}:
            if not self.fenced.is_set():
                log.error("node.fenced", extra={"node": own.node, "boot": own.boot})
            self.fenced.set()
            return
        registered = {one.member.boot for one in found}
        ended = [one for one in self._members.values() if one.boot not in registered]
        self._found = self._checked(found)
        self._members = {one.member.node: one.member for one in self._found}
        # Ended by another node, or by themselves: what they left may be anybody's.
        self._report(ended, certain=True)

    def _checked(self, found: Collection[Lease]) -> list[Lease]:
        """Return leases without the URLs that no machine has signed: customers' keys would be sent there."""
        unsigned = {
            one.member.boot
            for one in found
            if one.member.machine != self.own.machine and not one.signed(self._signer)
        }
        for one in found:
            if one.member.boot in unsigned - self._unsigned:
                log.error("sibling.unsigned", extra={"sibling": one.member.node, "why": UNSIGNED})
        self._unsigned = unsigned
        return [one.without_url() if one.member.boot in unsigned else one for one in found]

    async def aclose(self) -> None:
        """Release the lease, and close the connection."""
        if self._closed:
            return
        self._closed = True
        await self._tasks.aclose()
        try:
            boots = [self.own.boot]
            await self._in_thread(lambda it: nodes.end(it, boots, now=it.now()))
        except BridgeError as error:
            log.warning("lease.release_failed", extra={"error": error.code})
        await self._loop.run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    async def _beat(self) -> None:
        while not self.fenced.is_set():
            began = self._loop.time()
            try:
                await self.look()
            except BridgeError as error:
                self._detector.failed()
                if self._reachable:
                    log.warning(
                        "lease.unreachable", extra={"node": self.own.node, "error": error.code}
                    )
                self._reachable = False
            except Exception:  # must not end the loop
                self._detector.failed()
                log.exception("lease.failed")
            else:
                if not self._reachable:
                    log.info("lease.reachable", extra={"node": self.own.node})
                self._reachable = True
            await asyncio.sleep(max(0.1, began + self.timing.look - self._loop.time()))

    async def _detect(self) -> None:
        refused: set[str] = set()
        while not self.fenced.is_set():
            jitter = self.timing.decide_jitter * secrets.randbelow(1000) / 1000
            await asyncio.sleep(self.timing.decide + jitter)
            if self.own.draining and any(not one.draining for one in self.others()):
                continue  # they can go on with the calls of a dead node
            try:
                decision = await self.decide()
            except Exception:  # must not end the loop
                log.exception("node.fencing_failed")
                continue
            self._report(decision.dead, certain=False)
            new = {one.boot for one in decision.refused}
            if new - refused:
                log.error(
                    "node.fencing_refused",
                    extra={"node": self.own.node, "nodes": len(new), "of": len(self._found)},
                )
            if self.metrics is not None:
                self.metrics.set_lease(self._lease_left())
                self.metrics.fencing_refused(amount=bool(new - refused))
            refused = new

    def _lease_left(self) -> float:
        untils = (one.until for one in self._found if one.member.boot == self.own.boot)
        return max(0.0, (next(untils, None) or 0.0) - self.now())

    async def decide(self) -> Decision:
        """Return which nodes are dead, having asked the suspects."""
        suspected = suspects(self._found, own=self.own, now=self.now())
        if not suspected or not self._detector.armed(self._loop.time()):
            return Decision()
        boots = await asyncio.gather(*(self._ask(one) for one in suspected))
        answering = [
            one.boot for one, boot in zip(suspected, boots, strict=True) if boot == one.boot
        ]
        return decide(self._found, suspected, answering)

    async def _ask(self, suspect: Member) -> str | None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self.timing.answer):
                return await self.boot_of(suspect)
        return None

    async def _in_thread(self, work: Callable[[Session], Result]) -> Result:
        def run() -> Result:
            if self._session is None:
                self._session = self._connect()
            try:
                return work(self._session)
            except BaseException:
                self._close()
                raise

        return await self._loop.run_in_executor(self._thread, run)

    def _close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()
