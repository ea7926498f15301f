"""Starts and stops streams of calls to customers' WebSockets, within the limits."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Final

from bridge.call import events
from bridge.call.model import CallId, LegId, LineName, Party
from bridge.call.routing import Audience, LegRole, Subscription
from bridge.errors import HandoverRefused, NotFound, TooManyStreams
from bridge.http.client import Http
from bridge.legs.base import PassedLeg, new_leg_id
from bridge.legs.stream import StreamLeg
from bridge.legs.stream_track import TrackLeg
from bridge.media.stream_link import StreamTarget
from bridge.media.stream_snapshot import StreamSnapshot, StreamState, TrackSnapshot
from bridge.metrics.network import SocketMetrics
from bridge.node.manager import Manager
from bridge.node.runner import CallRunner
from bridge.node.streams.realtime import SCHEMES as SCHEMES
from bridge.node.streams.realtime import RealtimeStreams, StreamServer
from bridge.settings.line import Stream
from bridge.telemetry.trace import Trace
from bridge.wire import signature
from bridge.wire.call_event import CallEvent, EventType
from bridge.wire.stream.media_format import IN_PYTHON, Conversion, MediaFormat
from bridge.wire.stream.media_stream import Channel, StreamFacts, StreamProtocol, StreamType
from bridge.wire.stream.protocols import PROTOCOLS

MAX_STREAMS: Final = {StreamType.TWOWAY: 1, StreamType.ONEWAY: 5}
"""Streams of a call at once, by type."""

_SUBSCRIPTIONS: Final = {
    Channel.INBOUND: Subscription.INBOUND,
    Channel.OUTBOUND: Subscription.OUTBOUND,
}


@dataclass(frozen=True, slots=True)
class StreamOrder:
    """What a customer requests."""

    url: str
    type: StreamType
    channel: Channel
    media: MediaFormat
    """The audio's encoding."""
    protocol: StreamProtocol = StreamProtocol.NATIVE
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Sent to the server when the stream starts, where the protocol has a place for it."""
    resumes: bool = True
    """Whether the server may know that a stream goes on over another connection, if its protocol does."""
    machine: bool = False
    """Whether the customer declared the server a machine."""


class Streams:
    """The streams of this node's calls."""

    def __init__(  # noqa: PLR0913  (all but one by keyword)
        self,
        manager: Manager,
        *,
        http: Http,
        counters: SocketMetrics,
        per_line: int = 0,
        settings_of: Callable[[LineName], Stream],
        conversion: Conversion = IN_PYTHON,
        realtime: RealtimeStreams,
    ) -> None:
        """A line may have `per_line` streams at once, 0 for only each call's own limit.

        `settings_of` returns those of a line's streams.
        """
        self.realtime = realtime
        self._manager = manager
        self._settings_of = settings_of
        self._http = http
        self._counters = counters
        self._per_line = per_line
        self._conversion = conversion

    async def check(self, line: LineName, order: StreamOrder) -> None:
        """Check the URL of a stream.

        Raises:
            InvalidRequest: it is not a `ws` or `wss` URL; or as `RealtimeStreams.check`.
            AddressBlocked: customers' URLs may not lead there.
        """
        if PROTOCOLS[order.protocol].model:
            await self.realtime.check(line, order.url)
        else:
            await self._http.of(line).check(order.url, schemes=SCHEMES)

    async def start(self, runner: CallRunner, order: StreamOrder, shown_id: str) -> str:
        """Start to connect; return the stream's id without waiting for the connection.

        `shown_id` is the call's id in the form that the customer knows.

        Raises:
            InvalidState: the call is not answered.
            InvalidRequest, AddressBlocked: as `check`.
            TooManyStreams, LimitExceeded: the call or its line has all it may have.
        """
        line, protocol = runner.facts.line, PROTOCOLS[order.protocol]
        _check_call(runner, order.type)
        with runner.suspension.kept_here():
            await self.check(line, order)
        # Meanwhile the call may have ended, or other streams may have started.
        _check_call(runner, order.type)
        self._check_line(line)
        stream_id = str(uuid.uuid4())
        trace = self.realtime.tracer.of(runner.facts.call_id, runner.facts.details.trace)
        facts = StreamFacts(
            stream_id,
            shown_id,
            order.type,
            order.channel,
            order.media,
            order.protocol,
            order.parameters if protocol.model else _with_context(trace, stream_id, order),
            line,
            resumes=order.resumes and protocol.resumes and self._settings_of(line).resume,
        )
        if protocol.model:
            server = self.realtime.server(runner, facts, order.url)
        else:
            server = self._server(facts, order.url, trace)
        leg = self._leg(facts, server)
        twoway = order.type is StreamType.TWOWAY
        first, *others = facts.tracks
        audience = Audience.ALL if twoway else Audience.NOBODY
        role = LegRole(
            Party.SERVICE, _SUBSCRIPTIONS[first], audience, machine=twoway and order.machine
        )
        runner.add_leg(leg, role)
        for track in others:
            role = LegRole(Party.SERVICE, _SUBSCRIPTIONS[track], Audience.NOBODY)
            runner.add_leg(TrackLeg(new_leg_id(), leg, track), role)
        return facts.stream_id

    def stop(self, runner: CallRunner, stream_id: str, *, after_speech: bool = False) -> None:
        """Stop a stream, at once or after its queued speech; it closes its connection itself.

        Raises:
            NotFound: the call has no such stream.
        """
        leg = runner.leg(LegId(stream_id.lower()))
        if not isinstance(leg, StreamLeg):
            raise NotFound("the call has no such stream")
        runner.dispatch(events.CloseRequested(leg.leg_id, after_speech=after_speech))

    def on_event(self, event: CallEvent) -> None:
        """Report the digits of a call's far parties to its streams."""
        if event.type != EventType.DIGIT_RECEIVED or event.data.get("party") != Party.FAR:
            return
        runner = self._manager.running(CallId(event.call.id)) if event.call else None
        for leg in runner.legs() if runner else ():
            if isinstance(leg, StreamLeg):
                leg.press(str(event.data["digit"]))

    def restore(self, passed: PassedLeg) -> StreamLeg | TrackLeg:
        """Return a leg of a stream of a call that another process has passed to this one.

        Raises:
            HandoverRefused: it is the second track of a stream that is not there.
        """
        match passed.read(StreamState):
            case StreamState(stream=StreamSnapshot() as stream):
                facts = replace(stream.facts, resumed=stream.started)
                trace = self.realtime.tracer.of(passed.call.call_id, passed.call.details.trace)
                leg = self._leg(facts, self._server(facts, stream.url, trace))
                leg.restore(stream)
                return leg
            case StreamState(track=TrackSnapshot(stream_id, track)):
                for before in passed.before:
                    if isinstance(before, StreamLeg) and before.leg_id == stream_id:
                        return TrackLeg(passed.leg_id, before, track)
        raise HandoverRefused("a track of a stream that the call does not have")

    def _server(self, facts: StreamFacts, url: str, trace: Trace) -> StreamServer:
        """Return the server of a stream that goes to no model."""
        line = LineName(facts.line)
        headers = partial(signed_headers, self._settings_of(line).secrets, facts, url)
        return StreamServer(StreamTarget(url, self._http.of(line).streams, headers, trace))

    def _leg(self, facts: StreamFacts, server: StreamServer) -> StreamLeg:
        return StreamLeg(
            LegId(facts.stream_id),
            facts,
            server.target,
            messages=PROTOCOLS[facts.protocol].messages(facts, server.session),
            counters=self._counters,
            call_function=server.call_function,
            conversion=self._conversion,
        )

    def _check_line(self, line: LineName) -> None:
        if not self._per_line:
            return
        calls = (runner for runner in self._manager.calls() if runner.facts.line == line)
        kept = sum(isinstance(leg, StreamLeg) for runner in calls for leg in runner.legs())
        if kept >= self._per_line:
            raise TooManyStreams(
                f"the line has its {self._per_line} streams already (limits.streams_per_line)"
            )


