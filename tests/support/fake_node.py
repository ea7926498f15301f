"""A node's call service whose legs are made up: what dials and offers make is at hand."""

import asyncio
from collections.abc import Callable

from typing_extensions import override

from bridge.call.limits import CallLimits
from bridge.call.model import CallFacts, LegId, LegKind, LineName
from bridge.call.quota import Quota
from bridge.errors import SdpError, Unreachable
from bridge.legs.base import Dialer, new_leg_id
from bridge.metrics.registry import Metrics
from bridge.node.admission import Admission
from bridge.node.call_history import EndedCalls
from bridge.node.calls.browsers import Browsers
from bridge.node.clock import Clock
from bridge.node.diagnosis.diagnosis import DiagnosisLog
from bridge.node.dials import DialRules
from bridge.node.manager import CallLogs, Manager
from bridge.settings.model import Limits
from tests.support.fake_leg import FakeLeg

ONE, TWO = LineName("one"), LineName("two")
NUMBER = "15550100001"
LIMITS = Limits(calls=3, kept_seconds=60.0)


class Browser(FakeLeg):
    """A WebRTC leg whose answer waits for the test's leave."""

    def __init__(self, leg_id: LegId, *, leave: asyncio.Event) -> None:
        super().__init__(leg_id, LegKind.WEBRTC)
        self.closed = False
        self._leave = leave

    async def accept(self, offer: str) -> str:
        await self._leave.wait()
        if offer == "bad":
            raise SdpError("the offer has no audio line")
        if offer == "crash":
            raise RuntimeError("a bug")
        return f"answer to {offer}"

    @override
    async def aclose(self) -> None:
        self.closed = True


def make_manager(
    dialer: Dialer,
    limits: Limits,
    metrics: Metrics,
    *,
    overloaded: Callable[[], str] = lambda: "",
) -> Manager:
    """A manager whose lines all call everybody over WhatsApp."""
    return Manager(
        admission=Admission(
            quota=Quota(
                "calls",
                "limits.calls",
                limits.calls,
                limits.calls_per_line,
                line_setting="limits.calls_per_line",
            ),
            metrics=metrics.calls,
            overloaded=overloaded,
        ),
        dialer=dialer,
        dial_rules=DialRules(),
        clock=Clock(asyncio.get_running_loop()),
        metrics=metrics,
        limits=CallLimits(ring_seconds=60, call_seconds=3600, abandoned_seconds=60),
        logs=CallLogs(EndedCalls(limits), DiagnosisLog(metrics.problems)),
    )


class Node:
    """A manager, and every leg that it made."""

    def __init__(self, limits: Limits = LIMITS, *, ports: int = 1000) -> None:
        self.legs: list[FakeLeg] = []
        self.made_browsers: list[Browser] = []
        self.unreachable = False
        self.accepts = asyncio.Event()
        """Set while the provider answers dials."""
        self.accepts.set()
        self.leave = asyncio.Event()
        self.leave.set()
        self.happened: list[str] = []
        """The types of the events published."""
        self.metrics = Metrics(version="0")
        self.manager = make_manager(self, limits, self.metrics)
        self.manager.publisher.subscribe(lambda event: self.happened.append(event.type))
        self.browsers = Browsers(
            self.manager,
            self._browser,  # type: ignore[arg-type]
            ports=Quota("media ports", "rtc.ports", ports, lines=2),
        )

    def outbound_leg(
        self, call: CallFacts, number: str, channel: str, replaces: str = ""
    ) -> FakeLeg:
        leg = self.leg(new_leg_id())
        leg.dials, leg.answers = True, self.accepts
        if self.unreachable:
            leg.refusal = Unreachable("the number cannot be reached")
        return leg

    def leg(self, leg_id: LegId) -> FakeLeg:
        self.legs.append(FakeLeg(leg_id))
        return self.legs[-1]

    def figure(self, name: str) -> float:
        """Return the sum of a metric's series."""
        lines = self.metrics.render().decode().splitlines()
        return sum(
            float(line.split()[-1]) for line in lines if line.startswith((name + "{", name + " "))
        )

    def _browser(self, leg_id: LegId, *, sdk: bool = False) -> Browser:
        self.made_browsers.append(Browser(leg_id, leave=self.leave))
        return self.made_browsers[-1]


async def dial(node: Node, line: LineName = ONE) -> str:
    """Begin a call and return its id."""
    return (await node.manager.dial(line, NUMBER)).facts.call_id
