"""Telephone calls of a bridge with several nodes: one has the sockets, each has its calls."""

import asyncio
import socket
from contextlib import AsyncExitStack

import pytest

from bridge.call.model import CallDetails, Parties
from bridge.settings.model import Sip
from bridge.sip.boundary import Target
from bridge.trunk.rate import MESSAGES_PER_REQUEST
from bridge.trunk.shared import LOCK_SECONDS
from tests.calls.telephone.test_trunk import BRANCH, OFFICE, line, one, ringing
from tests.support.inprocess import Client, settings
from tests.support.machine import free_port
from tests.support.two_nodes import one_node_only, two_nodes
from tests.support.waiting import until

pytestmark = [pytest.mark.call, one_node_only]  # the nodes here are the test's own


async def test_a_call_of_the_node_without_the_sockets_gets_its_messages_and_outlives_the_other_node():
    here, there = free_port(), free_port()
    shared = Sip(listen=[f"udp:127.0.0.1:{here}"])
    chosen = settings(lines={"office": line(OFFICE, there)}, sip=shared)
    async with AsyncExitStack() as stack:
        branch = await stack.enter_async_context(one(BRANCH, there, here))
        first, second = await stack.enter_async_context(two_nodes(chosen))
        sockets = [node.bridge.node.sip_sockets for node in (first, second)]
        assert [one is not None and one.owns for one in sockets] == [True, False]

        office = Client(second.bridge, second.http, data=second.folder.parent)
        runner = await second.bridge.manager.dial(
            line_name(second), BRANCH, CallDetails(Parties(to_channel="pstn"))
        )
        call_id = runner.facts.call_id
        assert call_id.startswith("01")
        rings = await ringing(branch)
        await branch.data("/call/answer", {"callId": rings["callId"]})
        await office.until_state(call_id, "active")

        # The first node's sockets are gone, and the second takes them.
        await first.bridge.aclose()
        await until(lambda: sockets[1] is not None and sockets[1].owns, timeout=5 * LOCK_SECONDS)
        await branch.data("/call/hangup", {"callId": rings["callId"]})
        await until(lambda: not runner.live)
        assert runner.record().reason == "remote_hangup"


@pytest.mark.full
async def test_strangers_neither_crowd_out_nor_end_the_call_of_a_node_without_the_sockets():
    here, there = free_port(), free_port()
    chosen = settings(
        lines={"office": line(OFFICE, there)}, sip=Sip(listen=[f"udp:127.0.0.1:{here}"])
    )
    async with AsyncExitStack() as stack:
        branch = await stack.enter_async_context(one(BRANCH, there, here))
        first, second = await stack.enter_async_context(two_nodes(chosen))
        shared = first.bridge.node.sip_sockets
        assert shared is not None
        heard: list[bytes] = []
        sockets = shared._sockets
        arrived = sockets.on_message

        def listen(data: bytes, source: Target) -> None:
            heard.append(data)
            arrived(data, source)

        sockets.on_message = listen
        runner = await second.bridge.manager.dial(
            line_name(second), BRANCH, CallDetails(Parties(to_channel="pstn"))
        )
        rings = await ringing(branch)
        await branch.data("/call/answer", {"callId": rings["callId"]})
        await until(lambda: any(b"CSeq: " in data and b" 200 OK" in data for data in heard))
        accepted = next(data for data in heard if data.startswith(b"SIP/2.0 200"))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.66", 0))
            stranger.connect(("127.0.0.1", here))
            stranger.setblocking(False)
            before = len(heard)
            for number in range(5000):
                stranger.send(bye(accepted, number))
                if not number % 50:
                    await asyncio.sleep(0)
            await until(lambda: len(heard) > before)
        assert (
            0 < len(heard) - before <= 2 * 20 * MESSAGES_PER_REQUEST + 500
        )  # its budget, and what it refills
        await branch.data("/call/hangup", {"callId": rings["callId"]})
        await until(lambda: not runner.live)
        assert runner.record().reason == "remote_hangup"


def bye(accepted: bytes, number: int) -> bytes:
    """Return a BYE of the far side that a stranger sends who has seen its 200."""
    lines = dict(line.split(b": ", 1) for line in accepted.split(b"\r\n\r\n")[0].split(b"\r\n")[1:])
    return b"\r\n".join(
        [
            b"BYE sip:a@b SIP/2.0",
            b"Via: SIP/2.0/UDP 127.0.0.66;rport;branch=z9hG4bK-%d" % number,
            b"Max-Forwards: 70",
            b"From: " + lines[b"To"],
            b"To: " + lines[b"From"],
            b"Call-ID: " + lines[b"Call-ID"],
            b"CSeq: %d BYE" % (70_000 + number),
            b"Content-Length: 0",
            b"",
            b"",
        ]
    )


async def test_a_node_that_drains_leaves_the_sockets_to_another_and_keeps_its_telephone_call():
    here, there = free_port(), free_port()
    chosen = settings(
        lines={"office": line(OFFICE, there)}, sip=Sip(listen=[f"udp:127.0.0.1:{here}"])
    )
    async with AsyncExitStack() as stack:
        branch = await stack.enter_async_context(one(BRANCH, there, here))
        first, second = await stack.enter_async_context(two_nodes(chosen))
        sockets = [node.bridge.node.sip_sockets for node in (first, second)]
        office = Client(first.bridge, first.http, data=first.folder.parent)
        runner = await first.bridge.manager.dial(
            line_name(first), BRANCH, CallDetails(Parties(to_channel="pstn"))
        )
        call_id = runner.facts.call_id
        rings = await ringing(branch)
        await branch.data("/call/answer", {"callId": rings["callId"]})
        await office.until_state(call_id, "active")

        first.bridge.drain.begin(None, "test")
        await until(lambda: sockets[1] is not None and sockets[1].owns, timeout=5 * LOCK_SECONDS)
        assert sockets[0] is not None
        assert not sockets[0].owns
        assert runner.live
        await office.data("/call/hangup", {"callId": call_id})
        await branch.until_state(rings["callId"], "gone")
        await until(first.bridge.drain.done.is_set)


def line_name(node):
    [name] = node.bridge.lines.policies
    return name
