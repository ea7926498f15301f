"""Running one node: its HTTP service, from start to shutdown."""

import asyncio
import logging
import os
import socket
import ssl
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import uvloop
from aiohttp import web, web_response

from bridge import garbage
from bridge.app import cluster
from bridge.app.bridge import Bridge
from bridge.app.build import build
from bridge.call.model import EndReason
from bridge.cluster.host import hide_memory, machine_id
from bridge.cluster.leases import Leased
from bridge.cluster.membership import SingleNode, Supervised
from bridge.cluster.sockets import handover_socket_path, listen, node_socket_path, socket_path
from bridge.cluster.succession import Succession
from bridge.cluster.supervision import Supervision
from bridge.db import folder_lock
from bridge.errors import Fenced, SettingsError
from bridge.http import local_token
from bridge.http.listener import (
    Listeners,
    open_cluster_listeners,
    open_listeners,
    raise_descriptor_limit,
)
from bridge.log import node as log_node
from bridge.node.admission import Admission
from bridge.node.drain import Drain
from bridge.settings.model import DEMO_KEY, Settings
from bridge.stores.directory import FOLDER
from bridge.stores.nodes import Member
from bridge.supervisor import signals
from bridge.supervisor.control import (
    Left,
    Report,
    control_path,
    refuse_upgrade,
    report_calls,
    serving,
)
from bridge.tasks import Tasks
from bridge.wire.supervision import Accept, Calls, Drained, Process, Ready, Request, Roster, Slot

log = logging.getLogger(__name__)

IDLE_CONNECTION_SECONDS = 30.0
"""Timeout of an idle connection, and of a request's headers."""
LINGER_SECONDS = 1.0
"""How long the unread body of a rejected request is drained."""
CLOSE_SECONDS = 5.0
FLUSH_SECONDS = 4.0
"""For webhooks that are due, so that the process exits within 10 s."""
ANSWER_SECONDS = 0.5
"""For the requests of connections that were accepted last, also on a busy machine: what is closed unread is a 502 of the proxy."""


def run(chosen: Settings, slot: Slot | None = None) -> None:
    """Run a node until it is told to stop; `slot` is its slot under a supervisor.

    Raises:
        SetupError: It cannot start.
    """
    with folder_lock.in_use(Path(chosen.data.dir)):
        uvloop.run(_serve(chosen, slot))


async def _serve(chosen: Settings, slot: Slot | None) -> None:
    machine = machine_id(Path(chosen.data.dir))
    if not chosen.data.url:
        alone = _members(slot, machine)
        alone.succession = _succession(chosen, slot)
        await _serve_as(alone, chosen, slot)
        return
    boot, launch_id = (slot.boot, slot.run) if slot is not None else ("", "")
    was_spare = slot is not None and slot.passed
    members = await cluster.join(
        chosen, machine=machine, boot=boot, launch_id=launch_id, migrated=was_spare
    )
    log_node.set(str(members.own.node))
    members.succession = _succession(chosen, slot)
    try:
        await _serve_as(members, chosen, slot)
    finally:
        await members.aclose()
    if members.fenced.is_set():
        raise Fenced("other nodes have declared this one dead, and have ended its calls")


async def _serve_as(
    members: SingleNode | Supervised | Leased, chosen: Settings, slot: Slot | None
) -> None:
    token = local_token.make() if slot is None else ""
    bridge = build(chosen, members=members, descriptors=raise_descriptor_limit(), token=token)
    if isinstance(members, Leased):
        cluster.attach(members, bridge)
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
    _collect_garbage(bridge)
    links, admission = Tasks(), bridge.manager.admission
    link = None
    if slot is not None and not isinstance(members, SingleNode):
        link = _link(bridge, slot, members, links)
    runners = [runner]
    listeners: list[Listeners] = []
    try:
        if bridge.node_application is not None:
            node = members.own.node
            runners.append(
                await _answer_siblings(bridge, runner, chosen, node, takes_over=link is not None)
            )
        listeners = _listen(bridge, runner, chosen, slot)
        if link is not None and slot is not None:
            admission.held = not slot.accepts
            link.on_accept = partial(_accept, admission, listeners)
            links.spawn(link.run(), name="watch the supervisor")
            link.report(Ready(node=members.own.node))
        _announce(chosen, members.own.boot, token)
        await _run_until_drained(bridge.drain, chosen, listeners, supervised=slot is not None)
    finally:
        if members.fenced.is_set():
            await bridge.aclose(reason=EndReason.NODE_LOST)
        else:
            await bridge.aclose(flush_seconds=FLUSH_SECONDS)
        if link and bridge.drain.done.is_set() and not members.fenced.is_set():
            _report_end(link, bridge)
        for one in listeners:
            await one.aclose()
        for each in runners:
            await each.cleanup()
        await bridge.release()
        await links.aclose()


async def _run_until_drained(
    drain: Drain, chosen: Settings, listeners: Iterable[Listeners], *, supervised: bool
) -> None:
    async def perform(request: Request, report: Report) -> None:
        drain.request(refuse_upgrade(request).seconds)
        await report_calls(lambda: Left(drain.calls, drain.seconds_left), drain.done, report)

    if supervised:  # signals and commands are the supervisor's
        await drain.done.wait()
    else:
        signals.handle(
            drain=partial(drain.begin, chosen.limits.drain_seconds, "signal"),
            stop=partial(drain.end, "signal"),
        )
        async with serving(control_path(chosen.data.dir), perform):
            await drain.done.wait()
    log.info("node.stopping", extra={"reason": drain.reason, "calls": drain.calls})
    if not drain.calls:
        # Before idle connections are closed: a client that is refused here tries another node.
        for one in listeners:
            one.close()
        await asyncio.sleep(ANSWER_SECONDS)


