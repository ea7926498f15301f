"""Supervises trunks: OPTIONS and registrations, with failover between their addresses."""

import asyncio
import itertools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, TypeAlias

from bridge.backoff import Backoff
from bridge.http.resolver import LookupFailed
from bridge.sip.boundary import OptionsAnswered, RegistrationChanged, Target
from bridge.tasks import Tasks
from bridge.trunk.admission import SipAdmission
from bridge.trunk.interfaces import Agent
from bridge.trunk.targets import SipTargets
from bridge.trunk.trunk import TrunkAddress, registration

ANSWER_SECONDS: Final = 8.0
"""For the response to OPTIONS before the next address is tried."""
RECONNECT_SECONDS: Final = 1.0
"""Between the loss of a registered connection and the next."""
MAX_PAUSE: Final = 120.0
"""Longest pause between OPTIONS to a trunk that does not answer; it doubles up to here."""


@dataclass(frozen=True, slots=True)
class TrunkHealth:
    """How a trunk answered last."""

    reachable: bool | None = None
    """None: not known yet."""
    registered: bool | None = None
    """None: not answered yet, or there is no registration to keep."""
    code: int = 0
    """Of the response that refused the registration; 0 for none."""
    last_error: str = ""
    """Readable text without secrets and numbers."""
    since: float = field(default=0.0, compare=False)
    """When it last changed; in seconds since 1970."""


OnChange: TypeAlias = Callable[[str, TrunkHealth], None]
"""Takes the name of a trunk and how it is now."""


