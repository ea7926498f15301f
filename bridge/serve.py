"""Running one node: its HTTP service, from start to shutdown."""

import asyncio
import gc
import logging
import os
import signal
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import uvloop
from aiohttp import web, web_response

from bridge.app.build import Bridge, NodePosition, build
from bridge.errors import SettingsError
from bridge.heartbeat import beat
from bridge.net.directory import FOLDER
from bridge.net.listener import Listeners, open_listeners, raise_descriptor_limit
from bridge.net.siblings import listen, node_socket_path, socket_path
from bridge.settings.model import DEMO_KEY, Settings
from bridge.supervisor import NodeSlot, watch

log = logging.getLogger(__name__)

IDLE_CONNECTION_SECONDS = 30.0
"""Timeout of an idle connection, and of a request's headers."""
LINGER_SECONDS = 1.0
"""How long the unread body of a rejected request is drained."""
CLOSE_SECONDS = 5.0
COLLECTOR_THRESHOLDS = (10_000, 20, 50)
SWEEP_SECONDS = 1.0
SWEPT_LEGS = 64


def run(chosen: Settings, slot: NodeSlot | None = None) -> None:
    """Run a node until it is told to stop; `slot` is its slot under a supervisor.

    Raises:
        SetupError: It cannot start.
    """
    uvloop.run(_serve(chosen, slot))


async def _serve(chosen: Settings, slot: NodeSlot | None) -> None:
    descriptors = raise_descriptor_limit()
    bridge = build(
        chosen,
        position=NodePosition(slot.index, slot.count) if slot else None,
        descriptors=descriptors,
    )
    # No access log: paths may contain keys, and metrics count requests.
    runner = web.AppRunner(
        bridge.application,
        access_log=None,
        keepalive_timeout=IDLE_CONNECTION_SECONDS,
        shutdown_timeout=CLOSE_SECONDS,
        lingering_time=LINGER_SECONDS,
    )
    await runner.setup()
    # aiohttp answers malformed HTTP itself, with a header that reveals its version.
    vars(web_response)["SERVER_SOFTWARE"] = "bridge"
    _tune_garbage_collector()
    bridge.background.spawn(_sweep(lambda: bridge.manager.legs_ended), name="sweep")
    if slot is not None:
        bridge.services.metrics.previous_processes(stuck=slot.stuck, lost=slot.lost)
        bridge.background.spawn(beat(slot.pipe), name="beat")
    runners = [runner]
    listeners: Listeners | None = None
    try:
        if bridge.node_application is not None and slot is not None:
            runners.append(await _answer_siblings(bridge.node_application, chosen, slot))
        listeners = await _listen(bridge, runner, chosen, slot)
        _announce(chosen)
        await _wait_for_stop(bridge, slot)
        log.info("node.stopping")
    finally:
        await bridge.aclose()
        if listeners is not None:
            await listeners.aclose()
        for each in runners:
            await each.cleanup()
        await bridge.release()


def _tune_garbage_collector() -> None:
    """Keep the cyclic garbage collector from traversing permanent objects during calls.

    On the media path reference counting suffices; only legs that end leave cycles (`_sweep`).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)


async def _sweep(ended: Callable[[], int]) -> None:
    """Collect garbage after every `SWEPT_LEGS` ended legs."""
    swept = ended()
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        if ended() - swept >= SWEPT_LEGS:
            swept = ended()
            gc.collect()


async def _answer_siblings(
    application: web.Application, chosen: Settings, slot: NodeSlot
) -> web.AppRunner:
    """Serve the internal requests of other nodes on a socket of their own."""
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=CLOSE_SECONDS)
    await runner.setup()
    path = node_socket_path(Path(chosen.data.dir) / FOLDER, slot.index)
    await web.SockSite(runner, listen(path)).start()
    return runner


async def _listen(
    bridge: Bridge, runner: web.AppRunner, chosen: Settings, slot: NodeSlot | None
) -> Listeners:
    """Accept clients, within the connection limits, and other nodes, without limits."""
    if runner.server is None:
        raise RuntimeError("the runner is not set up")
    listeners = Listeners(
        runner.server,
        connections=bridge.services.connections,
        counters=bridge.services.metrics.http,
        tls=_tls(chosen),
    )
    if slot is None:
        listeners.start(open_listeners(chosen.http.host, chosen.http.port))
        return listeners
    inside = listen(socket_path(Path(chosen.data.dir) / FOLDER, slot.index))
    await web.SockSite(runner, inside).start()
    listeners.start(socket.socket(fileno=descriptor) for descriptor in slot.listeners)
    return listeners


async def _wait_for_stop(bridge: Bridge, slot: NodeSlot | None) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    if slot is not None:
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
