"""One node at work: its HTTP service, from the first request until all calls are ended."""

import asyncio
import gc
import logging
import os
import signal
import socket
import ssl
from pathlib import Path

import uvloop
from aiohttp import web, web_response

from bridge.app.build import Bridge, NodePosition, build
from bridge.errors import SettingsError
from bridge.heartbeat import beat
from bridge.net.directory import FOLDER
from bridge.net.siblings import listen, node_socket_path, socket_path
from bridge.node.listener import Listeners, open_listeners, raise_descriptor_limit
from bridge.node.manager import Manager
from bridge.settings.model import DEMO_KEY, Settings
from bridge.supervisor import NodeSlot, watch

log = logging.getLogger(__name__)

IDLE_CONNECTION_SECONDS = 30.0
"""How long a client may hold a connection without a request, or take to send its headers."""
LINGER_SECONDS = 1.0
"""How long the rest of a body is read and thrown away that was refused before it was read."""
CLOSE_SECONDS = 5.0
COLLECTOR_THRESHOLDS = (10_000, 20, 50)
SWEEP_SECONDS = 1.0
SWEPT_LEGS = 64


def run(chosen: Settings, seat: NodeSlot | None = None) -> None:
    """Run a node until it is told to stop; `seat` says which of several it is.

    Raises:
        SetupError: it cannot start.
    """
    uvloop.run(_serve(chosen, seat))


async def _serve(chosen: Settings, seat: NodeSlot | None) -> None:
    descriptors = raise_descriptor_limit()
    bridge = build(
        chosen,
        position=NodePosition(seat.index, seat.count) if seat else None,
        descriptors=descriptors,
    )
    # The access log is off: paths may carry keys; the metrics count requests.
    runner = web.AppRunner(
        bridge.application,
        access_log=None,
        keepalive_timeout=IDLE_CONNECTION_SECONDS,
        shutdown_timeout=CLOSE_SECONDS,
        lingering_time=LINGER_SECONDS,
    )
    await runner.setup()
    # What is no HTTP at all is refused by aiohttp alone, with a header that tells its version.
    vars(web_response)["SERVER_SOFTWARE"] = "bridge"
    _spare_the_collector()
    bridge.background.spawn(_sweep(bridge.manager), name="sweep")
    if seat is not None:
        bridge.services.metrics.previous_incarnations(stuck=seat.stuck, lost=seat.lost)
        bridge.background.spawn(beat(seat.pipe), name="beat")
    runners = [runner]
    listeners: Listeners | None = None
    try:
        if bridge.node_application is not None and seat is not None:
            runners.append(await _answer_siblings(bridge.node_application, chosen, seat))
        listeners = await _listen(bridge, runner, chosen, seat)
        _announce(chosen)
        await _told_to_stop(bridge, seat)
        log.info("node.stopping")
    finally:
        await bridge.aclose()
        if listeners is not None:
            await listeners.aclose()
        for each in runners:
            await each.cleanup()
        await bridge.let_go()


def _spare_the_collector() -> None:
    """Keep the cyclic collector from walking, in the middle of calls, what lives to the end.

    The media path makes tuples that reference counting frees; only legs that end leave cycles, and
    `_sweep` collects those.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)


async def _sweep(manager: Manager) -> None:
    """Collect what ended legs left, once there were enough of them to be worth the pause."""
    swept = manager.legs_ended
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        if manager.legs_ended - swept >= SWEPT_LEGS:
            swept = manager.legs_ended
            gc.collect()


async def _answer_siblings(
    application: web.Application, chosen: Settings, seat: NodeSlot
) -> web.AppRunner:
    """Answer what the other nodes ask, on a socket that carries nothing else."""
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=CLOSE_SECONDS)
    await runner.setup()
    path = node_socket_path(Path(chosen.data.dir) / FOLDER, seat.index)
    await web.SockSite(runner, listen(path)).start()
    return runner


async def _listen(
    bridge: Bridge, runner: web.AppRunner, chosen: Settings, seat: NodeSlot | None
) -> Listeners:
    """Accept requests: clients' through the limits on connections, siblings' as they come."""
    if runner.server is None:
        raise RuntimeError("the runner is not set up")
    listeners = Listeners(
        runner.server,
        connections=bridge.services.connections,
        counters=bridge.services.metrics.http,
        tls=_tls(chosen),
    )
    if seat is None:
        listeners.start(open_listeners(chosen.http.host, chosen.http.port))
        return listeners
    inside = listen(socket_path(Path(chosen.data.dir) / FOLDER, seat.index))
    await web.SockSite(runner, inside).start()
    listeners.start(socket.socket(fileno=descriptor) for descriptor in seat.listeners)
    return listeners


async def _told_to_stop(bridge: Bridge, seat: NodeSlot | None) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    if seat is not None:
        bridge.background.spawn(watch(stopped), name="watch the supervisor")
    await stopped.wait()


def _tls(chosen: Settings) -> ssl.SSLContext | None:
    if not chosen.http.tls_cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(chosen.http.tls_cert, chosen.http.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"http.tls_cert, http.tls_key: {error}") from error
    return context


def _announce(chosen: Settings) -> None:
    scheme = "https" if chosen.http.tls_cert else "http"
    host = f"[{chosen.http.host}]" if ":" in chosen.http.host else chosen.http.host
    demo = {} if chosen.lines else {"demo_key": DEMO_KEY}
    log.info(
        "node.ready",
        extra={"url": f"{scheme}://{host}:{chosen.http.port}/", "pid": os.getpid(), **demo},
    )
