"""Who may ask for what, and how requests are limited, out of the settings."""

from pathlib import Path

from bridge.api.all_operations import error_response
from bridge.api.lines.cloud import MAX_WEBHOOKS_BYTES
from bridge.api.server.auth import Keys
from bridge.api.server.names import WarningLog
from bridge.api.server.page_files import find_pages
from bridge.api.server.proxies import Proxies
from bridge.api.server.rate import RateLimit
from bridge.api.server.reads import BODY_SECONDS, MAX_LARGE_READS, LargeBodies, Reads
from bridge.api.server.scopes import Scopes
from bridge.api.server.services import AccessServices, Site
from bridge.api.server.tickets import Tickets
from bridge.api.server.unauthenticated import UnauthenticatedLimit
from bridge.app.foundation import Foundation
from bridge.call.model import LineName
from bridge.http import local_token
from bridge.http.connections import Connections
from bridge.node.line_book import LineBook
from bridge.settings.model import DEMO_AI_KEY, DEMO_KEY, Settings, is_loopback
from bridge.settings.net import networks


def build_tickets(settings: Settings, secret: bytes) -> Tickets:
    """Return what issues and verifies tickets; `secret` signs them."""
    pairs = {
        LineName(name): (line.livekit.api_key, line.livekit.api_secret)
        for name, line in settings.lines.items()
        if line.livekit.api_key
    }
    return Tickets(secret, pairs)


def build_access(
    base: Foundation, book: LineBook, tickets: Tickets, token: str, descriptors: int
) -> AccessServices:
    """Return what checks keys, and limits requests; `token` and `descriptors` as those of `app.build.build`."""
    settings, limits, metrics = base.settings, base.settings.limits, base.metrics.http
    token = token or local_token.find(Path(settings.data.dir))
    webhooks = {LineName(name): one.whatsapp.webhook_keys for name, one in settings.lines.items()}
    proxies = Proxies(networks("http.trusted_proxies", settings.http.trusted_proxies))
    unauthenticated = UnauthenticatedLimit(
        requests=limits.unauthenticated_requests, proxies=proxies, metrics=metrics
    )
    keys = Keys(
        book,
        same_origin_only=set() if settings.lines else {DEMO_KEY, DEMO_AI_KEY},
        # Where there are several nodes, the requests of a key are counted by `api.forward`.
        rate=RateLimit(0 if base.directory else limits.requests_per_minute),
        tickets=tickets,
        unauthenticated=unauthenticated,
        scopes=Scopes(
            settings.metrics.keys,
            webhooks,
            settings.admin.keys,
            settings.console.keys,
            token if is_loopback(settings.http.host) else "",
        ),
    )
    return AccessServices(
        connections=Connections(
            # Calls need file descriptors too, and a client that is not accepted gets no answer.
            limit=min(limits.connections, descriptors // 2),
            set_open=metrics.set_connections,
            count_cut=metrics.connection_cut,
            trusted=proxies.trusts,
        ),
        error_response=error_response,
        keys=keys,
        large_bodies=LargeBodies(limits.large_bodies_per_line),
        large_reads=Reads(MAX_LARGE_READS, seconds=BODY_SECONDS),
        rate=RateLimit(limits.requests_per_minute),
        tickets=tickets,
        unauthenticated=unauthenticated,
        warning_log=WarningLog(),
        webhook_reads=Reads(MAX_WEBHOOKS_BYTES, seconds=BODY_SECONDS, drop_largest=True),
    )


def build_site(settings: Settings, identity: str) -> Site:
    """Return how clients reach the service."""
    return Site(
        hosts=settings.http.hosts,
        cors_origins=frozenset(settings.http.cors_origins),
        pages=find_pages(),
        identity=identity,
        public_url=settings.http.public_url.rstrip("/"),
        own_url=settings.cluster.public_url.rstrip("/"),
    )
