"""What passes live calls to other processes of the machine, and takes over theirs."""

import logging
from pathlib import Path
from typing import NamedTuple

from bridge.app.calls import Core
from bridge.app.foundation import Foundation
from bridge.call.model import CallId
from bridge.cluster.handover import HandoverClient
from bridge.cluster.handover_server import HandoverServer
from bridge.node.handover import Adoption, Handover
from bridge.node.manager import Manager
from bridge.stores.directory import FOLDER
from bridge.wire.call_event import EventType

log = logging.getLogger(__name__)


class Handovers(NamedTuple):
    """Both directions; None where no other process of the machine can take a call over."""

    client: HandoverClient | None = None
    server: HandoverServer | None = None

    async def aclose(self) -> None:
        """Finish with the call that is being passed, and take over no more."""
        if self.client is not None:
            await self.client.aclose()
        if self.server is not None:
            await self.server.aclose()


def build_handovers(base: Foundation, core: Core) -> Handovers:
    """Return what passes calls on and takes them over, for nodes that a supervisor can replace."""
    members, manager, database = base.members, core.manager, base.database
    if not members.several or not base.settings.recovery.enabled:
        return Handovers()
    handover = Handover(manager)
    client = HandoverClient(
        handover,
        own=lambda: members.own,
        folder=Path(base.settings.data.dir) / FOLDER,
        flush=core.events.log.flush,
        available=lambda: database.reachable and not members.fenced.is_set(),
    )

    def recovered(call_id: CallId, silent: float, cause: str) -> None:
        base.metrics.calls.recovered(cause)
        publish_recovery(manager, call_id, silent, cause)

    server = HandoverServer(
        Adoption(manager),
        own=lambda: members.own,
        database=database,
        refusal=lambda: "the successor drains too" if manager.admission.draining else "",
        recovered=recovered,
        release=handover.abandon,
    )
    return Handovers(client, server)


def publish_recovery(manager: Manager, call_id: CallId, silent: float, cause: str) -> None:
    """Report that a call goes on here, unless it has ended since."""
    runner = manager.running(call_id)
    if runner is None:
        return
    legs = len(runner.record().legs)
    silent_ms = round(silent * 1000)
    log.info(
        "call.recovered",
        extra={"call": call_id, "cause": cause, "silent_ms": silent_ms, "legs": legs},
    )
    kept = {"kept": legs, "reconnecting": 0, "lost": 0}
    runner.publish(EventType.CALL_RECOVERED, {"cause": cause, "silentMs": silent_ms, "legs": kept})
