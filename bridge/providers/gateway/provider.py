"""Lines whose provider is a gateway: outbound and inbound calls, and recovery after a crash."""

import logging
from collections.abc import Callable, Mapping
from functools import partial

from bridge.call.model import CallDetails, CallFacts, LegId, LineName, Parties
from bridge.errors import BridgeError, HandoverRefused, InvalidState
from bridge.http.service_health import ServiceHealth
from bridge.legs.base import DialledLeg, PassedLeg, new_leg_id
from bridge.legs.gateway import Dial, GatewayLeg, GatewaySnapshot, GatewayTimeouts
from bridge.providers.base import CallReceiver
from bridge.providers.gateway.follower import POLL_SECONDS, GatewayFollower
from bridge.providers.gateway.memory import LineMemory, key_of
from bridge.stores.cloud import CloudStore
from bridge.tasks import Tasks
from bridge.whatsapp.gateway import Gateway
from bridge.wire.gateway import EngineCall, Webhook

log = logging.getLogger(__name__)


class GatewayProvider:
    """Calls numbers over the lines' gateways, and takes their inbound calls."""

    name = "gateway"

    def __init__(
        self,
        gateways: Mapping[LineName, Gateway],
        *,
        store: CloudStore,
        poll_seconds: float = POLL_SECONDS,
        timeouts: GatewayTimeouts | None = None,
    ) -> None:
        """Must be called within the running loop."""
        self._store = store
        self._timeouts = timeouts or GatewayTimeouts()
        self._followers = {
            line: GatewayFollower(
                gateway,
                memory=LineMemory(line, gateway=gateway, store=store),
                poll_seconds=poll_seconds,
            )
            for line, gateway in gateways.items()
        }

    def has(self, line: LineName) -> bool:
        """Return whether the line's provider is a gateway."""
        return line in self._followers

    def health(self, line: LineName) -> ServiceHealth:
        """Return how the line's gateway answered last."""
        return self._followers[line].health

    def outbound_leg(self, call: CallFacts, number: str) -> DialledLeg:
        """Return a leg that has the line's gateway ring the number (`legs.base.Dialer`)."""
        follower = self._followers[call.line]

        async def dial() -> str:
            try:
                return await follower.memory.dial(
                    number,
                    before=follower.listed,
                    abandon=lambda call_id: follower.forget(call_id, unwanted=True),
                )
            finally:
                # After a failure too: the gateway may ring all the same.
                follower.poll_now()

        return self._leg(follower, dial)

    def restore(self, passed: PassedLeg) -> GatewayLeg:
        """Return a leg that another process has passed to this one.

        Raises:
            HandoverRefused: the line has no gateway here.
        """
        snapshot = passed.read(GatewaySnapshot)
        if (follower := self._followers.get(passed.call.line)) is None:
            raise HandoverRefused("the line's provider is another one here")
        leg = self._leg(follower, snapshot.call_id, passed.leg_id)
        leg.restore(snapshot)
        return leg

    def start(self, receiver: CallReceiver, tasks: Tasks, *, first: Callable[[], bool]) -> None:
        """Start polling; of several nodes the `first` takes inbound calls, the others what it leaves."""
        for line, follower in self._followers.items():
            follower.take = partial(self._take, line, receiver)
            follower.first = first
            tasks.spawn(follower.run(), name=f"gateway {line}")
            if (feed := follower.gateway.feed) is not None:
                tasks.spawn(feed.run(follower.handle_event), name=f"gateway events {line}")

    async def recover(self) -> None:
        """Recover the calls and dials that this node has taken over from a lost one.

        What still rings is taken again; what it was talking on or dialling is hung up.
        """
        for number, line in await self._store.orphaned_dials(self._followers):
            follower = self._followers[line]
            follower.memory.suspect_orphan(number)
            follower.poll_now()
        live: dict[LineName, list[str]] = {}
        for key, line in await self._store.orphaned_calls(self._followers):
            live.setdefault(line, []).append(key.removeprefix(key_of(line, "")))
        for line, call_ids in live.items():
            self._followers[line].recover(call_ids)

    def handle_event(self, line: LineName, event: Webhook) -> None:
        """Process an event of the line's gateway.

        Raises:
            InvalidState: the line has no gateway.
        """
        if line not in self._followers:
            raise InvalidState("this line's WhatsApp provider is not a gateway")
        self._followers[line].handle_event(event)

    async def _take(self, line: LineName, receiver: CallReceiver, call: EngineCall) -> None:
        follower = self._followers[line]
        if not await follower.memory.claim(call.call_id):
            return
        leg = self._leg(follower, call.call_id)
        details = CallDetails(Parties(call.peer, "", "whatsapp", ""))
        try:
            await receiver.receive(line, call.peer, leg, details)
        except BridgeError as error:
            log.warning("gateway.inbound_refused", extra={"code": error.code})
            follower.forget(call.call_id, unwanted=True)

    def _leg(
        self, follower: GatewayFollower, call: str | Dial, leg_id: LegId | None = None
    ) -> GatewayLeg:
        return GatewayLeg(
            leg_id or new_leg_id(),
            gateway=follower.gateway,
            follower=follower,
            call=call,
            timeouts=self._timeouts,
        )
