"""Builds from the settings what streams calls, and answers inbound calls into streams."""

from bridge.app.foundation import Foundation
from bridge.app.lines import realtime_of, stream_secrets_of
from bridge.call.model import LineName
from bridge.node.calls.agent import Agents
from bridge.node.calls.playback import Playbacks
from bridge.node.streams.fallback import FallbackAction, StreamFallback, StreamFallbacks
from bridge.node.streams.inbound import InboundStreams
from bridge.node.streams.realtime import RealtimeStreams
from bridge.node.streams.streams import Streams
from bridge.settings.model import Settings


def build_streams(base: Foundation) -> Streams:
    """Return the service that streams calls to customers' WebSockets."""
    settings, secrets_of = base.settings, stream_secrets_of(base.settings)
    return Streams(
        base.manager,
        http=base.http,
        counters=base.metrics.sockets,
        per_line=settings.limits.streams_per_line,
        secrets_of=secrets_of,
        realtime=RealtimeStreams(
            base.lines, base.http, settings_of=realtime_of(settings), secrets_of=secrets_of
        ),
    )


def build_inbound_streams(
    base: Foundation, streams: Streams, agents: Agents, playbacks: Playbacks
) -> InboundStreams:
    """Return the service that answers calls into streams; it ends with the application."""
    wanted, metrics = _fallbacks(base.settings), base.metrics.streams
    realtime = realtime_of(base.settings)
    fallbacks = StreamFallbacks(
        agents,
        playbacks,
        fallback_of=lambda line: wanted.get(line, StreamFallback()),
        count=metrics.fell_back,
    )
    inbound = InboundStreams(
        base.manager,
        base.lines,
        streams,
        fallbacks,
        has_realtime=lambda line: realtime(line) is not None,
        count_ended=metrics.ended,
    )
    base.application.on_cleanup.append(lambda _: inbound.aclose())
    return inbound


def _fallbacks(settings: Settings) -> dict[LineName, StreamFallback]:
    return {
        LineName(name): StreamFallback(
            FallbackAction(line.stream.fallback),
            settings.media_root / line.stream.announcement if line.stream.announcement else None,
        )
        for name, line in settings.lines.items()
    }
