"""A built bridge, and its end."""

from dataclasses import dataclass

from aiohttp import web

from bridge.api.server import services
from bridge.app.handover import Handovers
from bridge.app.machine_takeover import MachineTakeovers
from bridge.call.model import EndReason
from bridge.node.drain import Drain
from bridge.node.handover import leave
from bridge.node.manager import Manager
from bridge.rtc.packet_path import PacketPath
from bridge.tasks import Tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """The web applications, what their handlers use, and what must be closed before and after them."""

    application: web.Application
    node_application: web.Application | None
    """For requests of the other nodes; None for the only node."""
    control: services.CallControl
    media: services.Media
    records: services.Records
    lines: services.LineServices
    events: services.EventServices
    node: services.NodeServices
    cluster: services.ClusterServices
    access: services.AccessServices
    site: services.Site
    background: Tasks
    """Work until the calls have ended."""
    packet_path: PacketPath | None
    handovers: Handovers
    takeovers: MachineTakeovers

    def __post_init__(self) -> None:
        """Put what handlers use into the applications."""
        for app in filter(None, (self.application, self.node_application)):
            app[services.CONTROL], app[services.MEDIA] = self.control, self.media
            app[services.RECORDS], app[services.LINES] = self.records, self.lines
            app[services.EVENTS], app[services.NODE] = self.events, self.node
            app[services.CLUSTER], app[services.ACCESS] = self.cluster, self.access
            app[services.SITE] = self.site

    @property
    def drain(self) -> Drain:
        """The end of this node, once it begins."""
        return self.node.drain

    @property
    def manager(self) -> Manager:
        """The calls."""
        return self.control.manager

    async def aclose(
        self, *, flush_seconds: float = 0.0, reason: EndReason = EndReason.DRAINED
    ) -> None:
        """End all calls and stop the background work; the HTTP side may still answer meanwhile.

        Webhooks that are due are waited for, at most `flush_seconds`. With `NODE_LOST` others have declared this node
        dead: calls that may go on with them are left without a word.
        """
        await self.handovers.aclose()
        await self.takeovers.aclose()
        await self.drain.aclose()
        if reason is EndReason.NODE_LOST:
            await leave(self.manager, self.takeovers.is_portable)
        await self.manager.aclose(reason)
        await self.records.recordings.aclose()
        await self.control.voicemail_calls.aclose()
        if flush_seconds:
            await self.events.webhooks.flush(flush_seconds)
        await self.background.aclose()
        if self.packet_path is not None:
            self.packet_path.close()

    async def release(self) -> None:
        """Close what is shared with other nodes; the bridge must not be used any more."""
        if self.cluster.directory is not None:
            await self.cluster.directory.aclose()
        await self.events.database.aclose()