@dataclass(slots=True, eq=False)
class _Kept:
    """A trunk that is kept reachable."""

    address: TrunkAddress
    health: TrunkHealth
    registrar: Target | None = None
    """Where its registration is kept."""
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the connection has gone over which the trunk is to call."""
    renew: bool = False
    """Whether to register again as soon as it is reached."""
    task: asyncio.Task[None] | None = None


class SipTrunks:
    """The trunks of one node that are kept reachable."""

    def __init__(self, agent: Agent, targets: SipTargets, admission: SipAdmission) -> None:
        self.on_change: OnChange = lambda _name, _health: None
        """Takes the health of a trunk whenever it changes."""
        self._agent = agent
        self._targets = targets
        self._admission = admission
        self._kept: dict[str, _Kept] = {}
        self._questions = itertools.count()
        self._answers: dict[str, asyncio.Future[int]] = {}
        """By question, each of which has a name of its own: the core reports silence after 32 s."""
        self._tasks = Tasks()

    def keep(self, trunk: TrunkAddress) -> None:
        """Supervise a trunk from now on, in place of an earlier one of its name."""
        earlier = self._kept.get(trunk.name)
        if earlier is not None and earlier.address == trunk:
            return
        self.drop(trunk.name)
        kept = _Kept(trunk, TrunkHealth())
        self._kept[trunk.name] = kept
        kept.task = self._tasks.spawn(self._keep(kept), name="sip.trunk")

    def drop(self, name: str) -> None:
        """Unregister from a trunk, and stop supervising it."""
        kept = self._kept.pop(name, None)
        if kept is None:
            return
        if kept.task is not None:
            kept.task.cancel()
        if kept.registrar is not None:
            self._agent.core.unregister(name, self._agent.now())
            self._agent.changed()
        self._admission.registered(name, ())

    def leave(self) -> None:
        """Stop supervising all trunks; their registrations last, for another node to renew with the same contact."""
        for name, kept in self._kept.items():
            if kept.task is not None:
                kept.task.cancel()
            self._agent.core.forget_registration(name)
        self._kept.clear()

    def drop_all(self) -> None:
        """Unregister from all trunks, and stop supervising them."""
        for name in tuple(self._kept):
            self.drop(name)

    def health(self, name: str) -> TrunkHealth:
        """Return how a trunk answered last."""
        kept = self._kept.get(name)
        return kept.health if kept is not None else TrunkHealth()

    async def aclose(self) -> None:
        """Unregister everywhere, without waiting for the responses."""
        self.drop_all()
        await self._tasks.aclose()

    def options_answered(self, answered: OptionsAnswered) -> None:
        """Take the answer to a question."""
        answer = self._answers.get(answered.name)
        if answer is not None and not answer.done():
            answer.set_result(answered.code)

    def responded(self, name: str) -> None:
        """Note that a trunk answered a call: it is reachable, whatever OPTIONS said last."""
        kept = self._kept.get(name)
        if kept is not None and kept.health.reachable is False:
            self._change(kept, reachable=True, last_error="")

    def registration_changed(self, changed: RegistrationChanged) -> None:
        """Handle the response of a registrar."""
        kept = self._kept.get(changed.name)
        if kept is None or kept.registrar is None:
            return
        self._admission.registered(
            changed.name, [kept.registrar.host] if changed.registered else ()
        )
        error = "" if changed.registered else f"the registration failed with {changed.code}"
        self._change(
            kept,
            registered=changed.registered,
            code=0 if changed.registered else changed.code,
            last_error=error,
        )
        if changed.code in (408, 503) and not changed.registered:
            self._targets.failed(kept.registrar)

    def connection_lost(self, target: Target) -> None:
        """Register again soon, where the trunk could call over this connection alone."""
        if target.transport == "udp":
            return
        for kept in self._kept.values():
            if kept.registrar == target and kept.health.registered:
                kept.lost.set()

    async def _keep(self, kept: _Kept) -> None:
        every = kept.address.options_seconds
        backoff, failures = Backoff(every, max(MAX_PAUSE, every)), 0
        while True:
            failures = 0 if await self._ask(kept) else failures + 1
            with suppress(TimeoutError):
                async with asyncio.timeout(backoff.after(failures + 1)):
                    await kept.lost.wait()
                    kept.lost.clear()
                    kept.renew = True
                    await asyncio.sleep(RECONNECT_SECONDS)

    async def _ask(self, kept: _Kept) -> bool:
        """Ask a trunk's addresses, one after the other, until one answers; register there."""
        error = "no address responds"
        try:
            found = await self._agent.find(kept.address)
        except LookupFailed as failure:
            found, error = [], failure.strerror or error
        for each in found:
            try:
                target = await self._agent.connect(kept.address, each)
            except OSError as failure:
                self._targets.failed(each)
                error = failure.strerror or error
                continue
            if kept.address.register_seconds and kept.registrar is None:
                self._register(kept, target)  # it need not answer OPTIONS
            if await self._is_there(kept, target):
                self._targets.answered(target)
                self._reached(kept, target)
                return True
            self._targets.failed(each)
        self._change(kept, reachable=False, last_error=error)
        return False

    async def _is_there(self, kept: _Kept, target: Target) -> bool:
        question = f"{kept.address.name} {next(self._questions)}"
        answer = self._answers[question] = asyncio.get_running_loop().create_future()
        uri = f"sip:{kept.address.realm}"
        self._agent.core.options(question, target, uri, self._agent.now())
        self._agent.changed()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                code: int = await answer
                return code != 0
        except TimeoutError:
            return False
        finally:
            del self._answers[question]

    def _reached(self, kept: _Kept, target: Target) -> None:
        registered = kept.health.registered
        error = "" if registered is not False else kept.health.last_error
        self._change(kept, reachable=True, last_error=error)
        moved = kept.registrar is not None and kept.registrar != target and registered is False
        if kept.address.register_seconds and (moved or kept.renew):
            kept.renew = False
            self._register(kept, target)

    def _register(self, kept: _Kept, target: Target) -> None:
        kept.registrar = target
        self._agent.core.register(registration(kept.address, target), self._agent.now())
        self._agent.changed()

    def _change(self, kept: _Kept, **changes: bool | int | str) -> None:
        health = replace(kept.health, **changes)  # type: ignore[arg-type]
        if health != kept.health:
            kept.health = replace(health, since=datetime.now(UTC).timestamp())
            self.on_change(kept.address.name, kept.health)
