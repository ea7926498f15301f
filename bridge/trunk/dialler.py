"""Dials outbound calls: one address of the trunk after the other, until one answers (RFC 3263 section 4.3)."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bridge.http.resolver import LookupFailed
from bridge.sip.boundary import DialogId, Target
from bridge.sip.events import Refused
from bridge.sip.message.values import ValueSyntaxError
from bridge.tasks import Tasks
from bridge.trunk.dialog import AgentDialog
from bridge.trunk.interfaces import Agent
from bridge.trunk.targets import SipTargets
from bridge.trunk.trunk import OutboundCall, TrunkAddress, dial_request

NEXT_SECONDS: Final = 4.0
"""For the first response before the next address is tried, if there is one; the core would wait 32 s."""


@dataclass(slots=True, eq=False)
class _Attempt:
    """A call to which no address of its trunk has answered yet."""

    trunk: TrunkAddress
    call: OutboundCall
    sdp: str
    left: tuple[Target, ...]
    """Addresses to try when this one fails."""
    target: Target | None = None
    """The address that is being tried."""
    silent: bool = False
    """Whether it has sent nothing since the INVITE."""
    timer: asyncio.TimerHandle | None = None


class SipDialler:
    """The outbound calls of one agent, until they ring, are answered, or fail."""

    def __init__(
        self,
        agent: Agent,
        targets: SipTargets,
        dialogs: dict[DialogId, AgentDialog],
        *,
        on_response: Callable[[str], None] = lambda _name: None,
    ) -> None:
        """`dialogs` are the agent's, by id; those dialled are added.

        `on_response` takes the name of each trunk that answers an INVITE.
        """
        self._on_response = on_response
        self._agent = agent
        self._targets = targets
        self._dialogs = dialogs
        self._attempts: dict[AgentDialog, _Attempt] = {}
        self._waiting: dict[tuple[str, int], list[_Attempt]] = {}
        """Attempts without a response, by address."""
        self._tasks = Tasks()

    def start(self, dialog: AgentDialog, trunk: TrunkAddress, call: OutboundCall, sdp: str) -> None:
        """Dial; the dialog reports the events."""
        self._tasks.spawn(self._look_up(dialog, trunk, call, sdp), name="sip.dial")

    def heard(self, source: Target) -> None:
        """Note that a message came from an address."""
        for attempt in self._waiting.pop((source.host, source.port), ()):
            attempt.silent = False
            self._on_response(attempt.trunk.name)

    def dial_next(self, dialog: AgentDialog) -> bool:
        """Try the next address in place of one that cannot serve the call; return False if there is none."""
        attempt = self._attempts.get(dialog)
        if attempt is None:
            return False
        if attempt.target is not None:
            self._targets.failed(attempt.target)
        if not attempt.left or dialog.gone:
            return False
        self._stop_waiting(attempt)
        dialog.current = None
        self._tasks.spawn(self._next(dialog, attempt), name="sip.dial")
        return True

    def done(self, dialog: AgentDialog) -> None:
        """Note that a call rings, is answered or is over: no further address is tried."""
        if (attempt := self._attempts.pop(dialog, None)) is not None:
            self._stop_waiting(attempt)

    async def aclose(self) -> None:
        """Dial no more."""
        for dialog in tuple(self._attempts):
            self.done(dialog)
        await self._tasks.aclose()

    async def _look_up(
        self, dialog: AgentDialog, trunk: TrunkAddress, call: OutboundCall, sdp: str
    ) -> None:
        try:
            found = await self._agent.find(trunk)
        except LookupFailed:
            if not dialog.gone:
                dialog.fail(Refused(503, "the trunk's name has no address"))
            return
        attempt = _Attempt(trunk, call, sdp, tuple(found))
        self._attempts[dialog] = attempt
        await self._next(dialog, attempt)

    async def _next(self, dialog: AgentDialog, attempt: _Attempt) -> None:
        while attempt.left and not dialog.gone:
            target, *left = attempt.left
            attempt.left = tuple(left)
            try:
                ready = await self._agent.connect(attempt.trunk, target)
            except OSError:
                self._targets.failed(target)
                continue
            if not dialog.gone:
                self._dial(dialog, attempt, ready)
                return
        self._attempts.pop(dialog, None)
        if not dialog.gone:
            dialog.fail(Refused(503, "no address of the trunk is reachable"))

    def _dial(self, dialog: AgentDialog, attempt: _Attempt, target: Target) -> None:
        request = dial_request(attempt.trunk, attempt.call, target, attempt.sdp)
        try:
            dialog.current = self._agent.core.dial(request, self._agent.now())
        except ValueSyntaxError:
            self._attempts.pop(dialog, None)
            dialog.fail(Refused(400, "the number or the caller is not valid in a SIP URI"))
            return
        self._dialogs[dialog.current] = dialog
        attempt.target, attempt.silent = target, True
        self._waiting.setdefault((target.host, target.port), []).append(attempt)
        if attempt.left:
            loop = asyncio.get_running_loop()
            attempt.timer = loop.call_later(NEXT_SECONDS, self._time_out, dialog, attempt)
        self._agent.changed()

    def _time_out(self, dialog: AgentDialog, attempt: _Attempt) -> None:
        if not attempt.silent or dialog.gone or dialog.current is None:
            return
        # A late answer to the abandoned INVITE is acknowledged and ended by the core.
        if (call := self._agent.core.call(dialog.current)) is not None:
            call.hang_up(self._agent.now())
        del self._dialogs[dialog.current]
        self._agent.changed()
        self.dial_next(dialog)

    def _stop_waiting(self, attempt: _Attempt) -> None:
        if attempt.timer is not None:
            attempt.timer.cancel()
            attempt.timer = None
        if attempt.target is None:
            return
        key = (attempt.target.host, attempt.target.port)
        waiting = [each for each in self._waiting.pop(key, ()) if each is not attempt]
        if waiting:
            self._waiting[key] = waiting
