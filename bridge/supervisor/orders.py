"""What a supervisor does for `media-bridge drain` and `media-bridge upgrade`."""

import asyncio
from asyncio import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from bridge.errors import NotFound
from bridge.supervisor.child import interpreter
from bridge.supervisor.control import Left, Report, report_calls
from bridge.supervisor.fleet import Fleet, UpgradeFailed
from bridge.supervisor.process import NodeProcess
from bridge.supervisor.slots import MachineSettings, NodeSettings
from bridge.wire.supervision import DrainNodes, Inspect, Progress, Request

SETTINGS_FLAG: Final = "--print-settings"
READ_SECONDS: Final = 30.0
"""For a new interpreter to read the settings."""


class Orders:
    """The commands of the control socket."""

    def __init__(
        self, fleet: Fleet, drain: Callable[[float | None, str], None], config: Path | None
    ) -> None:
        """`drain` drains all nodes; `config` is the settings file of the command line."""
        self._fleet = fleet
        self._drain = drain
        self._config = config

    async def perform(self, request: Request, report: Report) -> None:
        """Do what is asked for, and report on it until it is over.

        Raises:
            NotFound: there is no such node.
            SettingsError, UpgradeFailed: the bridge is not upgraded.
        """
        if isinstance(request, Inspect):
            report(self._fleet.spares())
            return
        if isinstance(request, DrainNodes):
            draining = self._begin_drain(request)
        else:
            settings = await self._read_new_settings()
            draining = await self._fleet.upgrade(
                settings, self._usual_seconds(), lambda text: report(Progress(text=text))
            )
            report(Progress(text="the new nodes take all new calls", begun=True))
        await self._report(draining, report)

    def _begin_drain(self, request: DrainNodes) -> Sequence[NodeProcess]:
        seconds = self._usual_seconds() if request.seconds is None else max(0.0, request.seconds)
        nodes = self._fleet.nodes()
        if request.node is None:
            self._drain(seconds, "request")
            return nodes
        chosen = [process for process in nodes if process.number == request.node]
        if not chosen:
            raise NotFound(
                f"there is no node {request.node}; the nodes are {', '.join(str(one.number) for one in nodes)}"
            )
        self._fleet.drain_node(chosen[0], seconds)
        return chosen

    def _usual_seconds(self) -> float | None:
        return self._fleet.settings.read.limits.drain_seconds or None

    async def _report(self, draining: Sequence[NodeProcess], report: Report) -> None:
        over = asyncio.Event()

        def left() -> Left:
            alive = [process for process in draining if not process.ended]
            if not alive:
                over.set()
            seconds = [process.seconds for process in alive if process.seconds is not None]
            return Left(
                calls=sum(process.calls for process in alive),
                seconds=max(seconds, default=None),
                handed=sum(process.handed for process in draining),
            )

        await report_calls(left, over, report)

    async def _read_new_settings(self) -> NodeSettings:
        """Have a new interpreter, which runs the code on disk, read the settings.

        Raises:
            UpgradeFailed: it cannot, or a setting has changed that needs a restart.
        """
        config = [] if self._config is None else ["--config", str(self._config)]
        reader = await asyncio.create_subprocess_exec(
            *interpreter(),
            *config,
            SETTINGS_FLAG,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(READ_SECONDS):
                text, errors = await reader.communicate()
        except TimeoutError:
            raise UpgradeFailed("the new version does not read its settings") from None
        finally:
            if reader.returncode is None:
                reader.kill()
                await reader.wait()
        if reader.returncode != 0:
            last = errors.decode(errors="replace").strip().rpartition("\n")[2]
            raise UpgradeFailed(f"the new version cannot start; the old nodes go on: {last}")
        try:
            chosen = read_settings(text)
        except msgspec.MsgspecError as error:
            raise UpgradeFailed(f"the new version needs a restart: {error}") from error
        check_unchanged(self._fleet.settings.read, chosen.read)
        return chosen


def read_settings(text: bytes) -> NodeSettings:
    """Return the settings of nodes from JSON, of this version or another.

    Raises:
        msgspec.MsgspecError: one that the supervisor needs is missing or of another type.
    """
    return NodeSettings(msgspec.json.decode(text, type=MachineSettings), msgspec.Raw(text))


def check_unchanged(former: MachineSettings, chosen: MachineSettings) -> None:
    """Check that the sockets and the data folder stay the same.

    Raises:
        UpgradeFailed: they do not.
    """
    for name, before, after in (
        ("data.dir", former.data, chosen.data),
        ("http.host or http.port", former.http, chosen.http),
        ("cluster.url", former.cluster, chosen.cluster),
    ):
        if before != after:
            raise UpgradeFailed(f"{name} has changed: that needs a restart; the old nodes go on")
