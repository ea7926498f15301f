"""The nodes of a bridge and the way to the others, made from the settings."""

import asyncio
import math
import ssl
from dataclasses import replace
from functools import partial
from pathlib import Path

from bridge.api.server.sibling_gate import SiblingGate
from bridge.app.bridge import Bridge
from bridge.app.calls import Core
from bridge.app.databases import engine_of
from bridge.app.foundation import Foundation
from bridge.app.lines import call_quota
from bridge.cluster.directory import SharedDirectory
from bridge.cluster.leases import Leased
from bridge.cluster.membership import Membership, new_boot
from bridge.cluster.placement import Placement
from bridge.cluster.siblings import IDENTITY_PATH, Siblings
from bridge.cluster.timing import DEFAULT, ClusterTiming
from bridge.cluster.transports import NetworkTransport, UnixTransport
from bridge.db.database import Database
from bridge.db.postgres import Postgres
from bridge.errors import SettingsError
from bridge.http.connections import Connections
from bridge.http.node_signature import NodeSigner, RowSigner
from bridge.metrics.registry import Metrics
from bridge.settings.cluster import Cluster
from bridge.settings.model import Settings
from bridge.stores import directory
from bridge.stores.directory import FOLDER
from bridge.stores.nodes import Member, NodeLoad

SETTINGS = "cluster.tls_cert, cluster.tls_key, cluster.tls_ca"


def build_siblings(
    settings: Settings, members: Membership, metrics: Metrics
) -> tuple[Siblings, SiblingGate | None]:
    """Make the clients of the other nodes within the running loop, and what admits those of other machines.

    There is no gate without `cluster.url`.

    Raises:
        SettingsError: a certificate of `cluster` cannot be used.
    """
    cluster, timing = settings.cluster, members.timing
    unix = UnixTransport(Path(settings.data.dir) / FOLDER, timing)
    if not cluster.url:
        return Siblings(members, unix=unix), None
    signer = NodeSigner(
        node=members.own.node,
        boot=members.own.boot,
        secret=cluster.secret,
        former_secret=cluster.former_secret,
        now=members.now,
    )
    network = NetworkTransport(signer, client_tls(cluster), timing)
    siblings = Siblings(members, unix=unix, network=network)
    connections = Connections(
        limit=settings.limits.connections,
        set_open=lambda _: None,
        count_cut=metrics.http.connection_cut,
    )
    gate = SiblingGate(
        signer, siblings, connections=connections, count_refused=metrics.node.sibling_refused
    )
    return siblings, gate


def build_directory(
    settings: Settings, database: Database, members: Membership, metrics: Metrics
) -> tuple[SharedDirectory | None, SiblingGate | None]:
    """Return what a node of several knows of the others, and what admits those of other machines."""
    if not members.several:
        return None, None
    limits = settings.limits
    siblings, gate = build_siblings(settings, members, metrics)
    counters = database
    if limits.requests_per_minute:
        # Requests do not wait until their count is on disk.
        counters = Database(engine_of(settings.data, durable=False, migrated=True))
    directory = SharedDirectory(
        database,
        siblings,
        counters=counters,
        boot=members.own.boot,
        quota=call_quota(settings),
        limits=limits,
    )
    return directory, gate


def build_placement(base: Foundation, core: Core) -> Placement | None:
    """Return what places new calls on the nodes; None for the only one."""
    if base.directory is None:
        return None
    manager, load = core.manager, core.plane.load

    def own_load() -> NodeLoad:
        nodes = 1 + len(base.members.others())
        return NodeLoad(
            calls=len(list(manager.calls())),
            capacity=math.ceil(base.settings.limits.calls / nodes),
            cpu=load.cpu,
            lag=load.lag,
        )

    return Placement(
        base.directory.siblings,
        own_load=own_load,
        live_calls=partial(base.database.read, directory.live_calls),
        now=asyncio.get_running_loop().time,
    )


def client_tls(cluster: Cluster) -> ssl.SSLContext | None:
    """Return what requests to other machines are encrypted with; None for http.

    Raises:
        SettingsError: a file cannot be used.
    """
    return _context(cluster, ssl.Purpose.SERVER_AUTH)


def server_tls(cluster: Cluster) -> ssl.SSLContext | None:
    """Return what requests at `cluster.url` are decrypted with, as `client_tls`."""
    context = _context(cluster, ssl.Purpose.CLIENT_AUTH)
    if context is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _context(cluster: Cluster, purpose: ssl.Purpose) -> ssl.SSLContext | None:
    if not cluster.url.startswith("https"):
        return None
    try:
        context = ssl.create_default_context(purpose, cafile=cluster.tls_ca)
        context.load_cert_chain(cluster.tls_cert, cluster.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"{SETTINGS}: {error}") from error
    return context


async def join(
    settings: Settings,
    *,
    machine: str,
    boot: str = "",
    launch_id: str = "",
    migrated: bool = False,
    timing: ClusterTiming = DEFAULT,
) -> Leased:
    """Join the nodes that share the settings' PostgreSQL database; a supervisor sets `boot` and `launch_id`.

    `migrated` is whether this process has opened the database before.

    Raises:
        SetupError: the database cannot be used, or has as many nodes as there can be.
    """
    data, cluster = settings.data, settings.cluster
    engine = Postgres(data.url, statement_seconds=data.statement_seconds, migrated=migrated)
    quick = replace(engine, statement_seconds=timing.statement)
    own = Member(node=0, boot=boot or new_boot(), machine=machine, url=cluster.url)
    signer = RowSigner(cluster.secret, cluster.former_secret)
    return await Leased.join(
        engine, quick.connect, own, launch_id=launch_id, signer=signer, timing=timing
    )


def attach(members: Leased, bridge: Bridge) -> None:
    """Let a node measure its lease, ask siblings whose leases have run out, and end once it is fenced.

    Soon after its start it asks them all once, so that one with another secret is known before a call needs it.
    """

    async def leave_when_fenced() -> None:
        await members.fenced.wait()
        bridge.drain.end("fenced")

    members.metrics = bridge.node.metrics.node
    if (placement := bridge.cluster.placement) is not None:
        admission = bridge.manager.admission
        members.describe = lambda: (placement.own_load(), admission.draining or admission.held)
    bridge.background.spawn(leave_when_fenced(), name="fence")
    if (siblings := bridge.cluster.siblings) is not None:
        members.boot_of = siblings.boot_of

        async def ask_all() -> None:
            await asyncio.sleep(members.timing.introduce)
            await siblings.request_all(IDENTITY_PATH)  # who refuses our signature is logged

        bridge.background.spawn(ask_all(), name="ask the siblings")
