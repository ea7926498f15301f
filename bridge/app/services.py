"""What a bridge does beside carrying calls: each service made and put where handlers find it."""

from ipaddress import ip_network
from pathlib import Path

from aiohttp import web

from bridge.api.body import BODY_SECONDS
from bridge.api.cloud import MAX_WEBHOOKS_BYTES, WEBHOOK_READS, WHATSAPP
from bridge.api.gateway import GATEWAY
from bridge.api.keys import (
    ASSETS,
    DATABASE,
    DIGITS,
    DIRECTORY,
    EVENTS,
    HTTP,
    MANAGER,
    METRICS,
    PLAYBACKS,
    SOUNDS,
    STREAMS,
)
from bridge.api.reads import LARGE_READS, MAX_LARGE_READS, Reads
from bridge.app.lines import line_count, lines_of
from bridge.app.recordings import media_folder
from bridge.call.shares import Shares
from bridge.legs.webrtc import PeerFactory
from bridge.media.assets import AssetQuota, Assets
from bridge.media.decoders import Decoders
from bridge.media.sounds import Sounds
from bridge.net.cloud_store import CloudStore
from bridge.net.gateway import engine as gateway_engine
from bridge.net.guard import Guard, read_address
from bridge.net.http import Http
from bridge.net.interfaces import Interfaces
from bridge.net.resolver import Dns
from bridge.node.digits import Digits
from bridge.node.playback import Playbacks
from bridge.node.streams import Streams
from bridge.providers.base import Providers
from bridge.providers.cloud.lines import cloud_provider
from bridge.providers.gateway import memory
from bridge.providers.gateway.provider import GatewayProvider
from bridge.settings.model import Limits, Settings
from bridge.settings.net import networks
from bridge.tasks import Tasks


def build_http(application: web.Application, settings: Settings) -> None:
    """Give the application its way to other servers."""
    application[HTTP] = http = Http(
        guard_of(settings),
        resolver=Dns(settings.net.nameservers),
        observer=application[METRICS].outgoing,
    )

    async def close(_: web.Application) -> None:
        await http.aclose()

    application.on_cleanup.append(close)


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


def build_cloud_provider(
    application: web.Application, settings: Settings, providers: Providers, peer: PeerFactory
) -> None:
    """Give the application the lines of Meta's Cloud API."""
    directory = application.get(DIRECTORY)
    metrics = application[METRICS]
    application[WHATSAPP] = cloud = cloud_provider(
        lines_of(settings, "cloud"),
        http=application[HTTP],
        database=application[DATABASE],
        node=directory.node if directory else 0,
        peer=peer,
        observer=metrics,
        count=metrics.whatsapp.whatsapp_event,
    )
    providers.add(cloud)
    application[LARGE_READS] = Reads(MAX_LARGE_READS, seconds=BODY_SECONDS)
    application[WEBHOOK_READS] = Reads(
        MAX_WEBHOOKS_BYTES, seconds=BODY_SECONDS, largest_gives_way=True
    )
    nodes = directory.siblings.count if directory else 1
    application.on_startup.append(lambda _: cloud.recover(nodes=nodes))

    async def close(_: web.Application) -> None:
        await cloud.aclose()

    application.on_shutdown.append(close)


def build_playback(application: web.Application, settings: Settings) -> None:
    """Give the application what it plays, and how."""
    data = Path(settings.data.dir)
    limits = settings.limits
    shares = Shares(
        "decoders",
        "limits.decoders",
        limits.decoders,
        limits.decoders_per_line,
        line_count(settings),
        own_setting="limits.decoders_per_line",
    )
    decoders = Decoders(shares)
    application[SOUNDS] = Sounds(
        folder=media_folder(application, settings),
        spool=data / "spool" / str(application[EVENTS].node),
        http=application[HTTP],
        urls=settings.media.urls,
    )
    application[ASSETS] = Assets(
        application[DATABASE], data / "assets", decoders, _asset_quota(limits)
    )
    application[STREAMS] = Streams(
        application[MANAGER],
        http=application[HTTP],
        losses=application[METRICS].sockets,
        per_line=settings.limits.streams_per_line,
    )
    application[PLAYBACKS] = Playbacks(application[MANAGER], decoders)

    background = Tasks()

    async def start(_: web.Application) -> None:
        background.spawn(decoders.keep_warm(), name="keep a decoder warm")

    async def close(_: web.Application) -> None:
        await background.aclose()
        await decoders.aclose()

    application.on_startup.append(start)
    application.on_cleanup.append(close)


def _asset_quota(limits: Limits) -> AssetQuota:
    return AssetQuota(limits.assets_per_line, round(limits.assets_mb_per_line * 1e6))


def build_digit_collection(application: web.Application) -> Digits:
    """Give the application what collects digits."""
    digits = Digits(
        application[MANAGER], application[PLAYBACKS], publish=application[EVENTS].publish
    )
    application[DIGITS] = digits

    async def close(_: web.Application) -> None:
        await digits.aclose()

    application.on_cleanup.append(close)
    return digits


def gateway_lines(application: web.Application, settings: Settings) -> GatewayProvider:
    """Give the application the lines that have a gateway engine."""
    directory = application.get(DIRECTORY)
    store = CloudStore(
        application[DATABASE],
        node=directory.node if directory else 0,
        kept_seconds=memory.KEPT_SECONDS,
    )
    engines = {
        name: gateway_engine(
            application[HTTP],
            dialect=whatsapp.dialect,
            url=whatsapp.url,
            token=whatsapp.token,
            session=whatsapp.session,
        )
        for name, whatsapp in lines_of(settings, "gateway").items()
    }
    application[GATEWAY] = gateways = GatewayProvider(engines, store=store)
    nodes = directory.siblings.count if directory else 1
    application.on_startup.append(lambda _: gateways.recover(nodes=nodes))
    return gateways
