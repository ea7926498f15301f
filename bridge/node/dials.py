"""Dials: whether and how a line calls a number, the leg that rings it, and parties that join a live call."""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

from bridge.call.model import CallFacts, LegId, LegKind, LineName
from bridge.call.routing import LegRole
from bridge.legs.base import Dialer, DialledLeg
from bridge.node.dial_rules import DialRules, Route
from bridge.node.runner import CallRunner


class Dials:
    """The dials of a node."""

    def __init__(
        self, dialer: Dialer, rules: DialRules | None, calls: Callable[[], Iterable[CallRunner]]
    ) -> None:
        """Make it; `calls` returns the live calls. Without rules every line calls everybody over WhatsApp."""
        self._dialer = dialer
        self._rules = rules or DialRules()
        self._calls = calls

    async def route(
        self, line: LineName, number: str, channel: str = "", into: CallRunner | None = None
    ) -> Route:
        """Return how a line calls a number, into a live call or not, and count the call.

        `channel` is the one that was asked for; empty for none. Raises as `DialRules.check`.
        """
        own = [runner.kinds() for runner in self._calls() if runner.facts.line == line]
        telephones = sum(kinds.count(LegKind.SIP) for kinds in own)
        kinds = [] if into is None else into.kinds()
        return await self._rules.check(
            line, number, channel, joined=kinds, telephone_calls=telephones
        )

    def leg(self, facts: CallFacts, number: str, route: Route, *, replaces: str = "") -> DialledLeg:
        """Return the leg that rings a number; arguments and errors as of `Dialer.outbound_leg`."""
        return self._dialer.outbound_leg(facts, number, route.channel, replaces)

    async def invite(
        self,
        runner: CallRunner,
        number: str,
        role: LegRole,
        *,
        channel: str = "",
        replaces: str = "",
    ) -> LegId:
        """Ring a number for a party of a live call; returns once its provider has accepted the dial.

        `channel` and `replaces` are as in `route` and `Dialer.outbound_leg`.

        Raises:
            InvalidState, LimitExceeded.
            Forbidden, Unsupported: the line does not call the number into this call.
            BridgeError: the line's provider does not ring the number.
        """
        runner.check_room()
        route = await self.route(runner.facts.line, number, channel, runner)
        runner.check_room()
        self._rules.check_joined(runner.facts.line, route.channel, runner.kinds())
        leg = self.leg(runner.facts, number, route, replaces=replaces)
        await runner.dial(leg, replace(role, talk_seconds=route.talk_seconds or math.inf))
        return leg.leg_id
