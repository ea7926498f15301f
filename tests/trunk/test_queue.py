"""The queue of SIP messages to another node."""

from itertools import chain

from bridge.trunk.queue import (
    MAX_BATCH,
    MAX_BATCH_BYTES,
    MAX_WAITING,
    MAX_WAITING_BYTES,
    SipQueue,
)


def filled(octets: int, *, known: bool = False, count: int = 10 * MAX_WAITING) -> SipQueue[int]:
    queue: SipQueue[int] = SipQueue()
    for number in range(count):
        queue.put(number, octets, known=known)
    return queue


def everything(queue: SipQueue[int]) -> list[list[int]]:
    batches = []
    while queue:
        batches.append(queue.take())
    return batches


def test_a_share_is_bounded_in_messages():
    batches = everything(filled(100))
    assert [*chain(*batches)] == list(range(MAX_WAITING))
    assert {len(batch) for batch in batches} == {MAX_BATCH}


def test_a_share_is_bounded_in_bytes_and_so_are_batches():
    batches = everything(filled(65_535))
    assert sum(map(len, batches)) == MAX_WAITING_BYTES // 65_535
    assert all(len(batch) * 65_535 < MAX_BATCH_BYTES + 2 * 65_535 for batch in batches)


def test_a_full_share_leaves_the_other_its_own():
    queue = filled(65_535)
    assert not queue.put(-1, 100, known=False)
    assert all(queue.put(-1, 100, known=True) for _ in range(MAX_WAITING))


def test_both_shares_are_taken_from_in_turn_each_in_its_order():
    queue = filled(100, count=3)
    for number in range(10, 13):
        queue.put(number, 100, known=True)
    assert queue.take() == [0, 10, 1, 11, 2, 12]
    assert not queue


def test_what_has_been_taken_makes_room():
    queue = filled(65_535)
    queue.take()
    assert queue.put(-1, 65_535, known=False)
