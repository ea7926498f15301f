"""What carries and controls calls, out of the settings."""

from asyncio.subprocess import PIPE
from functools import partial
from typing import NamedTuple

from bridge.agent.phrase_recognizer import PhraseRecognizer, has_recognizer
from bridge.agent.questions import GRAMMAR, PRONUNCIATIONS
from bridge.api.server.services import EventServices, LineServices
from bridge.app.foundation import Foundation
from bridge.app.lines import (
    MadeLines,
    announced_of,
    call_quota,
    decisions_of,
    demonstrations_of,
    line_count,
)
from bridge.app.peers import MediaPlane
from bridge.app.providers import providers_of
from bridge.app.sip import SipServices
from bridge.audio.tone import TONES
from bridge.call.limits import CallLimits
from bridge.call.model import LegId
from bridge.call.policy import kinds_on
from bridge.call.quota import Quota
from bridge.cluster.recovery import Recovery
from bridge.legs.webrtc import WebRtcLeg, make_reports
from bridge.media.decoding import sandboxed
from bridge.node.admission import Admission
from bridge.node.call_history import CallHistory, EndedCalls
from bridge.node.calls.agent import Agents, agent_profiles, situation_of
from bridge.node.calls.announcement import DrainAnnouncement
from bridge.node.calls.browsers import Browsers
from bridge.node.calls.inbound_policy import InboundPolicy
from bridge.node.calls.playback import Playbacks
from bridge.node.diagnosis.diagnosis import DiagnosisLog
from bridge.node.dials import DialRules
from bridge.node.manager import CallLogs, Manager
from bridge.node.voicemail.calls import VoicemailCalls
from bridge.settings.model import Settings, port_range


class Core(NamedTuple):
    """What a node calls and is called with."""

    plane: MediaPlane
    made: MadeLines
    sip: SipServices
    lines: LineServices
    events: EventServices
    history: CallHistory
    manager: Manager
    recovery: Recovery


def build_manager(
    base: Foundation, plane: MediaPlane, lines: LineServices, history: CallHistory
) -> Manager:
    """Return what begins calls, and knows them."""
    settings, database, load = base.settings, base.database, plane.load
    return Manager(
        admission=Admission(
            quota=call_quota(settings),
            metrics=base.metrics.calls,
            directory=base.directory,
            check_on=lines.lines.check_on,
            number_of=lambda line: lines.policies[line].number if line in lines.policies else "",
            overloaded=lambda: load.refusal,
            database_lost=lambda: database.refuses,
        ),
        dialer=providers_of(lines),
        dial_rules=DialRules(lines.policies, directory=base.directory),
        clock=plane.clock,
        metrics=base.metrics,
        limits=_limits(settings),
        logs=CallLogs(
            EndedCalls(settings.limits),
            DiagnosisLog(
                base.metrics.problems,
                turn=settings.turn.mode != "none",
                lag=lambda: load.lag,
                announced=announced_of(settings),
            ),
            history,
        ),
    )


def _limits(settings: Settings) -> CallLimits:
    limits = settings.limits
    return CallLimits(
        limits.ring_seconds,
        limits.call_seconds,
        limits.abandoned_seconds,
        exclusive=settings.recording.exclusive,
        rings_back=kinds_on(settings.calls.ringback),
        ring_tone=TONES[settings.calls.ringback_tone],
        turns=settings.turns.enabled,
    )


def build_browsers(base: Foundation, core: Core) -> Browsers:
    """Return what answers the offers of browsers."""
    settings, metrics = base.settings, base.metrics
    reports = make_reports(partial(metrics.steps.took, "report"))
    ports = Quota(
        "media ports",
        "rtc.ports",
        len(port_range(settings.rtc.ports)),
        lines=line_count(settings),
    )
    peers = core.plane.peers

    def make(leg_id: LegId, *, sdk: bool = False, two_connections: bool = False) -> WebRtcLeg:
        return WebRtcLeg(
            leg_id,
            peer=peers.livekit if sdk else peers.browser,
            publisher=peers.livekit if two_connections else None,
            counters=metrics.setup,
            reports=reports,
            sdk=sdk,
        )

    return Browsers(core.manager, make, ports=ports)


def build_announcement(
    settings: Settings, manager: Manager, playbacks: Playbacks
) -> DrainAnnouncement:
    """Return what announces to the parties of calls that a drain ends them."""
    name = settings.calls.drain_announcement
    return DrainAnnouncement(manager, playbacks, settings.media_root / name if name else None)


def build_inbound_policy(
    settings: Settings, core: Core, voicemail_calls: VoicemailCalls
) -> InboundPolicy:
    """Return what takes inbound calls as their lines want it."""
    rules = decisions_of(settings)
    lines, book = core.lines.lines, core.lines.line_book
    return InboundPolicy(core.manager, lines, book, rules, send_to_voicemail=voicemail_calls.send)


def build_agents(base: Foundation, core: Core) -> tuple[Agents, PhraseRecognizer | None]:
    """Return the service that adds agents to calls, and what recognizes the phrases of the demonstration."""
    settings = base.settings
    own = {name: line.agent or settings.agent for name, line in settings.lines.items()}
    demos = demonstrations_of(settings).keys()
    phrases = None
    if demos and has_recognizer():
        start = partial(sandboxed.start, stdin=PIPE, stdout=PIPE)
        phrases = PhraseRecognizer(start, grammar=GRAMMAR, pronunciations=PRONUNCIATIONS)
    agents = Agents(
        core.manager,
        core.lines.lines,
        profile_of=agent_profiles(
            base.http,
            settings_of=lambda line: own.get(line, settings.agent),
            demos=demos,
            phrases=phrases,
            situation_of=partial(situation_of, core.manager),
            counters=base.metrics.agents,
        ),
        max_voice_detectors=settings.agent.voice_detectors,
        counters=base.metrics.agents,
        announced=announced_of(settings),
        tracer=base.tracer,
    )
    return agents, phrases
