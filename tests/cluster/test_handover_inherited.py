"""Calls of a process that has died go on in the one that is started in its place, or end."""

import asyncio
import os

from bridge.cluster.descriptor_channel import Claim
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
