"""What calls hear and where they are streamed, out of the settings."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from bridge.api.server.services import Media
from bridge.api.server.turn import IceConfiguration, ice_configuration
from bridge.app.calls import Core
from bridge.app.foundation import Foundation
from bridge.app.lines import (
    announced_of,
    demonstrations_of,
    disclosures_of,
    line_count,
    realtime_of,
    streams_of,
)
from bridge.app.records import bucket_of, machine_files, media_folder, share_of
from bridge.call.model import LineName
from bridge.call.quota import Quota
from bridge.media.asset_cache import AssetCache
from bridge.media.assets import AssetQuota, Assets
from bridge.media.decoding.decoders import Decoders
from bridge.media.sounds import Sounds
from bridge.node.calls.agent import Agents
from bridge.node.calls.playback import Playbacks
from bridge.node.disclosure.checks import DisclosureChecks, has_machine
from bridge.node.disclosure.disclosures import Disclosures, Rules
from bridge.node.disclosure.statements import Statements
from bridge.node.streams.fallback import FallbackAction, StreamFallback, StreamFallbacks
from bridge.node.streams.inbound import InboundStreams
from bridge.node.streams.realtime import RealtimeStreams
from bridge.node.streams.sockets import MediaSockets
from bridge.node.streams.streams import Streams
from bridge.settings.model import Settings


def build_media(base: Foundation, core: Core, agents: Agents, decoders: Decoders) -> Media:
    """Return what calls hear, and where they are streamed."""
    assets = build_assets(base, decoders)
    sounds, streams = build_sounds(base), build_streams(base, core)
    playbacks = Playbacks(decoders, sounds.take_over)
    return Media(
        assets=assets,
        disclosures=build_disclosures(base, core, agents, assets=assets, decoders=decoders),
        disclosure_checks=DisclosureChecks(
            base.settings,
            core.lines.lines,
            assets,
            demonstrations=demonstrations_of(base.settings),
        ),
        ice_configuration=partial(configure_ice, base.settings),
        inbound_streams=build_inbound_streams(
            base, core, streams, agents=agents, playbacks=playbacks
        ),
        playbacks=playbacks,
        sockets=MediaSockets(
            core.manager,
            counters=base.metrics.sockets,
            conversion=core.plane.peers.conversion,
            resume_seconds=base.settings.limits.resume_seconds,
        ),
        sounds=sounds,
        streams=streams,
    )


def build_disclosures(
    base: Foundation, core: Core, agents: Agents, *, assets: Assets, decoders: Decoders
) -> Disclosures:
    """Return the service that speaks disclosures in calls."""
    settings, lines = base.settings, core.lines.lines
    statements = Statements(
        assets=assets,
        media_root=settings.media_root,
        decoders=decoders,
        speak=agents.speak,
        voice_of=lambda line: lines.config(line).tts_url,
    )
    made = demonstrations_of(settings)
    rules = Rules(
        disclosures_of(settings),
        announced_of(settings),
        lambda line: line in made or has_machine(settings.lines.get(line), lines.config(line)),
    )
    return Disclosures(rules, statements, base.metrics.disclosures)


def build_assets(base: Foundation, decoders: Decoders) -> Assets:
    """Return the sounds that lines keep."""
    settings, limits, data = base.settings, base.settings.limits, Path(base.settings.data.dir)
    return Assets(
        base.database,
        data / "assets",
        decoders,
        AssetQuota(limits.assets_per_line, round(limits.assets_mb_per_line * 1e6)),
        cache=AssetCache(
            data / "asset_copies",
            machine_files(base),
            store=bucket_of(settings.recording.s3),
            count=base.metrics.recordings.asset_fetched,
        ),
        share=share_of(base.members),
    )


def build_sounds(base: Foundation) -> Sounds:
    """Return what finds and fetches the sounds that requests name."""
    return Sounds(
        folder=media_folder(base),
        spool=Path(base.settings.data.dir) / "spool" / str(base.members.own.node),
        http=base.http,
        urls=base.settings.media.urls,
    )


def build_decoders(settings: Settings) -> Decoders:
    """Return what decodes files."""
    limits = settings.limits
    return Decoders(
        Quota(
            "decoders",
            "limits.decoders",
            limits.decoders,
            limits.decoders_per_line,
            line_count(settings),
            line_setting="limits.decoders_per_line",
        )
    )


def configure_ice(settings: Settings, user: str, holder: str) -> IceConfiguration:
    """Return the servers for the browsers of a line (`Media.ice_configuration`)."""
    now, stun_urls = datetime.now(UTC).timestamp(), settings.rtc.stun_urls
    return ice_configuration(stun_urls, settings.turn, user=user, now_unix=now, holder=holder)


def build_streams(base: Foundation, core: Core) -> Streams:
    """Return the service that streams calls to customers' WebSockets."""
    settings, settings_of = base.settings, streams_of(base.settings)
    return Streams(
        core.manager,
        http=base.http,
        counters=base.metrics.sockets,
        per_line=settings.limits.streams_per_line,
        settings_of=settings_of,
        conversion=core.plane.peers.conversion,
        realtime=RealtimeStreams(
            core.lines.lines,
            base.http,
            settings_of=realtime_of(settings),
            secrets_of=lambda line: settings_of(line).secrets,
            tracer=base.tracer,
        ),
    )


def build_inbound_streams(
    base: Foundation,
    core: Core,
    streams: Streams,
    *,
    agents: Agents,
    playbacks: Playbacks,
) -> InboundStreams:
    """Return the service that answers calls into streams."""
    wanted, metrics = _fallbacks(base.settings), base.metrics.streams
    fallbacks = StreamFallbacks(
        agents,
        playbacks,
        fallback_of=lambda line: wanted.get(line, StreamFallback()),
        count=metrics.fell_back,
    )
    return InboundStreams(
        core.manager,
        core.lines.lines,
        streams,
        fallbacks,
        count_ended=metrics.ended,
    )


def _fallbacks(settings: Settings) -> dict[LineName, StreamFallback]:
    return {
        LineName(name): StreamFallback(
            FallbackAction(line.stream.fallback),
            settings.media_root / line.stream.announcement if line.stream.announcement else None,
        )
        for name, line in settings.lines.items()
    }
