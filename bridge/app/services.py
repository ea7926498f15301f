"""The services of a bridge beside carrying calls, each made from the settings."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from ipaddress import ip_network
from pathlib import Path

from aiohttp import web

from bridge.api.all_operations import error_response
from bridge.api.lines.cloud import MAX_WEBHOOKS_BYTES
from bridge.api.media.recording_files import LINK_SECONDS, path_of
from bridge.api.server.auth import Keys, Tickets
from bridge.api.server.dropped_bodies import give_back
from bridge.api.server.names import WarningLog
from bridge.api.server.pages import find_pages
from bridge.api.server.proxies import Proxies
from bridge.api.server.rate import RateLimit
from bridge.api.server.reads import BODY_SECONDS, MAX_LARGE_READS, LargeBodies, Reads
from bridge.api.server.scopes import Scopes
from bridge.api.server.services import PortUsage, Services, Site
from bridge.api.server.sibling_gate import SiblingGate
from bridge.api.server.turn import IceConfiguration, ice_configuration
from bridge.api.server.unauthenticated import UnauthenticatedLimit
from bridge.app.agents import build_agents
from bridge.app.cloud import cloud_lines
from bridge.app.cluster import build_placement
from bridge.app.console import build_console
from bridge.app.databases import engine_of
from bridge.app.drain import build_announcer
from bridge.app.foundation import Foundation
from bridge.app.lines import (
    hold_music_of,
    line_count,
    lines_of,
)
from bridge.app.recordings import build_assets, build_recordings, media_folder
from bridge.app.sip import build_sip
from bridge.app.streams import build_inbound_streams, build_streams
from bridge.app.transcripts import build_transcripts
from bridge.app.voicemail import build_greetings, build_voicemail_calls, build_voicemails
from bridge.call.model import LineName
from bridge.call.policy import LinePolicy
from bridge.call.quota import Quota
from bridge.db.database import Database
from bridge.errors import DatabaseLost
from bridge.http.address_guard import Guard, read_address
from bridge.http.client import Http
from bridge.http.connections import Connections
from bridge.http.interfaces import Interfaces
from bridge.http.resolver import Dns
from bridge.legs.cloud import CloudLeg
from bridge.legs.webrtc import WebRtcLeg, make_pulses
from bridge.media.decoding.decoders import Decoders
from bridge.media.sounds import Sounds
from bridge.metrics.registry import Metrics
from bridge.node.calls.browsers import Browsers
from bridge.node.calls.connection_tests import ConnectionTests
from bridge.node.calls.digits import Digits
from bridge.node.calls.holds import Holds
from bridge.node.calls.playback import Playbacks
from bridge.node.calls.transfers import Transfers
from bridge.providers.cloud.provider import CloudProvider
from bridge.providers.gateway import memory
from bridge.providers.gateway.provider import GatewayProvider
from bridge.settings.model import DEMO_AI_KEY, DEMO_KEY, Settings, is_loopback, port_range
from bridge.settings.net import networks
from bridge.stores.cloud import CloudStore
from bridge.stores.secret import identity, shared_secret
from bridge.webhooks.delivery import Webhooks
from bridge.whatsapp.gateway import engine as gateway_engine


def build_services(
    base: Foundation,
    policies: Mapping[LineName, LinePolicy],
    *,
    descriptors: int,
    gate: SiblingGate | None,
) -> Services:
    """Return what handlers use."""
    settings, metrics, manager = base.settings, base.metrics, base.manager
    limits, data = settings.limits, Path(settings.data.dir)
    decoders = build_decoders(base)
    cloud, gateways = build_cloud_provider(base), build_gateway_provider(base)
    sip = build_sip(base)
    node_view, live_table = build_console(base, cloud, gateways, sip.provider)
    playbacks = Playbacks(decoders)
    base.drain.tell = build_announcer(base, playbacks).tell
    digits = Digits(playbacks)
    transfers = Transfers(manager, playbacks, policies)
    base.application.on_cleanup.append(lambda _: transfers.aclose())
    base.application.on_cleanup.append(lambda _: digits.aclose())
    proxies = Proxies(networks("http.trusted_proxies", settings.http.trusted_proxies))
    secret = shared_secret(engine_of(settings.data), data)
    tickets = Tickets(secret)
    unauthenticated = UnauthenticatedLimit(
        requests=limits.stranger_requests, proxies=proxies, metrics=metrics.http
    )
    agents = build_agents(base, policies)
    assets = build_assets(base, decoders)
    recordings = build_recordings(base, playbacks)
    voicemails = build_voicemails(base, recordings)
    sounds = Sounds(
        folder=media_folder(base),
        spool=data / "spool" / str(base.members.own.node),
        http=base.http,
        urls=settings.media.urls,
    )
    streams = build_streams(base)
    pulses = make_pulses(partial(metrics.steps.took, "report"))
    webhook_reads = Reads(MAX_WEBHOOKS_BYTES, seconds=BODY_SECONDS, drop_largest=True)
    base.background.spawn(give_back(webhook_reads), name="memory of dropped bodies")
    return Services(
        agents=agents,
        assets=assets,
        browsers=Browsers(
            manager,
            lambda leg_id: WebRtcLeg(
                leg_id, peer=base.peers.browser, counters=metrics.setup, pulses=pulses
            ),
            ports=Quota(
                "media ports",
                "rtc.ports",
                len(port_range(settings.rtc.ports)),
                lines=line_count(settings),
            ),
        ),
        cloud=cloud,
        connection_tests=ConnectionTests(manager, per_line=limits.tests_per_line),
        connections=Connections(
            # Calls need file descriptors too, and a client that is not accepted gets no answer.
            limit=min(limits.connections, descriptors // 2),
            set_open=metrics.http.set_connections,
            count_cut=metrics.http.connection_cut,
            trusted=proxies.trusts,
        ),
        database=base.database,
        digits=digits,
        directory=base.directory,
        drain=base.drain,
        error_response=error_response,
        events=base.events,
        gateways=gateways,
        history=base.history,
        holds=Holds(playbacks, hold_music_of(settings)),
        http=base.http,
        inbound_streams=build_inbound_streams(base, streams, agents, playbacks),
        ice_configuration=partial(_ice_configuration, settings),
        keys=build_auth(base, tickets, unauthenticated),
        large_bodies=LargeBodies(limits.large_bodies_per_line),
        large_reads=Reads(MAX_LARGE_READS, seconds=BODY_SECONDS),
        line_book=base.line_book,
        lines=base.lines,
        live_table=live_table,
        manager=manager,
        members=base.members,
        metrics=metrics,
        node_view=node_view,
        policies=policies,
        placement=build_placement(base),
        playbacks=playbacks,
        media_ports=lambda: PortUsage(base.ports.used, base.ports.free),
        rate=RateLimit(limits.requests_per_minute),
        recordings=recordings,
        simulator=base.simulator,
        sibling_gate=gate,
        sip=sip.provider,
        sip_sockets=sip.shared,
        site=_site(settings, identity(secret)),
        sounds=sounds,
        streams=streams,
        telephones=sip.telephones,
        tickets=tickets,
        transfers=transfers,
        transcripts=build_transcripts(base, recordings),
        unauthenticated=unauthenticated,
        voicemail_calls=build_voicemail_calls(
            settings,
            voicemails,
            recordings,
            playbacks,
            greetings=build_greetings(settings, assets, sounds, agents),
        ),
        voicemails=voicemails,
        warning_log=WarningLog(),
        webhook_reads=webhook_reads,
        webhooks=build_events(base, tickets),
    )


def build_auth(base: Foundation, tickets: Tickets, unauthenticated: UnauthenticatedLimit) -> Keys:
    """Return what checks keys."""
    settings = base.settings
    webhooks = {LineName(name): one.whatsapp.webhook_keys for name, one in settings.lines.items()}
    return Keys(
        base.line_book,
        same_origin_only=set() if settings.lines else {DEMO_KEY, DEMO_AI_KEY},
        # Where there are several nodes, the requests of a key are counted by `api.forward`.
        rate=RateLimit(0 if base.directory else settings.limits.requests_per_minute),
        tickets=tickets,
        unauthenticated=unauthenticated,
        scopes=Scopes(
            settings.metrics.keys,
            webhooks,
            settings.admin.keys,
            settings.operator.keys,
            base.local_token if is_loopback(settings.http.host) else "",
        ),
    )


def _site(settings: Settings, own: str) -> Site:
    return Site(
        hosts=settings.http.hosts,
        cors_origins=frozenset(settings.http.cors_origins),
        pages=find_pages(),
        identity=own,
        public_url=settings.http.public_url.rstrip("/"),
        own_url=settings.cluster.public_url.rstrip("/"),
    )


def build_http(application: web.Application, settings: Settings, metrics: Metrics) -> Http:
    """Return the HTTP client for other servers."""
    http = Http(
        guard_of(settings),
        resolver=Dns(settings.net.nameservers),
        count_lookup=metrics.http.looked_up,
    )
    application.on_cleanup.append(lambda _: http.aclose())
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


def build_cloud_provider(base: Foundation) -> CloudProvider:
    """Return the provider of the lines that use Meta's Cloud API."""
    cloud = CloudProvider(
        cloud_lines(base.settings, base.http),
        legs=partial(CloudLeg, peer=base.peers.whatsapp, counters=base.metrics.setup),
        store=CloudStore(base.database, own=base.members.own),
        count=base.metrics.events.whatsapp_event,
    )
    base.application.on_startup.append(lambda _: cloud.recover())
    base.members.follow_lost(lambda _: _spawn(base, cloud.recover))
    base.application.on_shutdown.append(lambda _: cloud.calls.aclose())
    return cloud


