"""Dials: whether and how a line calls a number, the leg that rings it, and parties that join a live call."""

import asyncio
import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from bridge.call.model import CallDetails, CallFacts, LegId, LegKind, LineName
from bridge.call.parties import PSTN, WHATSAPP
from bridge.call.policy import LinePolicy, TrunkPolicy, channels_of, check_emergency
from bridge.call.routing import LegRole
from bridge.cluster.directory import SharedDirectory
from bridge.errors import TooManyTelephoneCalls
from bridge.legs.base import Dialer, DialledLeg
from bridge.node.runner import CallRunner

BUSY_SECONDS: Final = 30
"""`Retry-After` in seconds for a line at its limit of concurrent telephone calls."""
_UNKNOWN: Final = LinePolicy(())


@dataclass(frozen=True, slots=True)
class Route:
    """How a number is called."""

    channel: str
    caller_id: str = ""
    """With `+`; empty for the line's own number."""
    talk_seconds: float = 0.0
    """Longest call, from its answer on; 0 for no limit of its own."""

    def apply(self, details: CallDetails) -> CallDetails:
        """Return the details of a call that is made this way."""
        if self.channel == WHATSAPP:
            return details
        named, limits = details.parties, (details.talk_seconds, self.talk_seconds)
        return replace(
            details,
            parties=replace(
                named,
                from_=named.from_ or self.caller_id,
                from_channel=named.from_channel or self.channel,
                to_channel=named.to_channel or self.channel,
            ),
            talk_seconds=min(filter(None, limits), default=0.0),
        )


class DialRules:
    """The policies of all lines, and how many calls to the telephone network each has begun lately.

    Calls per minute are counted over all nodes, concurrent ones on each.
    """

    def __init__(
        self,
        policies: Mapping[LineName, LinePolicy] = MappingProxyType({}),
        *,
        directory: SharedDirectory | None = None,
    ) -> None:
        self._policies = policies
        self._directory = directory
        self._begun: dict[LineName, tuple[float, float]] = {}

    async def check(
        self,
        line: LineName,
        number: str,
        channel: str,
        *,
        joined: Iterable[LegKind] = (),
        telephone_calls: int = 0,
    ) -> Route:
        """Return how a line calls a number, and count the call if it is to the telephone network.

        Args:
            line: who calls.
            number: digits only, or an identifier.
            channel: that the request named; empty for none.
            joined: the kinds of the legs that the new party will be in a call with.
            telephone_calls: how many calls to the telephone network the line has on this node.

        Raises:
            InvalidRequest: a telephone cannot have the number.
            Forbidden: an emergency number, or the line may not call the number, or not into this call.
            Unsupported: it has no trunk.
            TooManyTelephoneCalls: over a limit of its trunk.
        """
        check_emergency(number)
        policy, others = self._policies.get(line, _UNKNOWN), channels_of(joined)
        if not channel and policy.trunk is not None and PSTN in others:
            channel = PSTN
        channel = policy.channel_to(number, channel)
        policy.check_joined(channel, *others)
        if channel != PSTN:
            return Route(channel)
        trunk = policy.check_telephone(number)
        if trunk.calls and telephone_calls >= trunk.calls:
            raise TooManyTelephoneCalls(
                "the line has reached its limit of telephone calls (lines.NAME.sip.calls)",
                retry_after=BUSY_SECONDS,
            )
        await self._count(line, trunk)
        return Route(PSTN, trunk.caller_id, trunk.call_seconds)

    def check_joined(self, line: LineName, channel: str, joined: Iterable[LegKind]) -> None:
        """Check once more, right before it joins, that a party may be in a call with those that have joined.

        Raises:
            Forbidden: it may not.
        """
        policy = self._policies.get(line, _UNKNOWN)
        policy.check_joined(channel, *channels_of(joined))

    async def _count(self, line: LineName, trunk: TrunkPolicy) -> None:
        def take(bucket: tuple[float, float] | None, now: float) -> tuple[float, float]:
            return take_call(bucket, now, trunk.calls_per_minute)

        if self._directory is not None:
            await self._directory.spend(
                b"telephone " + hashlib.sha256(line.encode()).digest(), take
            )
            return
        self._begun[line] = take(self._begun.get(line), asyncio.get_running_loop().time())


def take_call(
    bucket: tuple[float, float] | None, now: float, per_minute: int
) -> tuple[float, float]:
    """Spend one call of a token bucket (its content, and as of when), and return the bucket.

    Raises:
        TooManyTelephoneCalls: the bucket is empty.
    """
    left, at = bucket or (float(per_minute), now)
    left = min(float(per_minute), left + max(0.0, now - at) * per_minute / 60)
    if left < 1:
        raise TooManyTelephoneCalls(
            f"more than {per_minute} calls to the telephone network in a minute "
            "(lines.NAME.sip.calls_per_minute)",
            retry_after=max(1, math.ceil((1 - left) * 60 / per_minute)),
        )
    return left - 1, now


class Dials:
    """The dials of a node."""

    def __init__(
        self, dialer: Dialer, rules: DialRules, calls: Callable[[], Iterable[CallRunner]]
    ) -> None:
        """`calls` returns the live calls."""
        self._dialer = dialer
        self._rules = rules
        self._calls = calls

    async def route(
        self, line: LineName, number: str, channel: str = "", into: CallRunner | None = None
    ) -> Route:
        """Return how a line calls a number, into a live call or not, and count the call.

        `channel` is the one that was asked for; empty for none. Raises as `DialRules.check`.
        """
        own = [runner.kinds() for runner in self._calls() if runner.facts.line == line]
        telephones = sum(kind.traits.channel == PSTN for kinds in own for kind in kinds)
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
