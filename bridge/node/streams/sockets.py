"""Makes the legs of media sockets, and finds them again for clients that reconnect."""

from bridge.call.model import CallId, LegOwner, Party
from bridge.call.routing import LegRole, Subscription
from bridge.call.transitions import AUDIBLE
from bridge.legs.base import PassedLeg, new_leg_id
from bridge.legs.socket import SocketAudio, SocketLeg, SocketTransport, TextMessages
from bridge.media.stream_snapshot import SocketSnapshot
from bridge.metrics.network import SocketMetrics
from bridge.node.manager import Manager
from bridge.node.runner import CallRunner
from bridge.wire.stream.media_format import Conversion


class MediaSockets:
    """The media sockets of this node's calls."""

    def __init__(
        self,
        manager: Manager,
        *,
        counters: SocketMetrics,
        conversion: Conversion,
        resume_seconds: float,
    ) -> None:
        """A client has `resume_seconds` to connect again to a call that has passed to this process; 0: it is not asked to."""
        self.conversion = conversion
        self._manager = manager
        self._counters = counters
        self._resume_seconds = resume_seconds

    def join(  # noqa: PLR0913  (all but two by keyword)
        self,
        runner: CallRunner,
        wire: SocketTransport,
        *,
        audio: SocketAudio,
        owner: LegOwner | None,
        texts: TextMessages | None = None,
        name: str = "",
        machine: bool = False,
    ) -> SocketLeg:
        """Make a WebSocket a leg of a call, or connect it to the leg of the same name that waits for it.

        `machine` is what the client says about itself.

        Raises:
            BridgeError: the call has ended, has all its legs, or is passing to another process.
        """
        name = name if self._resume_seconds else ""
        for waiting in runner.legs():
            if (
                isinstance(waiting, SocketLeg)
                and waiting.reconnecting
                and (waiting.name, waiting.audio.media) == (name, audio.media)
                and runner.machine.legs.records[waiting.leg_id].role.owner == owner
            ):
                with runner.suspension.kept_here():
                    waiting.reconnect(wire)
                return waiting
        leg = SocketLeg(
            new_leg_id(),
            wire,
            audio=audio,
            counters=self._counters,
            answered=lambda: runner.machine.state in AUDIBLE,
            texts=texts,
            name=name,
        )
        runner.add_leg(leg, LegRole(Party.NEAR, Subscription.INBOUND, owner=owner, machine=machine))
        return leg

    def restore(self, passed: PassedLeg) -> SocketLeg:
        """Return the leg of a call that another process has passed to this one; its client connects again."""
        snapshot, call_id = passed.read(SocketSnapshot), passed.call.call_id
        leg = SocketLeg(
            passed.leg_id,
            None,
            audio=SocketAudio(snapshot.media, snapshot.limit_seconds, self.conversion),
            counters=self._counters,
            answered=lambda: self._is_audible(call_id),
            name=snapshot.name,
        )
        leg.restore(snapshot, self._resume_seconds)
        return leg

    def _is_audible(self, call_id: CallId) -> bool:
        runner = self._manager.running(call_id)
        return runner is not None and runner.machine.state in AUDIBLE
