"""Make before break: a connection stays in use until the one that replaces it works."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, Literal, TypeVar

from bridge.errors import InvalidState, NegotiationFailed
from bridge.tasks import Tasks

log = logging.getLogger(__name__)

Connection = TypeVar("Connection")


class Switchover(Generic[Connection]):
    """The connection in use, and the next one, which takes its place once it is up.

    Args:
        stage: What an unexpected error while connecting is reported as.
        connect: Brings a connection up, or raises `NegotiationFailed`.
        close: Closes a connection, from any state.
        on_switch: Called with the new connection and the one it replaces; None at first.
        on_failure: Called when the next connection did not come up.
        on_lost: Called with the reason when the connection in use is lost and nothing replaces it.
        linger: Seconds for which a replaced connection stays open.
    """

    def __init__(  # noqa: PLR0913 - keyword only
        self,
        *,
        stage: Literal["ice", "dtls"],
        connect: Callable[[Connection], Awaitable[None]],
        close: Callable[[Connection], Awaitable[None]],
        on_switch: Callable[[Connection, Connection | None], None],
        on_failure: Callable[[], None],
        on_lost: Callable[[str], None],
        linger: float = 0.0,
    ) -> None:
        self.current: Connection | None = None
        self.next: Connection | None = None
        self.latest: Connection | None = None
        """The one that was `next` last, whatever has become of it."""
        self.closed = False
        self._stage = stage
        self._connect = connect
        self._close = close
        self._on_switch = on_switch
        self._on_failure = on_failure
        self._on_lost = on_lost
        self._linger = linger
        self._open: list[Connection] = []
        self._tasks = Tasks()
        self._up: asyncio.Future[None] | None = None
        self._lost = ""

    @property
    def newest(self) -> Connection | None:
        """The next connection, else the current one."""
        return self.next or self.current

    @property
    def stable(self) -> bool:
        """Whether one connection is in use, no other comes up, and none lingers."""
        return self._open == [self.current]

    def restore(self, connection: Connection) -> None:
        """Take a connection that is up."""
        self._open.append(connection)
        self.current = self.latest = connection
        self._up = asyncio.get_running_loop().create_future()
        self._up.set_result(None)

    async def prepare(self, connection: Connection, opening: Awaitable[None]) -> None:
        """Wait until a connection is open and make it the next one, in place of any other.

        Raises:
            InvalidState: everything was closed meanwhile.
        """
        self._open.append(connection)
        try:
            await opening
            if self.closed:
                raise InvalidState("the peer connection is closed")
        except BaseException:
            await self._release(connection)
            raise
        replaced, self.next = self.next, connection
        self.latest = connection
        if replaced is not None:
            await self._release(replaced)

    async def connect(self) -> None:
        """Bring up the first connection: the next one, or what replaces it before it is up.

        Raises:
            NegotiationFailed: it did not come up.
        """
        self._up = asyncio.get_running_loop().create_future()
        self.begin()
        await self._up

    def begin(self) -> None:
        """Start to bring up the next connection; does nothing before `connect`."""
        if self.next is not None and self._up is not None and not self.closed:
            self._tasks.spawn(self._bring_up(self.next), name=f"{self._stage} set-up")

    def lost(self, connection: Connection, reason: str) -> None:
        """Report that a connection is lost; if it is in use, a next one may still replace it."""
        if connection is self.current:
            self._lost = reason
            if self.next is None:
                self._on_lost(reason)

    async def aclose(self) -> None:
        """Close every connection, also when cancelled; safe to repeat."""
        self.closed = True
        self.current = self.next = None
        try:
            await self._tasks.aclose()
        finally:
            self._fail(NegotiationFailed("closed", stage="ice", reason="closed"))
            await self._release_all()

    async def _bring_up(self, connection: Connection) -> None:
        failure = None
        try:
            await self._connect(connection)
        except NegotiationFailed as error:
            failure = error
        except Exception:
            log.exception("peer.setup_crashed")
            failure = NegotiationFailed("internal error", stage=self._stage, reason="internal")
        if connection is not self.next:
            return
        self.next = None
        if failure is None:
            await self._switch_to(connection)
        else:
            self._fail(failure)
            await self._release(connection)

    async def _switch_to(self, connection: Connection) -> None:
        replaced, self.current = self.current, connection
        self._lost = ""
        self._on_switch(connection, replaced)
        if self._up is not None and not self._up.done():
            self._up.set_result(None)
        if replaced is not None:
            # What the peer sent before it learned of the new connection is still on its way.
            await asyncio.sleep(self._linger)
            await self._release(replaced)

    def _fail(self, error: NegotiationFailed) -> None:
        if self._up is not None and not self._up.done():
            self._up.set_exception(error)
        if not self.closed:
            self._on_failure()
            if self._lost:
                self._on_lost(self._lost)

    async def _release(self, connection: Connection) -> None:
        try:
            await self._close(connection)
        finally:
            if connection in self._open:
                self._open.remove(connection)

    async def _release_all(self) -> None:
        while self._open:
            try:
                await self._release(self._open[0])
            except BaseException:
                await self._release_all()
                raise
