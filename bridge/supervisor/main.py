"""Running a supervisor: its lock, its sockets, its signals."""

import asyncio
import contextlib
import fcntl
import socket
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bridge.cluster.host import hide_memory
from bridge.db import folder_lock
from bridge.http import local_token
from bridge.http.listener import (
    open_cluster_listeners,
    open_listeners,
    raise_descriptor_limit,
)
from bridge.settings.model import Settings
from bridge.stores.directory import FOLDER
from bridge.supervisor import signals
from bridge.supervisor.control import control_path, serving
from bridge.supervisor.fleet import Fleet
from bridge.supervisor.orders import Orders, read_settings
from bridge.supervisor.slots import NodeSettings, assign_slots
from bridge.supervisor.spare import Spare


def run(settings: Settings, config: Path | None = None) -> None:
    """Run the nodes until told to stop; `config` is the settings file of the command line.

    Raises:
        SetupError: A socket cannot be opened, the data folder is in use, or a node cannot start.
    """
    chosen = read_settings(msgspec.json.encode(settings))
    raise_descriptor_limit()  # it has those of all calls
    hide_memory()
    assign_slots(chosen.read)  # refuses too few ports before anything is opened
    folder = Path(settings.data.dir) / FOLDER
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Two bridges would take over each other's calls.
    refusal = f"data.dir: another bridge uses {folder.parent}; each needs its own"
    lock = folder_lock.locked(folder / "lock", fcntl.LOCK_EX, refusal)
    host, port = settings.http.host, settings.http.port
    with lock, contextlib.ExitStack() as sockets:
        cluster = settings.cluster
        opened = open_listeners(host, port) + open_cluster_listeners(cluster.host, cluster.port)
        listeners = [sockets.enter_context(listener) for listener in opened]
        for former in folder.glob("directory.sqlite3*"):  # now tables of the database
            former.unlink()
        local_token.announce(settings, local_token.make())
        asyncio.run(_run(chosen, listeners, config))


async def _run(
    settings: NodeSettings, listeners: Sequence[socket.socket], config: Path | None
) -> None:
    shared = [listener.fileno() for listener in listeners]
    fleet = Fleet(settings, shared, Spare(shared))

    def drain(seconds: float | None, reason: str) -> None:
        fleet.drain(seconds, reason)
        # The nodes have them, and the last one refuses connections once it has no calls.
        for listener in listeners:
            listener.close()

    orders = Orders(fleet, drain, config)
    signals.handle(
        drain=lambda: drain(fleet.settings.read.limits.drain_seconds, "signal"),
        stop=fleet.stop,
    )
    async with serving(control_path(settings.read.data.dir), orders.perform):
        await fleet.run()
