"""Lines whose provider is a gateway engine: outbound and inbound calls, and recovery after a crash."""

import logging
from collections.abc import Mapping

from bridge.call.model import CallDetails, CallFacts, LineName, Parties
from bridge.errors import BridgeError, InvalidState
from bridge.legs.base import DialledLeg, new_leg_id
from bridge.legs.gateway import Dial, GatewayLeg, RetryPolicy
from bridge.net.cloud_store import CloudStore
from bridge.net.gateway import GatewayEngine
from bridge.providers.base import CallReceiver
from bridge.providers.gateway.follower import GatewayFollower, Take
from bridge.providers.gateway.memory import LineMemory, key_of
from bridge.tasks import Tasks
from bridge.wire.gateway import EngineCall, Webhook

log = logging.getLogger(__name__)


class GatewayProvider:
    """Calls numbers over the lines' engines, and takes their inbound calls."""

    def __init__(
        self,
        engines: Mapping[LineName, GatewayEngine],
        *,
        store: CloudStore,
        poll_seconds: float | None = None,
        retry_policy: RetryPolicy | None = None,
    ) -> None:
        """Must be called within the running loop; `poll_seconds` is None for `POLL_SECONDS`."""
        self._engines = engines
        self._store = store
        self._retry_policy = retry_policy
        self._memories = {
            line: LineMemory(line, engine=engine, store=store) for line, engine in engines.items()
        }
        self._followers = {
            line: GatewayFollower(engine, memory=self._memories[line], poll_seconds=poll_seconds)
            for line, engine in engines.items()
        }

    def has(self, line: LineName) -> bool:
        """Return whether the line's provider is a gateway engine."""
        return line in self._engines

    def outbound_leg(self, call: CallFacts, number: str) -> DialledLeg:
        """Return a leg that has the line's engine ring the number (`legs.dial.Dialer`)."""
        line = call.line
        follower = self._followers[line]

        async def dial() -> str:
            try:
                return await self._memories[line].dial(
                    number,
                    before=follower.listed,
                    abandon=lambda call_id: follower.forget(call_id, unwanted=True),
                )
            finally:
                # After a failure too: the engine may ring all the same.
                follower.poll_now()

        return self._leg(line, dial)

    def start(self, receiver: CallReceiver, tasks: Tasks, *, first: bool) -> None:
        """Start polling.

        Args:
            receiver: takes inbound calls.
            tasks: owns the polling.
            first: of several nodes, the one that takes inbound calls; the others take what it leaves.
        """
        for line, follower in self._followers.items():
            follower.take = self._taker(line, receiver)
            follower.standby = not first
            tasks.spawn(follower.run(), name=f"gateway {line}")
            if (feed := self._engines[line].feed) is not None:
                tasks.spawn(feed.run(follower.handle_event), name=f"gateway events {line}")

    async def recover(self, *, nodes: int) -> None:
        """Recover the calls and dials of this node's killed previous process.

        What still rings is taken again; what it was talking on or dialling is hung up.
        """
        for number, line in await self._store.orphaned_dials(nodes=nodes, lines=self._engines):
            self._memories[line].suspect_orphan(number)
            self._followers[line].poll_now()
        live: dict[LineName, list[str]] = {}
        for key, line in await self._store.orphaned_calls(nodes=nodes):
            if line in self._engines:
                live.setdefault(line, []).append(key.removeprefix(key_of(line, "")))
        for line, call_ids in live.items():
            self._followers[line].recover(call_ids)

    def handle_event(self, line: LineName, event: Webhook) -> None:
        """Process an event of the line's engine.

        Raises:
            InvalidState: the line has no engine.
        """
        if line not in self._followers:
            raise InvalidState("this line's WhatsApp provider is not a gateway")
        self._followers[line].handle_event(event)

    def _taker(self, line: LineName, receiver: CallReceiver) -> Take:
        async def take(call: EngineCall) -> None:
            if not await self._memories[line].claim(call.call_id):
                return
            try:
                await receiver.receive(
                    line,
                    call.peer,
                    self._leg(line, call.call_id),
                    CallDetails(Parties(call.peer, "", "whatsapp", "")),
                )
            except BridgeError as error:
                log.warning("gateway.inbound_refused", extra={"code": error.code})
                self._followers[line].forget(call.call_id, unwanted=True)

        return take

    def _leg(self, line: LineName, call: str | Dial) -> GatewayLeg:
        return GatewayLeg(
            new_leg_id(),
            engine=self._engines[line],
            follower=self._followers[line],
            call=call,
            retry_policy=self._retry_policy,
        )
