"""Beats of a node: what is taken for one, and when there are too few."""

import asyncio
import os

from bridge.heartbeat import MAX_MISSED, MAX_MISSED_AT_START, Heartbeat, beat, pipe, read


def looks(heartbeat: Heartbeat, pattern: str) -> list[bool]:
    """Look once for each character; a dot is a beat."""
    return [heartbeat.check(beaten=one == ".") for one in pattern]


def test_a_node_that_beats_is_sound():
    assert not any(looks(Heartbeat(), "." * 1000))


def test_a_node_that_beats_no_more_is_stuck_after_ten_looks():
    heartbeat = Heartbeat()
    assert not any(looks(heartbeat, "." + " " * (MAX_MISSED - 1)))
    assert looks(heartbeat, " ") == [True]


def test_one_beat_makes_good_for_all_that_were_missed():
    slow = ("." + " " * (MAX_MISSED - 1)) * 100
    assert not any(looks(Heartbeat(), slow))


def test_a_node_has_longer_until_its_first_beat():
    heartbeat = Heartbeat()
    assert not any(looks(heartbeat, " " * (MAX_MISSED_AT_START - 1)))
    assert looks(heartbeat, " ") == [True]


def test_beats_that_nobody_took_are_one():
    with pipe() as (ours, theirs):
        assert not read(ours)
        os.write(theirs, b"...")
        assert read(ours)
        assert not read(ours)


async def test_a_loop_beats_by_itself_also_when_nobody_reads():
    with pipe() as (ours, theirs):
        while True:
            try:
                os.write(theirs, bytes(4096))
            except BlockingIOError:
                break
        beating = asyncio.create_task(beat(theirs))
        await asyncio.sleep(0)
        assert not beating.done()
        while read(ours):
            pass
        async with asyncio.timeout(5):
            while not read(ours):
                await asyncio.sleep(0.01)
        beating.cancel()


async def test_a_loop_whose_supervisor_is_gone_beats_for_nobody():
    ours, theirs = os.pipe()
    os.close(ours)
    beating = asyncio.create_task(beat(theirs))
    await asyncio.sleep(0)
    assert not beating.done()
    beating.cancel()
    os.close(theirs)
