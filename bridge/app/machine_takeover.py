"""What goes on with calls of machines that have died, in a bridge of several machines."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from bridge.api.server import services
from bridge.app.calls import Core
from bridge.app.foundation import Foundation
from bridge.call.model import CallId, LegKind
from bridge.cluster.leases import Leased
from bridge.cluster.machine_takeover import MachineTakeover, SnapshotWriter
from bridge.node import portable_call
from bridge.node.handover import Adoption, CallServices, RestoreLeg
from bridge.node.portable_call import PortableCalls
from bridge.node.recording.again import RecordAgain


class MachineTakeovers(NamedTuple):
    """Both directions; None where this machine is the only one."""

    writer: SnapshotWriter | None = None
    takeover: MachineTakeover | None = None
    adoption: Adoption | None = None
    again: RecordAgain | None = None

    def is_portable(self, call_id: CallId) -> bool:
        """Return whether another machine may have gone on with a call, were this one declared dead."""
        return self.writer is not None and self.writer.is_portable(call_id)

    async def aclose(self) -> None:
        """Finish with the calls that are being taken over."""
        for one in (self.takeover, self.adoption, self.again):
            if one is not None:
                await one.aclose()


def build_machine_takeovers(
    base: Foundation,
    core: Core,
    control: services.CallControl,
    records: services.Records,
    *,
    provider_keys: Callable[[CallId], list[str]],
    recovered: Callable[[CallId, float, str], None],
) -> MachineTakeovers:
    """Return both directions, for nodes with leases: others find by these that a machine has died."""
    members, manager, settings = base.members, core.manager, base.settings
    if not isinstance(members, Leased) or not settings.recovery.enabled:
        return MachineTakeovers()
    own_now = asyncio.get_running_loop().time
    again = RecordAgain(records.recordings, manager)
    found = CallServices({"recordings": again})
    adoption = build_adoption(control, core.lines, found, settings.limits.abandoned_seconds)

    def adopt(snapshot: bytes) -> CallId:
        call = portable_call.unpack(snapshot, shared_now=members.now(), own_now=own_now())
        return adoption.adopt(call, [])

    takeover = MachineTakeover(
        adopt,
        database=base.database,
        now=members.now,
        recovered=recovered,
        lost=core.recovery.again,
    )
    core.recovery.takes_over = lambda: not manager.admission.draining
    core.recovery.on_taken_over = takeover.take_over
    calls = PortableCalls(
        manager,
        provider_keys=provider_keys,
        shared_now=members.now,
        own_now=own_now,
        sip_moves=core.lines.sip.may_take_over,
        services=found,
    )
    took = partial(base.metrics.steps.took, "snapshot")
    writer = SnapshotWriter(calls, base.database, members.own.boot, took)
    return MachineTakeovers(writer, takeover, adoption, again)


def build_adoption(
    control: services.CallControl,
    lines: services.LineServices,
    found: CallServices,
    abandoned_seconds: float,
) -> Adoption:
    """Return what makes the legs of a dead machine's calls anew; a browser has `abandoned_seconds` to come back."""
    made: dict[LegKind, RestoreLeg] = {
        LegKind.WEBRTC: partial(control.browsers.await_return, seconds=abandoned_seconds),
        LegKind.SIMULATOR: lines.simulator.restore,
        LegKind.GATEWAY: lines.gateways.restore,
        LegKind.SIP: lines.sip.take_over,
    }
    return Adoption(control.manager, found, made)
