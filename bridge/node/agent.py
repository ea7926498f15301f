"""Agents in calls: put into those that ring a line in such a mode, or into any that is asked for."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from bridge.agent.providers import Providers, http_providers
from bridge.agent.session import AgentLeg, AgentMode, AgentObserver, Script
from bridge.agent.standin import GREETING, stand_in
from bridge.call import events
from bridge.call.machine import UNANSWERED
from bridge.call.model import CallId, Direction, LegId, LineName, Party
from bridge.call.notices import CallEvent
from bridge.call.routing import Heard, Hears
from bridge.errors import BridgeError, InvalidState
from bridge.net.http import Http
from bridge.node.lines import InboundMode, LineConfig, Lines
from bridge.node.manager import Manager
from bridge.node.runner import CallRunner

log = logging.getLogger(__name__)

MODES: Final = {
    InboundMode.BOT: AgentMode.BOT,
    InboundMode.IVR: AgentMode.IVR,
    InboundMode.AI: AgentMode.AI,
}


class Agents:
    """The agents of this node's calls."""

    def __init__(
        self,
        manager: Manager,
        lines: Lines,
        *,
        providers: Callable[[LineName, LineConfig], Providers],
        greeting: Callable[[LineName, LineConfig], str],
        observer: AgentObserver,
    ) -> None:
        """Make it.

        Args:
            manager: has the calls.
            lines: say how each line is set.
            providers: gives those of a line.
            greeting: gives what is said first.
            observer: counts what agents do.
        """
        self._manager = manager
        self._lines = lines
        self._providers = providers
        self._greeting = greeting
        self._observer = observer

    def happened(self, event: CallEvent) -> None:
        """Put an agent into a call that rang a line in such a mode, once it can hear."""
        record = event.record
        if event.type != "call.active" or record is None or event.call_id is None:
            return
        mode = MODES.get(self._lines.config(event.line).mode)
        if mode is not None and record.direction is Direction.INBOUND:
            # Not at once: who reports this is in the middle of changing the call.
            loop = asyncio.get_running_loop()
            loop.call_soon(self._start_quietly, event.line, event.call_id, mode)

    def start(self, line: LineName, call_id: str, mode: AgentMode | None = None) -> AgentLeg:
        """Put an agent into a live call that has been answered.

        Args:
            line: whose call, and whose settings.
            call_id: which.
            mode: what it does; None as the line is set, or `ai`.

        Raises:
            CallNotFound, InvalidState: there is no such call, or it has an agent.
            LimitExceeded: the call has all its legs.
        """
        runner = self._manager.live(line, call_id)
        if runner.machine.state in UNANSWERED:
            raise InvalidState("an agent needs an answered call; this one still rings")
        if _agents(runner):
            raise InvalidState("the call has an agent already")
        config = self._lines.config(line)
        chosen = mode or MODES.get(config.mode, AgentMode.AI)
        script = Script(
            chosen, greeting=self._greeting(line, config), system_prompt=config.system_prompt
        )
        made: list[AgentLeg] = []

        def make(leg_id: LegId) -> AgentLeg:
            leg = AgentLeg(
                leg_id,
                script,
                self._providers(line, config),
                observer=self._observer,
                hang_up=lambda: _hang_up(runner),
            )
            made.append(leg)
            return leg

        self._manager.attach(
            line, call_id, make, Party.SERVICE, hears=Hears.INBOUND, heard=Heard.ALL
        )
        return made[0]

    def stop(self, line: LineName, call_id: str) -> int:
        """Take the agent out of a call, which goes on; returns how many there were.

        Raises:
            CallNotFound, InvalidState: there is no such live call.
        """
        runner = self._manager.live(line, call_id)
        agents = _agents(runner)
        for leg in agents:
            runner.dispatch(events.CloseRequested(leg.leg_id))
        return len(agents)

    def _start_quietly(self, line: LineName, call_id: CallId, mode: AgentMode) -> None:
        try:
            self.start(line, call_id, mode)
        except BridgeError as error:
            log.warning("agent.not_started", extra={"call": call_id, "code": error.code})
            # Nobody would ever speak to the caller.
            with suppress(BridgeError):
                self._manager.request(line, call_id, events.HangupRequested())


def build_agents(
    manager: Manager, lines: Lines, http: Http, *, observer: AgentObserver, demo: LineName | None
) -> Agents:
    """Make the agents of a node.

    Args:
        manager: has the calls.
        lines: say how each line is set.
        http: reaches the lines' providers.
        observer: counts what agents do.
        demo: the line whose missing providers are played by stand-ins.
    """
    demonstration = stand_in() if demo is not None else None

    def providers(line: LineName, config: LineConfig) -> Providers:
        urls = (config.stt_url, config.llm_url, config.tts_url)
        real = http_providers(http, urls, config.provider_token)
        if line != demo or demonstration is None:
            return real
        return Providers(
            real.stt if config.stt_url else demonstration.stt,
            real.llm if config.llm_url else demonstration.llm,
            real.tts if config.tts_url else demonstration.tts,
        )

    def greeting(line: LineName, config: LineConfig) -> str:
        plays = line == demo and not (config.greeting or config.stt_url)
        return GREETING if plays else config.greeting

    return Agents(manager, lines, providers=providers, greeting=greeting, observer=observer)


def _agents(runner: CallRunner) -> list[AgentLeg]:
    return [leg for leg in runner.legs() if isinstance(leg, AgentLeg)]


def _hang_up(runner: CallRunner) -> None:
    """End a call whose agent is done, unless somebody else is there to talk."""
    if runner.machine.near():
        return
    with suppress(BridgeError):
        runner.dispatch(events.HangupRequested())
