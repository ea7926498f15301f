"""Speaks disclosures in calls: persons are told that they hear a machine before they hear it.

The call's routing decides who hears whom (`call.disclosure.told`). This service holds the machines meanwhile, speaks the line's
disclosure to the persons who have not heard it, and removes the machines if it cannot be spoken.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from bridge.call import events
from bridge.call.disclosure_wording import Wording
from bridge.call.model import CallId, LegId, LegKind, LineName, Party
from bridge.call.routing import Audience, LegRole, Subscription
from bridge.errors import BridgeError, CallEnded, CallMoving
from bridge.legs.base import Leg, new_leg_id
from bridge.legs.recording import RecorderLeg
from bridge.legs.stream import StreamLeg
from bridge.metrics.disclosure import DisclosureMetrics
from bridge.node.disclosure.leg import DisclosureLeg
from bridge.node.disclosure.statements import Statements
from bridge.node.runner import CallRunner
from bridge.settings.disclosure import Disclosure
from bridge.tasks import Tasks
from bridge.wire.call_event import CallEvent, EventType
from bridge.wire.iso8601 import iso8601
from bridge.wire.stream.protocols import PROTOCOLS

log = logging.getLogger(__name__)

REASON: Final = "disclosure"
"""Why a machine is held (`call.bots.speech_gates`)."""
REALTIME: Final = "realtime"
ALWAYS_MACHINES: Final = ("agent", REALTIME)
MAX_ANNOUNCEMENT_SECONDS: Final = 30.0
"""Maximum wait for a recording announcement, so that the two do not overlap."""
LOOK_SECONDS: Final = 0.1
RINGS: Final = (EventType.CALL_RINGING, EventType.CALL_INITIATED)


@dataclass(frozen=True, slots=True)
class Rules:
    """The disclosure of each line, and when it may begin."""

    of: Callable[[LineName], Disclosure]
    announced: Callable[[LineName], float] = lambda line: 0.0
    """How long Meta's own recording announcement takes in a line's calls."""
    has_machine: Callable[[LineName], bool] = lambda line: True
    """Whether a line has an agent or a model, so that its disclosure is prepared when a call rings."""


class Disclosures:
    """The disclosures in this node's calls (`node.disclosing.Disclosing`)."""

    def __init__(self, rules: Rules, statements: Statements, counters: DisclosureMetrics) -> None:
        self._rules = rules
        self._statements = statements
        self._counters = counters
        self._telling: dict[CallId, DisclosureLeg | None] = {}
        """The disclosure that is being spoken, by call; None while it is prepared."""
        self._given_up: dict[CallId, frozenset[LegId]] = {}
        """Persons to whom it could not be spoken, in calls where others have heard it."""
        self._tasks = Tasks()
        self._loop = asyncio.get_running_loop()
        self.recordings_begun: Callable[[CallId], Mapping[str, float]] = lambda call: {}
        """Returns when the recordings of a call began, by id (`Recordings.begun`)."""

    def cover(self, line: LineName, leg: Leg, role: LegRole) -> LegRole:
        """Return the role of a leg that is about to join, completed with whether it is heard only after the disclosure."""
        kind = _machine_kind(leg)
        speaks = role.audience in (Audience.ALL, Audience.FAR) and role.only_to is None
        if not speaks or not (kind or role.machine):
            return role
        disclosure = self._rules.of(line)
        covered = disclosure.is_set and (role.machine or kind in disclosure.for_)
        machine = role.machine or covered or kind in ALWAYS_MACHINES
        return replace(role, machine=machine, discloses=covered)

    def follow(self, runner: CallRunner) -> None:
        """Hold or release the machines, and speak the disclosure if it is due; called after each event of a call."""
        call_id, legs = runner.facts.call_id, runner.machine.legs
        saying = self._telling.get(call_id)
        if saying is not None and not legs.disclosure.listeners(saying.leg_id):
            saying.stop()
        if not (machines := legs.machines()):
            return
        change = runner.speech_gates.release if legs.told else runner.speech_gates.hold
        for machine in machines:
            change(machine, REASON)
        if call_id not in self._telling and self._due(runner):
            self._telling[call_id] = None
            self._tasks.spawn(self._tell(runner), name=f"disclosure in call {call_id}")

    def on_event(self, event: CallEvent) -> None:
        """Prepare the disclosure of a line when a call begins to ring; forget a call that has ended."""
        if event.type in RINGS:
            line = LineName(event.line)
            if self._rules.of(line).is_set and self._rules.has_machine(line):
                self._tasks.spawn(self._prepare(line), name=f"prepare disclosure of {line}")
        elif event.type == EventType.CALL_ENDED and event.call is not None:
            self._given_up.pop(CallId(event.call.id), None)

    async def aclose(self) -> None:
        """Cancel all disclosures."""
        await self._tasks.aclose()
        await self._statements.aclose()

    async def _prepare(self, line: LineName) -> None:
        with suppress(BridgeError):
            await self._statements.prepare(line, self._rules.of(line))

    def _due(self, runner: CallRunner) -> frozenset[LegId]:
        """Return the persons to whom the disclosure is due now."""
        if not runner.live or runner.suspension.active:
            return frozenset()
        given_up = self._given_up.get(runner.facts.call_id, frozenset())
        return runner.machine.untold() - given_up

    async def _tell(self, runner: CallRunner) -> None:
        call_id = runner.facts.call_id
        try:
            while self._due(runner):
                await self._say(runner)
        except (CallEnded, CallMoving):
            pass  # another process goes on with a call that moves
        except BridgeError as error:
            self._fail(runner, error.code)
        except Exception:
            log.exception("disclosure.failed")
            self._fail(runner, "internal_error")
        finally:
            del self._telling[call_id]

    async def _say(self, runner: CallRunner) -> None:
        line, call_id = runner.facts.line, runner.facts.call_id
        with runner.suspension.kept_here(copied=True):
            said = await self._statements.prepare(line, self._rules.of(line))
            await self._others_announced(runner)
        if not (listeners := self._due(runner)):
            return
        wording = Wording(said.asset, said.text_hash, self._rules.of(line).language)
        leg = self._telling[call_id] = DisclosureLeg(new_leg_id(), said.pcm, wording)
        role = LegRole(
            Party.SERVICE, Subscription.INBOUND, Audience.ALL, asked_for=False, only_to=listeners
        )
        try:
            runner.add_leg(leg, role)
            await leg.finished.wait()
        finally:
            self._telling[call_id] = None
        if leg.statement.over:
            told = listeners & runner.machine.legs.disclosure.told
            self._report(runner, leg, told)

    async def _others_announced(self, runner: CallRunner) -> None:
        """Wait until the recording announcements are over, Meta's and ours."""
        until = runner.machine.announced_until(self._rules.announced(runner.facts.line))
        await asyncio.sleep(until - self._loop.time())
        for _ in range(round(MAX_ANNOUNCEMENT_SECONDS / LOOK_SECONDS)):
            if not any(map(_awaits_announcement, runner.legs())):
                return
            await asyncio.sleep(LOOK_SECONDS)

    def _report(self, runner: CallRunner, leg: DisclosureLeg, told: frozenset[LegId]) -> None:
        statement, wording = leg.statement, leg.wording
        self._counters.told("spoken")
        if statement.interrupted:
            self._counters.told("repeated")
        wall = datetime.now(UTC).timestamp() - self._loop.time()
        data: dict[str, Any] = {
            "machines": runner.machine.legs.machines(),
            "parties": sorted(told),
            "language": wording.language,
            "interrupted": statement.interrupted,
            "startedAt": iso8601(datetime.fromtimestamp(wall + statement.began, UTC)),
            "durationMs": round((statement.ended - statement.began) * 1000),
            "recordings": [
                {
                    "recordingId": recording,
                    "beginsMs": round((statement.began - began) * 1000),
                    "endsMs": round((statement.ended - began) * 1000),
                }
                for recording, began in self.recordings_begun(runner.facts.call_id).items()
                if began <= statement.began
            ],
        }
        source = {"asset": wording.asset} if wording.asset else {"textHash": wording.text_hash}
        runner.publish(EventType.DISCLOSURE_SPOKEN, data | source)

    def _fail(self, runner: CallRunner, reason: str) -> None:
        """Report a disclosure that cannot be spoken, and remove the machines unless somebody has heard it."""
        self._counters.told("failed")
        call_id, legs = runner.facts.call_id, runner.machine.legs
        machines, untold = legs.machines(), runner.machine.untold()
        log.error("disclosure.failed", extra={"call": call_id, "reason": reason})
        runner.publish(
            EventType.DISCLOSURE_FAILED,
            {"machines": machines, "parties": sorted(untold), "reason": reason},
        )
        if legs.told:
            self._given_up[call_id] = self._given_up.get(call_id, frozenset()) | untold
            return
        with suppress(BridgeError):
            for machine in machines:
                runner.dispatch(events.CloseRequested(machine))
            if runner.live and not legs.near() and len(legs.far_parties()) < 2:
                runner.dispatch(events.HangupRequested())


def _awaits_announcement(leg: Leg) -> bool:
    return isinstance(leg, RecorderLeg) and leg.awaiting_announcement


def _machine_kind(leg: Leg) -> str:
    """Return the kind of machine that a leg is, as the settings name it (`disclosure.for`); empty for none of them."""
    match leg.kind:
        case LegKind.AGENT | LegKind.SOCKET:
            return leg.kind.value
        case LegKind.STREAM if isinstance(leg, StreamLeg):
            protocol = leg.facts.protocol
            return REALTIME if PROTOCOLS[protocol].model else protocol.value
    return ""
