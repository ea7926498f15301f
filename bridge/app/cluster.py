"""The way to the other nodes, made from the settings."""

import asyncio
import math
import ssl
from functools import partial
from pathlib import Path

from bridge.api.server.sibling_gate import SiblingGate
from bridge.app.foundation import Foundation
from bridge.cluster.leases import Leased
from bridge.cluster.membership import Membership
from bridge.cluster.placement import Placement
from bridge.cluster.siblings import Siblings
from bridge.cluster.transports import NetworkTransport, UnixTransport
from bridge.errors import SettingsError
from bridge.http.connections import Connections
from bridge.http.node_signature import NodeSigner
from bridge.metrics.registry import Metrics
from bridge.settings.cluster import Cluster
from bridge.settings.model import Settings
from bridge.stores.directory import FOLDER
from bridge.stores.nodes import NodeLoad

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


def build_placement(base: Foundation) -> Placement | None:
    """Return what places new calls on the nodes; None for the only one."""
    if base.directory is None:
        return None
    if isinstance(base.members, Leased):
        admission = base.manager.admission
        base.members.describe = lambda: (own_load(base), admission.draining or admission.held)
    return Placement(
        base.directory.siblings,
        own_load=partial(own_load, base),
        live_calls=base.directory.live_calls,
        now=asyncio.get_running_loop().time,
    )


def own_load(base: Foundation) -> NodeLoad:
    """Return how much this node has to do, and its share of the calls that all nodes may have."""
    nodes = 1 + len(base.members.others())
    return NodeLoad(
        calls=len(list(base.manager.calls())),
        capacity=math.ceil(base.settings.limits.calls / nodes),
        cpu=base.load.cpu,
        lag=base.load.lag,
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
