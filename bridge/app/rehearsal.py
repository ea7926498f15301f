"""A call that a process carries and takes over before it is a node, so that it does everything once that takes long the first time."""

import asyncio
import os
import socket
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec
from aiohttp import web

from bridge.app.bridge import Bridge
from bridge.app.build import build
from bridge.app.databases import engine_of
from bridge.app.handover import advance_copy, call_services
from bridge.app.peers import make_peers
from bridge.app.telemetry import preload
from bridge.audio.codec.encoder_level import EncoderBudget
from bridge.audio.frame import FRAME_SAMPLES, FRAME_SECONDS, SILENCE, Frame
from bridge.call.model import LineName, Party
from bridge.call.routing import LegRole
from bridge.cluster.descriptor_channel import CLOSE_ON_EXEC, Claim
from bridge.cluster.membership import Supervised, new_boot
from bridge.cluster.succession import Succession
from bridge.errors import BridgeError, SetupError
from bridge.metrics.registry import Metrics
from bridge.node.handover import Handover
from bridge.node.runner import CallRunner
from bridge.rtc.config import Timeouts
from bridge.rtc.peer import Peer
from bridge.rtc.ports import PortPool
from bridge.settings.model import DEMO_LINE, Data, Limits, Settings, Simulator, port_range
from bridge.stores.nodes import Member
from bridge.wire.rtp import used_numbers
from bridge.wire.supervision import Inherited

ECHO = "15550100001"
PACKETS = 5
"""That the call carries before and after it is taken over."""
MAX_SECONDS = 60.0
MAX_BYTES = 1024
"""Of the message with the ledger."""


async def rehearse(settings: Settings, folder: Path) -> None:
    """Build a bridge with media as in the settings, carry a call in it, take the call over from its copy, and end it all.

    Nothing of it leaves the machine but a connection to `data.url`; what it writes is below `folder`.

    Raises:
        BridgeError, OSError: it does not work here.
    """
    if settings.data.url:
        await asyncio.to_thread(_connect, settings.data)
    preload(settings.telemetry)
    own = Member(node=0, boot=new_boot(), machine=new_boot())
    members = Supervised(own, launch_id=new_boot())
    supervisor, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with supervisor:
        members.succession = Succession(ours.detach(), [])
        _, [ledger], _, _ = socket.recv_fds(supervisor, MAX_BYTES, 1, CLOSE_ON_EXEC)
        chosen = rehearsed(settings, folder)
        bridge = build(chosen, members=members, warm_decoder=False)
        runner = web.AppRunner(bridge.application, access_log=None)
        await runner.setup()
        try:
            async with asyncio.timeout(MAX_SECONDS):
                await _carry_call(bridge, chosen, ledger)
        finally:
            await bridge.aclose()
            await runner.cleanup()
            await bridge.release()


def _connect(data: Data) -> None:
    """Connect to the database once, and do nothing there."""
    with suppress(SetupError, BridgeError):  # as good as possible
        engine_of(data).open().close()


def rehearsed(settings: Settings, folder: Path) -> Settings:
    """Return the settings of a rehearsal: media as in these, on loopback alone, and nobody to call but the simulator."""
    rtc = msgspec.structs.replace(
        settings.rtc, bind=["127.0.0.1"], external_address="", realtime=False
    )
    return Settings(
        data=Data(dir=str(folder)),
        rtc=rtc,
        media=settings.media,
        simulator=Simulator(ring_seconds=0.0),
        limits=Limits(overload_seconds=0.0),
    )


async def _carry_call(bridge: Bridge, settings: Settings, ledger: int) -> None:
    peers = make_peers(
        settings,
        PortPool(port_range(settings.rtc.ports)),
        Metrics(version=""),
        encoder_budget=EncoderBudget(),
        timeouts=Timeouts(),
    )
    caller = peers.whatsapp(lambda _: None, lambda _: None)
    try:
        runner = await bridge.manager.dial(LineName(DEMO_LINE), ECHO)
        offer = await caller.create_offer()
        _, answer = await bridge.control.browsers.offer(runner, offer, LegRole(Party.NEAR))
        await caller.set_answer(answer)
        await caller.connect()
        caller.session.start_sending(asyncio.get_running_loop().time())
        await _talk(caller, 0)
        await _take_over(bridge, runner, ledger)
        await _talk(caller, PACKETS)
    finally:
        await caller.aclose()
        if peers.packet_path is not None:
            peers.packet_path.close()


async def _talk(caller: Peer, first: int) -> None:
    """Send packets, which come back."""
    for frame in range(first, first + PACKETS):
        now = asyncio.get_running_loop().time()
        caller.session.push(Frame(SILENCE, frame * FRAME_SAMPLES, caller), now)
        await asyncio.sleep(FRAME_SECONDS)


async def _take_over(bridge: Bridge, runner: CallRunner, ledger: int) -> None:
    """Have the call go on from a copy, as in the successor of a process that has died."""
    services = call_services(bridge.control, bridge.media, bridge.records)
    handover, call_id = Handover(bridge.manager, services), runner.facts.call_id
    snapshot, sockets = handover.suspend(call_id)
    memory = os.memfd_create("call", os.MFD_CLOEXEC)
    os.write(memory, snapshot)
    copy = Inherited(
        call_id=call_id,
        node=0,
        boots=[new_boot()],
        died_at=time.monotonic(),
        ledger=ledger,
        snapshot=memory,
        descriptors=[Claim.make().descriptor, *map(os.dup, sockets)],
    )
    used = used_numbers.read(os.pread(ledger, used_numbers.BYTES, 0))
    await handover.abandon(call_id)  # which frees what it has in the ledger
    advance = partial(advance_copy, read=lambda _: used, now=time.monotonic())
    assert bridge.handovers.server is not None
    bridge.handovers.server.inherit([copy], advance, lambda: None)
    bridge.handovers.server.report_inherited()
