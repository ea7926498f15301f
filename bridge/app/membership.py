"""The nodes of a bridge, as its settings have them."""

import asyncio
from dataclasses import replace

from bridge.app.build import Bridge
from bridge.cluster.leases import Leased
from bridge.cluster.membership import new_boot
from bridge.cluster.siblings import IDENTITY_PATH
from bridge.cluster.timing import DEFAULT, ClusterTiming
from bridge.db.postgres import Postgres
from bridge.http.node_signature import RowSigner
from bridge.settings.model import Settings
from bridge.stores.nodes import Member


async def join(
    settings: Settings,
    *,
    machine: str,
    boot: str = "",
    run: str = "",
    timing: ClusterTiming = DEFAULT,
) -> Leased:
    """Join the nodes that share the settings' PostgreSQL database; a supervisor sets `boot` and `run`.

    Raises:
        SetupError: the database cannot be used, or has as many nodes as there can be.
    """
    data, cluster = settings.data, settings.cluster
    engine = Postgres(data.url, statement_seconds=data.statement_seconds)
    quick = replace(engine, statement_seconds=timing.statement)
    own = Member(node=0, boot=boot or new_boot(), machine=machine, url=cluster.url)
    signer = RowSigner(cluster.secret, cluster.former_secret)
    return await Leased.join(engine, quick.connect, own, run=run, signer=signer, timing=timing)


def attach(members: Leased, bridge: Bridge) -> None:
    """Let a node measure its lease, ask siblings whose leases have run out, and end once it is fenced.

    Soon after its start it asks them all once, so that one with another secret is known before a call needs it.
    """

    async def leave_when_fenced() -> None:
        await members.fenced.wait()
        bridge.drain.end("fenced")

    metrics = bridge.services.metrics.node

    def observe(lease: float, refused: bool) -> None:  # noqa: FBT001 - a callback
        metrics.set_lease(lease)
        metrics.reaper_refused(amount=refused)

    members.observe = observe
    bridge.background.spawn(leave_when_fenced(), name="fence")
    if (siblings := bridge.services.siblings) is not None:
        members.boot_of = siblings.boot_of

        async def ask_all() -> None:
            await asyncio.sleep(members.timing.introduce)
            await siblings.request_all(IDENTITY_PATH)  # who refuses our signature is logged

        bridge.background.spawn(ask_all(), name="ask the siblings")