def build_decoders(base: Foundation) -> Decoders:
    """Return what decodes files; it keeps a process ready."""
    limits = base.settings.limits
    quota = Quota(
        "decoders",
        "limits.decoders",
        limits.decoders,
        limits.decoders_per_line,
        line_count(base.settings),
        line_setting="limits.decoders_per_line",
    )
    decoders = Decoders(quota)
    if base.warm_decoder:
        base.background.spawn(decoders.keep_warm(), name="keep a decoder warm")
    base.application.on_cleanup.append(lambda _: decoders.aclose())
    return decoders


def build_gateway_provider(base: Foundation) -> GatewayProvider:
    """Return the provider of the lines that have a gateway engine."""
    store = CloudStore(base.database, own=base.members.own, kept_seconds=memory.KEPT_SECONDS)
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
    base.application.on_startup.append(lambda _: gateways.recover())
    base.members.follow_lost(lambda _: _spawn(base, gateways.recover))
    return gateways


def _spawn(base: Foundation, recover: Callable[[], Awaitable[None]]) -> None:
    work = recover_insistently(base.database, recover, retry=base.members.timing.retry)
    base.background.spawn(work, name="recover the calls of a lost node")


async def recover_insistently(
    database: Database, recover: Callable[[], Awaitable[None]], *, retry: float
) -> None:
    """Have a provider end the calls of a lost node, also where the database is lost meanwhile.

    `retry` is after how many seconds it is tried again then.
    """
    while True:
        try:
            await recover()
            return
        except DatabaseLost:
            await database.available()
            await asyncio.sleep(retry)


def build_events(base: Foundation, tickets: Tickets) -> Webhooks:
    """Return what delivers webhooks; it and the event log begin to run."""
    webhooks = Webhooks(
        base.database,
        base.http,
        node=base.members.own.node,
        counters=base.metrics.events,
        link=lambda recording_id, form: tickets.link(path_of(recording_id, form), LINK_SECONDS),
    )
    base.events.follow(webhooks.wake)
    base.background.spawn(base.events.run(base.settings.events), name="events")
    base.background.spawn(webhooks.run(), name="webhooks")
    return webhooks


def _ice_configuration(settings: Settings, user: str, holder: str) -> IceConfiguration:
    now, stun_urls = datetime.now(UTC).timestamp(), settings.rtc.stun_urls
    return ice_configuration(stun_urls, settings.turn, user=user, now_unix=now, holder=holder)
