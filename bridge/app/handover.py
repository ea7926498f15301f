"""What passes live calls to other processes of the machine, and takes over theirs."""

import asyncio
import logging
import time
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

from bridge.api.server import services
from bridge.app.calls import Core
from bridge.app.foundation import Foundation
from bridge.call.model import CallId, LegKind
from bridge.cluster.descriptor_channel import close_all
from bridge.cluster.handover import HandoverClient
from bridge.cluster.handover_server import HandoverServer, content
from bridge.cluster.succession import CallCopier, Succession
from bridge.errors import HandoverRefused
from bridge.legs.base import Leg, Losable, PassedLeg, Reconnecting
from bridge.legs.cloud import CloudLeg
from bridge.legs.gateway import GatewayLeg
from bridge.metrics.registry import Metrics
from bridge.node import call_snapshot
from bridge.node.call_snapshot import leg_kinds
from bridge.node.handover import Adoption, CallServices, Handover, RestoreLeg
from bridge.node.manager import Manager
from bridge.providers.cloud.live import key_of_call
from bridge.providers.gateway.memory import key_of
from bridge.stores.directory import FOLDER
from bridge.wire.call_event import EventType
from bridge.wire.rtp import used_numbers
from bridge.wire.supervision import Inherited

log = logging.getLogger(__name__)

NEED_THEIR_LINE = frozenset({LegKind.AGENT, LegKind.TRANSCRIBER})
"""Legs whose providers are in what the database has of their line."""
RELEASE_SECONDS = 0.1
"""Until a call that others have ended is released again, where it could not be."""


class Handovers(NamedTuple):
    """Both directions; None where no other process of the machine can take a call over."""

    client: HandoverClient | None = None
    server: HandoverServer | None = None
    adoption: Adoption | None = None
    call_copier: CallCopier | None = None

    async def aclose(self) -> None:
        """Finish with the call that is being passed, and take over no more."""
        for one in self:
            if one is not None:
                await one.aclose()


def build_handovers(
    base: Foundation,
    core: Core,
    control: services.CallControl,
    media: services.Media,
    records: services.Records,
) -> Handovers:
    """Return what passes calls on and takes them over, for nodes that a supervisor can replace."""
    members, manager, database = base.members, core.manager, base.database
    if not members.several or not base.settings.recovery.enabled:
        return Handovers()
    found = call_services(control, media, records)
    handover = Handover(manager, found)
    keys_of = partial(provider_keys, manager)
    client = HandoverClient(
        handover,
        members=members,
        folder=Path(base.settings.data.dir) / FOLDER,
        database=database,
        provider_keys=keys_of,
    )
    lost: dict[CallId, int] = {}
    """How many legs each call has lost that is not reported yet: they leave before."""

    async def release(call_id: CallId) -> None:
        while manager.running(call_id) is not None:
            try:
                handover.suspend(call_id)
            except HandoverRefused:  # a file is being written, say
                await asyncio.sleep(RELEASE_SECONDS)
            else:
                await handover.abandon(call_id)

    adoption = build_adoption(control, core.lines, media, records, found)
    server = HandoverServer(
        partial(_adopt, adoption, manager, lost),
        own=lambda: members.own,
        database=database,
        refusal=lambda: "the successor drains too" if manager.admission.draining else "",
        recovered=partial(report_recovered, base.metrics, manager, lost),
        release=release,
    )
    core.recovery.on_late = server.too_late
    if (left := members.succession) is None:
        return Handovers(client, server, adoption)
    keeping = CallCopier(left, handover, keys_of, partial(base.metrics.steps.took, "copy"))
    handover.before_move = keeping.withdraw
    return Handovers(client, server, adoption, keeping)


def report_recovered(
    metrics: Metrics,
    manager: Manager,
    lost: dict[CallId, int],
    call_id: CallId,
    silent: float,
    cause: str,
) -> None:
    """Report a call that this node goes on with, of which nobody was heard for so many seconds; `lost` has the legs that left before."""
    metrics.calls.recovered(cause, silent)
    gone = lost.pop(call_id, 0)
    if (runner := manager.running(call_id)) is None:  # it has ended since
        return
    manager.diagnoses.note_interruption(runner, cause, silent, asyncio.get_running_loop().time())
    runner.suspension.note_change()
    gone = max(
        gone, sum(map(_is_lost, runner.legs()))
    )  # those of another machine's call are still there
    legs = [leg for leg in runner.legs() if not _is_lost(leg)]
    silent_ms = round(silent * 1000)
    reconnecting = sum(isinstance(leg, Reconnecting) and leg.reconnecting for leg in legs)
    extra = {"call": call_id, "cause": cause, "silent_ms": silent_ms, "legs": len(legs)}
    log.info("call.recovered", extra=extra)
    kept = len(legs) - reconnecting
    told = {"kept": kept, "reconnecting": reconnecting, "lost": gone}
    data = {"cause": cause, "silentMs": silent_ms, "legs": told}
    runner.publish(EventType.CALL_RECOVERED, data)


