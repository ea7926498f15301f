"""The services of a bridge beside carrying calls, each made from the settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from ipaddress import ip_network
from pathlib import Path

from aiohttp import web

from bridge.api.auth import Keys, Tickets
from bridge.api.body import BODY_SECONDS
from bridge.api.cloud import MAX_WEBHOOKS_BYTES
from bridge.api.operations import error_envelope
from bridge.api.proxies import Proxies
from bridge.api.rate import RateLimit
from bridge.api.reads import MAX_LARGE_READS, LargeBodies, Reads
from bridge.api.recording_files import LINK_SECONDS, path_of
from bridge.api.scopes import Scopes
from bridge.api.services import PortUsage, Services, Site
from bridge.api.unauthenticated import UnauthenticatedLimit
from bridge.app.agents import build_agents
from bridge.app.cloud import cloud_provider
from bridge.app.foundation import Foundation
from bridge.app.lines import line_count, lines_of, webhook_keys_of
from bridge.app.pages import find_pages
from bridge.app.recordings import build_recordings, media_folder
from bridge.call.model import LineName
from bridge.call.policy import LinePolicy
from bridge.call.quota import Quota
from bridge.legs.peer_media import PeerFactory
from bridge.legs.webrtc import WebRtcLeg
from bridge.media.assets import AssetQuota, Assets
from bridge.media.decoders import Decoders
from bridge.media.sounds import Sounds
from bridge.metrics.registry import Metrics
from bridge.net import secret
from bridge.net.cloud_store import CloudStore
from bridge.net.connections import Connections
from bridge.net.gateway import engine as gateway_engine
from bridge.net.guard import Guard, read_address
from bridge.net.http import Http
from bridge.net.interfaces import Interfaces
from bridge.net.resolver import Dns
from bridge.net.secret import shared_secret
from bridge.net.turn import IceConfiguration, ice_configuration
from bridge.net.webhooks import Webhooks
from bridge.node.browsers import Browsers
from bridge.node.digits import Digits
from bridge.node.events import Retention
from bridge.node.playback import Playbacks
from bridge.node.streams import Streams
from bridge.providers.cloud.provider import CloudProvider
from bridge.providers.gateway import memory
from bridge.providers.gateway.provider import GatewayProvider
from bridge.settings.model import DEMO_AI_KEY, DEMO_KEY, Settings, is_loopback, port_range
from bridge.settings.net import networks
from bridge.tasks import Tasks


@dataclass(frozen=True, slots=True)
class Playing:
    """What a bridge plays, and how."""

    sounds: Sounds
    assets: Assets
    playbacks: Playbacks


def build_services(
    base: Foundation,
    policies: Mapping[LineName, LinePolicy],
    background: Tasks,
    *,
    descriptors: int,
) -> Services:
    """Return what handlers use."""
    settings, metrics, manager = base.settings, base.metrics, base.manager
    playing = build_playback(base)
    recordings = build_recordings(base, playing.playbacks)
    proxies = Proxies(networks("http.trusted_proxies", settings.http.trusted_proxies))
    tickets = Tickets(shared_secret(Path(settings.data.dir) / secret.FILE))
    unauthenticated = UnauthenticatedLimit(
        requests=settings.limits.stranger_requests, proxies=proxies, metrics=metrics.http
    )
    return Services(
        agents=build_agents(base),
        assets=playing.assets,
        browsers=Browsers(
            manager,
            lambda leg_id: WebRtcLeg(leg_id, peer=base.peers.browser, counters=metrics),
            ports=Quota(
                "media ports",
                "rtc.ports",
                len(port_range(settings.rtc.ports)),
                lines=line_count(settings),
            ),
        ),
        cloud=build_cloud_provider(base, base.peers.whatsapp),
        connections=Connections(
            # Calls need file descriptors too, and a client that is not accepted gets no answer.
            limit=min(settings.limits.connections, descriptors // 2),
            counters=metrics.http,
            trusted=proxies.trusts,
        ),
        database=base.database,
        digits=build_digit_collection(base, playing.playbacks),
        directory=base.directory,
        error_envelope=error_envelope,
        events=base.events,
        gateways=build_gateway_provider(base),
        http=base.http,
        ice_configuration=partial(_ice_configuration, settings),
        keys=build_auth(base, tickets, unauthenticated),
        large_bodies=LargeBodies(settings.limits.large_bodies_per_line),
        large_reads=Reads(MAX_LARGE_READS, seconds=BODY_SECONDS),
        line_book=base.line_book,
        lines=base.lines,
        manager=manager,
        metrics=metrics,
        policies=policies,
        playbacks=playing.playbacks,
        media_ports=lambda: PortUsage(base.ports.used, base.ports.free),
        rate=RateLimit(settings.limits.requests_per_minute),
        recordings=recordings,
        simulator=base.simulator,
        site=_site(settings),
        sounds=playing.sounds,
        streams=Streams(
            manager,
            http=base.http,
            losses=metrics.sockets,
            per_line=settings.limits.streams_per_line,
        ),
        tickets=tickets,
        unauthenticated=unauthenticated,
        webhook_reads=Reads(MAX_WEBHOOKS_BYTES, seconds=BODY_SECONDS, drop_largest=True),
        webhooks=build_events(base, tickets, background),
    )


def build_auth(base: Foundation, tickets: Tickets, unauthenticated: UnauthenticatedLimit) -> Keys:
    """Return what checks keys."""
    settings = base.settings
    return Keys(
        base.line_book,
        same_origin_only=set() if settings.lines else {DEMO_KEY, DEMO_AI_KEY},
        # Where there are several nodes, the requests of a key are counted by `api.forward`.
        rate=RateLimit(0 if base.directory else settings.limits.requests_per_minute),
        tickets=tickets,
        unauthenticated=unauthenticated,
        scopes=Scopes(settings.metrics.keys, webhook_keys_of(settings), settings.admin.keys),
    )


def _site(settings: Settings) -> Site:
    pages = find_pages()
    return Site(
        loopback=is_loopback(settings.http.host),
        hosts=settings.http.hosts,
        cors_origins=frozenset(settings.http.cors_origins),
        web_root=pages.web,
        readme=pages.readme,
        guide_root=pages.guide,
        public_url=settings.http.public_url.rstrip("/"),
    )


def build_http(application: web.Application, settings: Settings, metrics: Metrics) -> Http:
    """Return the HTTP client for other servers."""
    http = Http(
        guard_of(settings),
        resolver=Dns(settings.net.nameservers),
        count_lookup=metrics.outgoing.looked_up,
    )

    async def close(_: web.Application) -> None:
        await http.aclose()

    application.on_cleanup.append(close)
    return http


def guard_of(settings: Settings) -> Guard:
    """Make what judges customers' URLs."""
    net = settings.net
    addresses = [settings.http.host, settings.rtc.external_address, *settings.rtc.bind]
    own = Interfaces([ip_network(found) for text in addresses if (found := read_address(text))])
    return Guard(
        allow=networks("net.allow", net.allow),
        deny=networks("net.deny", net.deny),
        require_tls=net.require_tls,
        own=own.networks,
    )