def _with_context(trace: Trace, stream_id: str, order: StreamOrder) -> Mapping[str, str]:
    """Return the parameters of a stream's start message, including the trace context unless the customer sets one."""
    return {**trace.headers(trace.leg_id(stream_id)), **order.parameters}


def signed_headers(
    secrets: Sequence[str], facts: StreamFacts, url: str, now: datetime
) -> dict[str, str]:
    """Return the headers that prove to a server that a handshake is ours; none without a secret.

    Those of Standard Webhooks, with the stream's id and the URL as the content, signed by each secret; and
    the protocol's own, by the first secret.
    """
    if not secrets:
        return {}
    newest, *former = secrets
    headers = signature.standard(
        newest, facts.stream_id, url.encode(), now=now.timestamp(), former=former
    )
    return {**headers, **PROTOCOLS[facts.protocol].signed_headers(newest, url)}


def _check_call(runner: CallRunner, wanted: StreamType) -> None:
    runner.machine.check_answered("a stream needs")
    streams = [leg for leg in runner.legs() if isinstance(leg, StreamLeg) and not leg.finishing]
    if sum(leg.facts.type is wanted for leg in streams) >= MAX_STREAMS[wanted]:
        raise TooManyStreams(
            f"the call has its {MAX_STREAMS[wanted]} {wanted.value} stream(s) already"
        )
