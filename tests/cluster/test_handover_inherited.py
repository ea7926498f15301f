"""Calls of a process that has died go on in the one that is started in its place, or end."""

import asyncio
import os

import pytest

from bridge.cluster.descriptor_channel import Claim
from bridge.cluster.handover_server import ALONE_SECONDS, MAX_WAITS, WAIT_SECONDS
from bridge.errors import HandoverRefused
from bridge.stores import handover as store
from bridge.stores.handover import Move
from bridge.wire.supervision import Inherited
from tests.cluster.test_handover import NEW, OLD, A, B, pair
from tests.support.databases import connected


def memory(content: bytes) -> int:
    descriptor = os.memfd_create("test")
    os.write(descriptor, content)
    return descriptor


async def test_calls_of_a_process_that_has_died_go_on_or_end_with_it(engine):
    async with pair(engine) as nodes_:
        with connected(engine) as opened:
            for call_id in (A, B):
                assert store.move(opened, Move(call_id, OLD.boot, NEW.node, NEW.boot))
        ledger = memory(b"ledger")
        left = [
            Inherited(
                call_id=call_id,
                node=OLD.node,
                boots=["died at its start", OLD.boot],
                died_at=0.0,
                ledger=ledger,
                snapshot=memory(call_id.encode()),
                descriptors=[Claim.make().descriptor, os.open("/dev/null", os.O_RDONLY)],
            )
            for call_id in (A, B, "00C", "00D", "00E")
        ]
        nodes_.new.refuses = {B}
        assert Claim(left[2].descriptors[0]).take()
        lost = asyncio.Queue[None]()

        def advance(snapshot: bytes, used: bytes, died_at: float) -> bytes:
            assert (used, died_at) == (b"ledger", 0.0)
            if snapshot == b"00D":
                raise HandoverRefused("it is doubtful")
            return snapshot

        nodes_.server.too_late("00E")
        nodes_.server.inherit(left, advance, lambda: lost.put_nowait(None))
        assert ([*nodes_.new.running], nodes_.recovered) == ([A], [])
        nodes_.server.report_inherited()
        assert nodes_.recovered == [(A, "crash")]
        for _ in (B, "00C", "00D", "00E"):
            await lost.get()
        with connected(engine) as opened:
            assert [store.owner(opened, one) for one in (A, B)] == [NEW.node, OLD.node]


@pytest.mark.virtual_time
async def test_calls_that_their_process_may_have_died_of_go_on_alone_once_the_others_are_safe(
    engine,
):
    async with pair(engine) as nodes_:
        left = [
            Inherited(
                call_id=one,
                node=1,
                boots=["b"],
                died_at=0.0,
                ledger=-1,
                snapshot=-1,
                descriptors=[],
            )
            for one in (A, B)
        ]
        gone_on: list[tuple[str, float]] = []
        loop, safe = asyncio.get_running_loop(), False
        began = loop.time()

        def go_on(one: Inherited) -> None:
            gone_on.append((one.call_id, loop.time() - began))

        client = nodes_.client
        nodes_.server.inherit_later(left, go_on, lambda: safe, client.expect)
        request = asyncio.create_task(client.node_of(B))
        await asyncio.sleep(ALONE_SECONDS + WAIT_SECONDS / 2)
        assert gone_on == []
        safe = True
        await asyncio.sleep(WAIT_SECONDS)
        assert [one for one, _ in gone_on] == [A]
        assert not request.done()
        await asyncio.sleep(ALONE_SECONDS)
        assert [one for one, _ in gone_on] == [A, B]
        assert await request is None
        client.expect(A)()
        assert await client.node_of(A) is None


@pytest.mark.virtual_time
async def test_they_do_not_wait_longer_than_the_kernel_keeps_their_packets(engine):
    async with pair(engine) as nodes_:
        gone_on: list[str] = []
        one = Inherited(
            call_id=A, node=1, boots=["b"], died_at=0.0, ledger=-1, snapshot=-1, descriptors=[]
        )
        nodes_.server.inherit_later(
            [one], lambda one: gone_on.append(one.call_id), lambda: False, lambda _: lambda: None
        )
        await asyncio.sleep(ALONE_SECONDS + MAX_WAITS * WAIT_SECONDS + 0.1)
        assert gone_on == [A]
