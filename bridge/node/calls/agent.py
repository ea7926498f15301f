"""Adds agents to calls: to inbound ones of lines in such a mode, and to any on request."""

import asyncio
import logging
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeAlias

from bridge.agent import answers
from bridge.agent.answers import CallSituation, HeardQuality
from bridge.agent.demonstration import GREETING, demonstration_providers
from bridge.agent.http_providers import http_providers
from bridge.agent.overlap_opinion import OverlapOpinion
from bridge.agent.phrase_recognizer import PhraseRecognizer
from bridge.agent.provider_client import NO_CALL, Traced
from bridge.agent.providers import ProviderFailed, Providers
from bridge.agent.script import AgentMode, Script
from bridge.agent.sentences import clean
from bridge.agent.snapshot import AgentSnapshot
from bridge.agent.voice_detector import VoiceDetectors, silero
from bridge.audio.file.wav import make_header
from bridge.call import events
from bridge.call.diagnosis.problems import Code
from bridge.call.model import CallFacts, CallId, Direction, LegId, LegKind, LineName, Party
from bridge.call.record.quality import LegQuality
from bridge.call.routing import LegRole, Subscription
from bridge.errors import BridgeError, InvalidState, Unsupported
from bridge.http.client import Http
from bridge.legs.agent import AgentLeg
from bridge.legs.base import PassedLeg, new_leg_id
from bridge.metrics.agent import AgentMetrics
from bridge.node.lines import InboundMode, LineConfig, Lines
from bridge.node.manager import Manager
from bridge.node.runner import CallRunner
from bridge.settings.agent import Agent
from bridge.telemetry.trace import OFF, Tracer
from bridge.wire.call_event import CallEvent, EventType

log = logging.getLogger(__name__)

MODES: Final = {
    InboundMode.BOT: AgentMode.BOT,
    InboundMode.IVR: AgentMode.IVR,
    InboundMode.AI: AgentMode.AI,
}

LEVEL_SECONDS: Final = 15
"""In which the caller's loudest second is looked for: a question and the silence before it."""

DISPROVED: Final = frozenset({Code.FAR_SILENT, Code.MICROPHONE_SILENT})
"""What a caller who asks something cannot have; it stays open for some seconds after the silence before a question."""


@dataclass(frozen=True, slots=True)
class AgentProfile:
    """The providers and settings of a line's agents."""

    providers: Providers
    greeting: str
    settings: Agent


ProfileOf: TypeAlias = Callable[[LineName, LineConfig, CallId | None, Traced], AgentProfile]
"""Makes the profile of a line's agents: for the agent of a call, or for speech without one."""


class Agents:
    """The agents of this node's calls."""

    def __init__(  # noqa: PLR0913  (all but two by keyword)
        self,
        manager: Manager,
        lines: Lines,
        *,
        profile_of: ProfileOf,
        max_voice_detectors: int,
        counters: AgentMetrics,
        announced: Callable[[LineName], float] = lambda line: 0.0,
        tracer: Tracer = OFF,
    ) -> None:
        """`announced` is for how many seconds Meta announces that it records a line's calls."""
        self._manager = manager
        self._lines = lines
        self._profile_of = profile_of
        self._voices = VoiceDetectors(silero(), maximum=max_voice_detectors)
        self._counters = counters
        self._announced = announced
        self._tracer = tracer

    def on_event(self, event: CallEvent) -> None:
        """Add an agent to an inbound call of a line in such a mode, once its media is up."""
        call = event.call
        if event.type != EventType.CALL_ACTIVE or not call or call.direction != Direction.INBOUND:
            return
        line = LineName(event.line)
        if (mode := MODES.get(self._lines.config(line).mode)) is not None:
            self._start_quietly(line, CallId(call.id), mode)

    def start(self, runner: CallRunner, mode: AgentMode | None = None) -> AgentLeg:
        """Add an agent to an answered call.

        `mode` is what it does; None for the line's mode, or `ai`.

        Raises:
            InvalidState: the call is not answered, or has an agent.
            LimitExceeded: it has all its legs.
        """
        runner.machine.check_answered("an agent needs")
        if _agents(runner):
            raise InvalidState("the call has an agent already")
        now = asyncio.get_running_loop().time()
        delay = runner.machine.announced_until(self._announced(runner.facts.line)) - now
        leg = self._leg(new_leg_id(), runner.facts, mode, max(0.0, delay))
        runner.add_leg(leg, LegRole(Party.SERVICE, Subscription.INBOUND))
        return leg

    def restore(self, passed: PassedLeg) -> AgentLeg:
        """Return the agent of a call that another process has passed to this one."""
        snapshot = passed.read(AgentSnapshot)
        leg = self._leg(passed.leg_id, passed.call, snapshot.mode)
        leg.restore(snapshot)
        return leg

    def _leg(
        self, leg_id: LegId, call: CallFacts, mode: AgentMode | None, delay: float = 0.0
    ) -> AgentLeg:
        config = self._lines.config(call.line)
        traced = Traced(self._tracer.of(call.call_id, call.details.trace), leg_id)
        profile = self._profile_of(call.line, config, call.call_id, traced)
        script = Script(
            mode or MODES.get(config.mode, AgentMode.AI),
            greeting=profile.greeting,
            system_prompt=config.system_prompt,
            settings=profile.settings,
            delay=delay,
        )
        return AgentLeg(
            leg_id,
            script,
            profile.providers,
            voices=self._voices,
            counters=self._counters,
            hang_up=lambda: self._hang_up(call.call_id),
        )

    async def speak(self, line: LineName, text: str) -> bytes:
        """Return a text as a WAV file, spoken by the line's provider.

        Raises:
            Unsupported: the line has none.
            ProviderFailed: it failed.
        """
        try:
            profile = self._profile_of(line, self._lines.config(line), None, NO_CALL)
            tts = profile.providers.tts
            pcm = b"".join([piece async for piece in tts.speak(text)])
            return make_header(len(pcm)) + pcm
        except ProviderFailed as error:
            if error.reason != "missing":
                raise
            raise Unsupported(
                "speech needs a provider: set callTtsUrl (PUT /call/config), then reconnect"
            ) from None

    def stop(self, runner: CallRunner, *, after_speech: bool = False) -> int:
        """Remove the agents from a call, at once or after their queued speech; return how many there were."""
        agents = _agents(runner)
        for leg in agents:
            runner.dispatch(events.CloseRequested(leg.leg_id, after_speech=after_speech))
        return len(agents)

    def _hang_up(self, call_id: CallId) -> None:
        """End a call whose agent has finished, unless another near party is there."""
        runner = self._manager.running(call_id)
        if runner is not None and not runner.machine.legs.near():
            with suppress(BridgeError):
                last = events.HangupRequested(after_speech=True)
                self._manager.request(runner.facts.line, call_id, last)

    def _start_quietly(self, line: LineName, call_id: CallId, mode: AgentMode) -> None:
        try:
            self.start(self._manager.live(line, call_id), mode)
        except BridgeError as error:
            log.warning("agent.not_started", extra={"call": call_id, "code": error.code})
            # Nobody else would speak to the caller.
            with suppress(BridgeError):
                self._manager.request(line, call_id, events.HangupRequested())