def _link(bridge: Bridge, slot: Slot, members: Supervised | Leased, links: Tasks) -> Supervision:
    """Return the link to the supervisor, with heartbeats that begin now."""
    restarted = bridge.node.metrics.node.restarted
    restarted("stuck", amount=slot.stuck)
    restarted("lost", amount=slot.lost)
    drain = bridge.drain
    link = Supervision(orders=sys.stdin.fileno(), reports=slot.pipe)
    link.on_roster = partial(_update, members)
    link.on_drain = drain.begin
    if (handover := bridge.cluster.handover) is not None:
        link.on_handover = partial(handover.begin, cause="upgrade")
    link.on_stop = lambda: drain.end("stop")
    links.spawn(link.send_heartbeats(partial(_calls, bridge)), name="heartbeats")
    return link


def _calls(bridge: Bridge) -> Calls:
    """Return what the supervisor is told of the calls."""
    drain, handover = bridge.drain, bridge.cluster.handover
    return Calls(
        calls=drain.calls,
        draining=drain.active,
        seconds=drain.seconds_left,
        handed=handover.handed if handover is not None else 0,
        media_thread=bridge.packet_path.figures().thread if bridge.packet_path is not None else 0,
    )


def _report_end(link: Supervision, bridge: Bridge) -> None:
    """Tell the supervisor how many calls were passed on in the end, and that it is one."""
    link.report(_calls(bridge))
    link.report(Drained())


def _members(slot: Slot | None, machine: str) -> SingleNode | Supervised:
    if slot is None:
        return SingleNode(machine=machine)
    own = Member(node=slot.node, boot=slot.boot, machine=machine)
    members = Supervised(own, launch_id=slot.run)
    _update(members, slot.roster)
    return members


def _succession(chosen: Settings, slot: Slot | None) -> Succession | None:
    """Return where a supervisor keeps the node's calls, and what it has kept of the process before."""
    if slot is None or slot.keep < 0 or not chosen.recovery.enabled:
        return None
    hide_memory()
    return Succession(slot.keep, slot.inherited)


def _update(members: Supervised | Leased, roster: Roster) -> None:
    """Take over what the supervisor says of its nodes, which are all of this machine."""

    def known(process: Process) -> Member:
        return Member(
            node=process.node,
            boot=process.boot,
            machine=members.own.machine,
            draining=process.draining,
        )

    members.spares = roster.spares
    members.update([known(one) for one in roster.nodes], [known(one) for one in roster.lost])


def _collect_garbage(bridge: Bridge) -> None:
    garbage.tune()
    garbage.measure(partial(bridge.node.metrics.steps.took, "garbage"))
    sweep = garbage.LegSweep()
    bridge.manager.publisher.subscribe(sweep.on_event)
    bridge.background.spawn(sweep.run(), name="sweep")


async def _answer_siblings(
    bridge: Bridge, clients: web.AppRunner, chosen: Settings, node: int, *, takes_over: bool
) -> web.AppRunner:
    """Serve what other nodes of this machine forward, and their own requests on another socket, without limits.

    With `takes_over` their live calls are taken over too, when a supervisor replaces them.
    """
    if bridge.node_application is None:
        raise RuntimeError("the only node has no siblings")
    folder = Path(chosen.data.dir) / FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    runner = web.AppRunner(bridge.node_application, access_log=None, shutdown_timeout=CLOSE_SECONDS)
    await runner.setup()
    await web.SockSite(runner, listen(node_socket_path(folder, node))).start()
    await web.SockSite(clients, listen(socket_path(folder, node))).start()
    if takes_over and bridge.handovers.server is not None:
        bridge.handovers.server.start(handover_socket_path(folder, node))
    return runner


def _listen(
    bridge: Bridge, runner: web.AppRunner, chosen: Settings, slot: Slot | None
) -> list[Listeners]:
    """Accept clients, and nodes of other machines at `cluster.url`, within the connection limits.

    Raises:
        SettingsError: an address cannot be bound, or a certificate cannot be used.
    """
    if runner.server is None:
        raise RuntimeError("the runner is not set up")
    if slot is None:
        opened = open_listeners(chosen.http.host, chosen.http.port)
        opened += open_cluster_listeners(chosen.cluster.host, chosen.cluster.port)
    else:
        opened = [socket.socket(fileno=descriptor) for descriptor in slot.listeners]
    port = chosen.cluster.port
    accepts = slot is None or slot.accepts
    clients = Listeners(runner.server, connections=bridge.access.connections, tls=_tls(chosen))
    clients.start((one for one in opened if one.getsockname()[1] != port), accept=accepts)
    if (gate := bridge.cluster.sibling_gate) is None:
        return [clients]
    inside = [one for one in opened if one.getsockname()[1] == port]
    gate.open(inside)
    siblings = Listeners(
        runner.server, connections=gate.connections, tls=cluster.server_tls(chosen.cluster)
    )
    siblings.start(inside, accept=accepts)
    return [clients, siblings]


def _accept(admission: Admission, listeners: list[Listeners], accept: Accept) -> None:
    admission.held = not accept.on
    for one in listeners:
        one.accept(on=accept.on)


def _tls(chosen: Settings) -> ssl.SSLContext | None:
    if not chosen.http.tls_cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(chosen.http.tls_cert, chosen.http.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"http.tls_cert, http.tls_key: {error}") from error
    return context


def _announce(chosen: Settings, boot: str, token: str) -> None:
    """Log where the bridge listens; without a supervisor, announce the token, now that no other has this port."""
    if token:
        local_token.announce(chosen, token)
    demo = {} if chosen.lines else {"demo_key": DEMO_KEY}
    log.info(
        "node.ready",
        extra={"url": chosen.http.url, "pid": os.getpid(), "boot": boot, **demo},
    )