def build_cloud_provider(base: Foundation, peer: PeerFactory) -> CloudProvider:
    """Return the provider of the lines that use Meta's Cloud API."""
    cloud = cloud_provider(
        lines_of(base.settings, "cloud"),
        http=base.http,
        database=base.database,
        node=base.events.node,
        peer=peer,
        counters=base.metrics,
        count=base.metrics.whatsapp.whatsapp_event,
    )
    base.application.on_startup.append(lambda _: cloud.recover(nodes=base.nodes))

    async def close(_: web.Application) -> None:
        await cloud.aclose()

    base.application.on_shutdown.append(close)
    return cloud


def build_playback(base: Foundation) -> Playing:
    """Return what plays sounds into calls."""
    settings = base.settings
    data, limits = Path(settings.data.dir), settings.limits
    quota = Quota(
        "decoders",
        "limits.decoders",
        limits.decoders,
        limits.decoders_per_line,
        line_count(settings),
        line_setting="limits.decoders_per_line",
    )
    decoders = Decoders(quota)
    background = Tasks()

    async def start(_: web.Application) -> None:
        background.spawn(decoders.keep_warm(), name="keep a decoder warm")

    async def close(_: web.Application) -> None:
        await background.aclose()
        await decoders.aclose()

    base.application.on_startup.append(start)
    base.application.on_cleanup.append(close)
    asset_quota = AssetQuota(limits.assets_per_line, round(limits.assets_mb_per_line * 1e6))
    return Playing(
        Sounds(
            folder=media_folder(base),
            spool=data / "spool" / str(base.events.node),
            http=base.http,
            urls=settings.media.urls,
        ),
        Assets(base.database, data / "assets", decoders, asset_quota),
        Playbacks(base.manager, decoders),
    )


def build_digit_collection(base: Foundation, playbacks: Playbacks) -> Digits:
    """Return the service that collects digits."""
    digits = Digits(base.manager, playbacks)

    async def close(_: web.Application) -> None:
        await digits.aclose()

    base.application.on_cleanup.append(close)
    return digits


def build_gateway_provider(base: Foundation) -> GatewayProvider:
    """Return the provider of the lines that have a gateway engine."""
    store = CloudStore(base.database, node=base.events.node, kept_seconds=memory.KEPT_SECONDS)
    engines = {
        name: gateway_engine(
            base.http,
            dialect=whatsapp.dialect,
            url=whatsapp.url,
            token=whatsapp.token,
            session=whatsapp.session,
        )
        for name, whatsapp in lines_of(base.settings, "gateway").items()
    }
    gateways = GatewayProvider(engines, store=store)
    base.application.on_startup.append(lambda _: gateways.recover(nodes=base.nodes))
    return gateways


def build_events(base: Foundation, tickets: Tickets, background: Tasks) -> Webhooks:
    """Return what delivers webhooks; it and the event log begin to run."""
    webhooks = Webhooks(
        base.database,
        base.http,
        node=base.events.node,
        counters=base.metrics.events,
        link=lambda recording_id, form: tickets.link(path_of(recording_id, form), LINK_SECONDS),
    )
    base.events.follow(webhooks.wake)
    kept = base.settings.events
    retention = Retention(kept.kept_seconds, kept.dead_seconds, kept.digits_seconds)
    background.spawn(base.events.run(retention), name="events")
    background.spawn(webhooks.run(), name="webhooks")
    return webhooks


def _ice_configuration(settings: Settings, user: str) -> IceConfiguration:
    now = datetime.now(UTC).timestamp()
    return ice_configuration(settings.rtc.stun_urls, settings.turn, user=user, now_unix=now)