def agent_profiles(
    http: Http,
    *,
    settings_of: Callable[[LineName], Agent],
    demos: Collection[LineName],
    phrases: PhraseRecognizer | None = None,
    situation_of: Callable[[CallId], CallSituation],
    counters: AgentMetrics,
) -> ProfileOf:
    """Return a function that makes the profile of a line's agents.

    On the lines in `demos` the demonstration provides what has no URL; with `phrases` it answers questions about the
    call, of which `situation_of` tells it.
    """

    def profile_of(
        line: LineName, config: LineConfig, call_id: CallId | None, traced: Traced
    ) -> AgentProfile:
        urls, settings = (config.stt_url, config.llm_url, config.tts_url), settings_of(line)
        providers = http_providers(http.of(line), urls, config.provider_token, settings, traced)
        greeting = clean(config.greeting)
        if line in demos:
            if not (config.greeting or config.stt_url):
                greeting = GREETING if phrases is None else answers.GREETING
            demonstration = demonstration_providers(
                phrases, CallSituation if call_id is None else partial(situation_of, call_id)
            )
            providers = Providers(
                providers.stt if config.stt_url else demonstration.stt,
                providers.llm if config.llm_url else demonstration.llm,
                providers.tts if config.tts_url else demonstration.tts,
            )
        providers = replace(providers, interruptions=_opinion(http, settings, counters))
        return AgentProfile(providers, greeting, settings)

    return profile_of


def _opinion(http: Http, settings: Agent, counters: AgentMetrics) -> OverlapOpinion | None:
    """Return a client of the operator's interruption detector, if one is set."""
    url, language = settings.interruption_url, settings.interruption_words
    if not url or settings.interruptions != "meant":
        return None
    token = settings.interruption_token
    return OverlapOpinion(http, url, token, language, counters.opinion_failed)


def _agents(runner: CallRunner) -> list[AgentLeg]:
    return [leg for leg in runner.legs() if isinstance(leg, AgentLeg)]


def situation_of(manager: Manager, call_id: CallId) -> CallSituation:
    """Return what the demonstration's agent may tell about a call as it stands; its caller is its far party."""
    runner = manager.running(call_id)
    if runner is None:
        return CallSituation()
    record = runner.record()
    diagnosis = manager.report_now(record).diagnosis
    caller = next((leg for leg in runner.figures() if leg.party is Party.FAR), None)
    timelines = {leg.last.leg_id: leg for leg in manager.quality.legs(record.facts.call_id)}
    timeline = None if caller is None else timelines.get(caller.leg_id)
    peer = "" if caller is None or caller.kind.traits.browser else record.facts.peer
    transport = caller.statistics.transport if caller is not None else None
    levels = timeline.timeline.recent("level", LEVEL_SECONDS) if timeline is not None else []
    return CallSituation(
        line=record.facts.line,
        line_number=manager.admission.number_of(record.facts.line),
        caller=peer,
        seconds=record.seconds,
        calls=sum(not call.facts.details.test for call in manager.calls()),
        recorded=LegKind.RECORDER in runner.kinds(),
        verdict=diagnosis.verdict,
        problems=tuple(
            one for one in diagnosis.problems if one.until is None and one.code not in DISPROVED
        ),
        codec=transport.codec if transport is not None else "",
        level_dbov=max((one for one in levels if one is not None), default=None),
        round_trip_seconds=None if caller is None else caller.statistics.round_trip_seconds,
        from_caller=_heard(timeline, "mos", "loss"),
        to_caller=_heard(timeline, "sent_mos", "sent_loss"),
    )


def _heard(timeline: LegQuality | None, mos: str, loss: str) -> HeardQuality:
    if timeline is None:
        return HeardQuality()
    return HeardQuality(timeline.timeline.mean(mos), timeline.timeline.mean(loss))