def _adopt(
    adoption: Adoption,
    manager: Manager,
    lost: dict[CallId, int],
    snapshot: bytes,
    descriptors: list[int],
) -> CallId:
    """Go on with a call, and note how many of its legs are lost."""
    call_id = adoption.adopt(snapshot, descriptors)
    runner = manager.running(call_id)
    assert runner is not None
    lost[call_id] = sum(map(_is_lost, runner.legs()))
    return call_id


def _is_lost(leg: Leg) -> bool:
    return isinstance(leg, Losable) and leg.lost


async def inherit(base: Foundation, core: Core, handovers: Handovers) -> None:
    """Go on with the calls of the process in whose place this one was started; to be awaited once.

    They are heard before the database is asked for anything; `report_inherited` follows when the lines are known, and goes on
    with calls that need what the database has of their line.
    """
    left, server, copier = base.members.succession, handovers.server, handovers.call_copier
    if server is None or left is None or copier is None:
        return
    go_on = _go_on(left, server, core)
    for one in left.inherited:
        if one.call_id in left.crashed:
            log.error("call.crashed_node", extra={"call": one.call_id, "strikes": one.strikes})
            close_all([one.ledger, one.snapshot, *one.descriptors])
        elif one.strikes:
            pass  # alone, when the others are safe
        elif NEED_THEIR_LINE.isdisjoint(leg_kinds(content(one.snapshot))):
            go_on(one)
        else:
            left.later.append(one)
    await asyncio.sleep(0)  # for what has come for them
    await copier.catch_up()


async def report_inherited(base: Foundation, core: Core, handovers: Handovers) -> None:
    """Report the calls that `inherit` has gone on with, and go on with those that their process may have died of."""
    left, server, copier = base.members.succession, handovers.server, handovers.call_copier
    if left is None or server is None or copier is None or handovers.client is None:
        return
    go_on = _go_on(left, server, core)
    while left.later:
        go_on(left.later.pop(0))
    await copier.catch_up()
    server.report_inherited()
    alone = [one for one in left.inherited if one.strikes and one.call_id not in left.crashed]
    if alone:
        expect = handovers.client.expect
        server.inherit_later(alone, go_on, lambda: copier.caught_up, expect)


def _go_on(left: Succession, server: HandoverServer, core: Core) -> Callable[[Inherited], None]:
    """Return what goes on with one call."""
    read = lru_cache(used_numbers.read)  # all calls of a process have one ledger

    def go_on(one: Inherited) -> None:
        advance = partial(advance_copy, read=read, now=time.monotonic())
        with left.ledger.marks.about(one.call_id):
            server.inherit([one], advance, core.recovery.again)

    return go_on


def advance_copy(
    snapshot: bytes,
    ledger: bytes,
    died_at: float,
    *,
    read: Callable[[bytes], dict[int, used_numbers.Ceilings]],
    now: float,
) -> bytes:
    """Return the snapshot of a call as it may stand now, given the ledger of the process that had it."""
    return call_snapshot.advance(snapshot, read(ledger), died_at=died_at, now=now)


def build_adoption(
    control: services.CallControl,
    lines: services.LineServices,
    media: services.Media,
    records: services.Records,
    found: CallServices,
) -> Adoption:
    """Return what takes over calls for a node."""

    def restore_whatsapp(passed: PassedLeg) -> Leg:
        by_sip = lines.meta_sip.has(passed.call.line)
        return (lines.meta_sip if by_sip else lines.cloud).restore(passed)

    restored: dict[LegKind, RestoreLeg] = {
        LegKind.WEBRTC: control.browsers.restore,
        LegKind.SIMULATOR: lines.simulator.restore,
        LegKind.WHATSAPP: restore_whatsapp,
        LegKind.GATEWAY: lines.gateways.restore,
        LegKind.SIP: lines.sip.restore,
        LegKind.PLAYBACK: media.playbacks.restore_leg,
        LegKind.VOICEMAIL: control.voicemail_calls.restore_leg,
        LegKind.RECORDER: records.recordings.restore_leg,
        LegKind.TRANSCRIBER: records.transcripts.restore_leg,
        LegKind.AGENT: control.agents.restore,
        LegKind.STREAM: media.streams.restore,
        LegKind.SOCKET: media.sockets.restore,
    }
    return Adoption(control.manager, found, restored)


def call_services(
    control: services.CallControl, media: services.Media, records: services.Records
) -> CallServices:
    """Return what services know of calls beside their legs."""
    return CallServices(
        passed={
            "digits": control.digits,
            "voicemail": control.voicemail_calls,
            "transcripts": records.transcripts,
            # Last, as its restoring writes the gap into the row: nothing may refuse the call after that.
            "recordings": records.recordings,
        },
        marks={
            "answered into a stream": media.inbound_streams.answered,
            "captured": records.recordings.automatic.captured,
            "recorded for a transcript": records.transcripts.recorded,
        },
    )


def provider_keys(manager: Manager, call_id: CallId) -> list[str]:
    """Return the keys of a call's rows of the WhatsApp provider."""
    runner = manager.running(call_id)
    if runner is None:
        return []
    line, legs = runner.facts.line, runner.legs()
    cloud = [key_of_call(line, leg.wacid) for leg in legs if isinstance(leg, CloudLeg)]
    return cloud + [key_of(line, leg.call_id) for leg in legs if isinstance(leg, GatewayLeg)]
