"""How the parts of every bridge start, hear of each other, and stop; `app.cluster.attach` has what nodes with leases need."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from aiohttp import web

from bridge.agent.phrase_recognizer import PhraseRecognizer
from bridge.api.server.reads import give_back
from bridge.app.bridge import Bridge
from bridge.app.calls import Core
from bridge.app.foundation import Foundation
from bridge.app.handover import inherit, report_inherited
from bridge.app.lines import announced_of
from bridge.app.telemetry import observe
from bridge.cluster.membership import is_first
from bridge.db.database import Database
from bridge.media.decoding.decoders import Decoders
from bridge.node.calls.announcement import DrainAnnouncement
from bridge.node.calls.inbound_policy import InboundPolicy
from bridge.node.calls.machine_detection import MachineDetectors
from bridge.node.load import monitor
from bridge.node.manager import Manager
from bridge.node.transcripts.transcription import TranscriptionJobs
from bridge.node.voicemail.voicemails import VoicemailTranscripts
from bridge.stores import directory
from bridge.stores.nodes import Member

Hook: TypeAlias = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """What works in a bridge without being asked by a handler."""

    base: Foundation
    core: Core
    announcement: DrainAnnouncement
    decoders: Decoders
    jobs: TranscriptionJobs
    phrases: PhraseRecognizer | None
    policy: InboundPolicy
    voicemail_transcripts: VoicemailTranscripts


class Part(NamedTuple):
    """When a part starts and stops; the parts do so one after the other."""

    name: str
    run: Callable[[], Coroutine[Any, Any, None]] | None = None
    """A task from the beginning until the calls have ended (`Bridge.aclose`)."""
    start: Hook | None = None
    """Awaited before the first request."""
    shutdown: Hook | None = None
    """Awaited before the connections of clients are closed."""
    stop: Hook | None = None
    """Awaited once they are closed."""


def parts_of(bridge: Bridge, workers: Workers, *, warm_decoder: bool) -> tuple[Part, ...]:
    """List what starts and stops, in this order."""
    control, media, records, lines = bridge.control, bridge.media, bridge.records, bridge.lines
    events, manager, metrics = bridge.events, bridge.manager, bridge.node.metrics
    decoders, phrases, members = workers.decoders, workers.phrases, bridge.cluster.members
    core, sip = workers.core, workers.core.sip
    spans = workers.base.spans
    first, several = partial(is_first, members), members.several
    remember = partial(_remember, events.database, members.own.node, manager)
    inherits = partial(inherit, workers.base, core, bridge.handovers)
    report = partial(report_inherited, workers.base, core, bridge.handovers)
    keeping, writer = bridge.handovers.call_copier, bridge.takeovers.writer
    return (
        Part("recovery", run=core.recovery.run),
        # Before anything that waits: nobody is heard until then.
        Part("inherited calls", start=inherits if keeping else None),
        Part("http", stop=events.http.aclose),
        Part("decoders", run=decoders.keep_warm if warm_decoder else None, stop=decoders.aclose),
        Part("peers", start=core.plane.peers.warm_up),
        Part("lines", start=lines.lines.reload),
        Part("disclosures", start=media.disclosure_checks.run, stop=media.disclosures.aclose),
        Part("line book", start=lines.line_book.reload),
        Part("cloud", start=lines.cloud.recover, shutdown=lines.cloud.calls.aclose),
        Part("gateways", start=lines.gateways.recover),
        Part(
            "sip",
            start=partial(sip.start, bridge.background, bridge.drain),
            shutdown=sip.provider.aclose,
        ),
        Part("simulated telephones", shutdown=lines.telephones.aclose),
        Part("console", shutdown=bridge.node.live_table.aclose),
        Part("transfers", stop=control.transfers.aclose),
        Part("digits", stop=control.digits.aclose),
        Part("phrases", stop=phrases.aclose if phrases else None),
        Part("assets", run=media.assets.run),
        Part("dropped bodies", run=partial(give_back, bridge.access.webhook_reads)),
        Part("inbound streams", stop=media.inbound_streams.aclose),
        Part("transcription", run=workers.jobs.run, stop=records.transcripts.aclose),
        Part("files of Meta's", run=records.meta_media.run),
        Part("events", run=partial(events.log.run, workers.base.settings.events)),
        Part("webhooks", run=events.webhooks.run),
        Part("voicemail transcripts", stop=workers.voicemail_transcripts.aclose),
        Part("voicemails", run=records.voicemails.run),
        Part("slow readers", run=bridge.access.connections.run),
        Part("call records", run=partial(records.history.run, first)),
        Part("ended calls", start=remember if several else None),
        Part("report of inherited calls", start=report if keeping else None),
        Part("sounds", start=media.sounds.drop_left),
        Part("copies of calls", run=keeping.run if keeping else None),
        Part("snapshots of calls", run=writer.run if writer else None),
        Part("follow the lines", run=workers.policy.follow if several else None),
        Part("spans", run=spans.run if spans else None, stop=spans.aclose if spans else None),
        Part("monitor", run=partial(monitor, manager, metrics, core.plane.clock, core.plane.load)),
    )


def add(parts: tuple[Part, ...], bridge: Bridge) -> None:
    """Run the parts, and have them start and stop with the application."""
    application = bridge.application
    for part in parts:
        if part.run:
            bridge.background.spawn(part.run(), name=part.name)
        for hooks, hook in (
            (application.on_startup, part.start),
            (application.on_shutdown, part.shutdown),
            (application.on_cleanup, part.stop),
        ):
            if hook:
                hooks.append(partial(_call, hook))


def connect(bridge: Bridge, workers: Workers) -> None:
    """Let the parts observe each other; each event of a call reaches its subscribers in this order."""
    control, records, lines, drain = bridge.control, bridge.records, bridge.lines, bridge.drain
    manager, members, metrics = bridge.manager, bridge.cluster.members, bridge.node.metrics
    manager.publisher.subscribe(
        bridge.events.log.append,
        bridge.media.playbacks.on_event,
        bridge.media.disclosures.on_event,
        workers.policy.on_event,
        records.recordings.on_event,
        control.agents.on_event,
        bridge.media.inbound_streams.on_event,
        control.digits.on_event,
        bridge.media.streams.on_event,
        records.transcripts.on_event,
        MachineDetectors(
            manager,
            count=metrics.calls.machine_detected,
            announced=announced_of(workers.base.settings),
        ).on_event,
        control.voicemail_calls.on_event,
        workers.voicemail_transcripts.on_event,
    )
    observe(workers.base.tracer, manager)
    if (handover := bridge.cluster.handover) is not None:
        manager.publisher.subscribe(handover.on_event)
        drain.uncommitted = lambda: handover.uncommitted
    if (keeping := bridge.handovers.call_copier) is not None:
        manager.publisher.subscribe(keeping.on_event)
    manager.on_transfer = control.transfers.requested
    manager.disclosing = bridge.media.disclosures
    bridge.media.disclosures.recordings_begun = records.recordings.begun
    drain.announce = workers.announcement.announce
    drain.on_begin.append(partial(workers.core.sip.leave, members))
    for recover in (lines.cloud.recover, lines.gateways.recover):
        members.follow_lost(partial(_recover, bridge, workers.base.members.timing.retry, recover))
    members.follow_lost(partial(_note_lost, bridge))
    members.follow_lost(lambda _: records.recordings.recovery.wake())
    lines.line_book.follow_changes(workers.core.made.changed)
    lines.line_book.follow_changes(workers.policy.line_changed)
    lines.lines.follow_switch_off(workers.policy.end_calls)
    bridge.events.log.follow(bridge.events.webhooks.wake)
    workers.core.sip.receive(manager)
    lines.gateways.start(manager, bridge.background, first=partial(is_first, members))


async def _call(hook: Hook, _application: web.Application) -> None:
    await hook()


async def _remember(database: Database, node: int, manager: Manager) -> None:
    """Remember the ended calls of earlier processes with this node's number."""
    for record in await database.run(directory.ended, node):
        manager.remember(record)


def _note_lost(bridge: Bridge, lost: Member) -> None:
    """Count and show a lost node, unless it has drained: that is how each upgrade ends."""
    if not lost.draining:
        bridge.node.view.lost.note(lost)
        bridge.node.metrics.node.node_lost()


def _recover(bridge: Bridge, retry: float, recover: Hook, _lost: Member) -> None:
    work = bridge.events.database.retry(recover, pause=retry)
    bridge.background.spawn(work, name="recover the calls of a lost node")
