"""Calls that are passed to a process which was started before they were left."""

import asyncio
import os

from bridge.cluster.descriptor_channel import close_all
from bridge.cluster.succession import receive_inherited
from bridge.supervisor.kept_calls import KeptCalls
from bridge.wire.supervision import Inherited


def files(*contents: str) -> list[int]:
    made = []
    for content in contents:
        made.append(os.memfd_create("test"))
        os.write(made[-1], content.encode())
    return made


async def test_a_process_that_was_there_before_gets_descriptors_of_its_own_of_each_call():
    kept = KeptCalls()
    calls = [
        Inherited(
            call_id=f"{number}",
            node=0,
            boots=["aa"],
            died_at=0.0,
            ledger=ledger,
            snapshot=snapshot,
            descriptors=others,
        )
        for number in range(300)
        for ledger, snapshot, *others in [files("ledger", f"{number}", "claim", "socket")]
    ]

    async def send() -> None:
        for one in calls:
            await kept.send([one.ledger, one.snapshot, *one.descriptors])

    sending = asyncio.create_task(send())
    found = await asyncio.to_thread(receive_inherited, kept.theirs, calls)
    await sending
    assert [one.call_id for one in found] == [one.call_id for one in calls]
    for one, sent in zip(found, calls, strict=True):
        got = [one.ledger, one.snapshot, *one.descriptors]
        assert [os.pread(each, 9, 0).decode() for each in got] == [
            "ledger",
            one.call_id,
            "claim",
            "socket",
        ]
        assert not {*got} & {sent.ledger, sent.snapshot, *sent.descriptors}
        close_all([*got, sent.ledger, sent.snapshot, *sent.descriptors])
    kept.close()


async def test_a_call_whose_descriptors_do_not_come_is_missing(caplog):
    kept = KeptCalls()
    [one] = files("socket")
    call = Inherited(
        call_id="one",
        node=0,
        boots=["aa"],
        died_at=0.0,
        ledger=1,
        snapshot=2,
        descriptors=[3, 4],
    )
    for count in (3, 5):
        await kept.send([one] * count)
    assert receive_inherited(kept.theirs, [call, call]) == []
    assert [vars(record)["calls"] for record in caplog.records] == [2]
    kept.close()
    os.close(one)
