"""Messages with descriptors over a Unix connection, and the claim of a call."""

import asyncio
import os
import socket
from contextlib import contextmanager

import pytest

from bridge.cluster.descriptor_channel import Claim, DescriptorChannel, close_all
from bridge.errors import RemoteProtocolError
from bridge.wire.handover import MAX_DESCRIPTORS, Hello, Offer, serialize


@contextmanager
def channels():
    ends = [DescriptorChannel(one) for one in socket.socketpair(socket.AF_UNIX)]
    try:
        yield ends
    finally:
        for one in ends:
            one.close()


def offer(descriptors: int, size: int = 10) -> Offer:
    return Offer(
        call_id="00A",
        suspended_at=0.0,
        snapshot=bytes(size),
        descriptors=descriptors,
        cause="upgrade",
    )


@pytest.mark.parametrize("size", [10, 3_000_000])
async def test_descriptors_arrive_in_order_with_their_message_and_stay_with_the_sender(size):
    with channels() as (ours, theirs):
        pipes = [os.pipe() for _ in range(3)]
        for number, (_, end) in enumerate(pipes):
            os.write(end, str(number).encode())
        async with asyncio.TaskGroup() as group:
            group.create_task(ours.send(offer(3, size), [end for end, _ in pipes]))
            receiving = group.create_task(theirs.receive())
        message, received = receiving.result()
        assert message == offer(3, size)
        assert [os.read(one, 10) for one in received] == [b"0", b"1", b"2"]
        assert not any(os.get_inheritable(one) for one in received)
        assert set(received).isdisjoint(one for both in pipes for one in both)
        close_all([*received, *(one for both in pipes for one in both)])


async def test_one_message_follows_another_both_ways():
    with channels() as (ours, theirs):
        for number in range(3):
            await ours.send(Hello(node=number, boot="a"))
            assert await theirs.receive() == (Hello(node=number, boot="a"), [])
            await theirs.send(Hello(node=number, boot="b"))
            assert await ours.receive() == (Hello(node=number, boot="b"), [])


async def test_a_limit_of_time_loses_nothing_that_arrives_later():
    with channels() as (ours, theirs):
        text = serialize(Hello(node=1, boot="a"))
        await ours.send_bytes(text[:5], [])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await theirs.receive()
        await ours.send_bytes(text[5:], [])
        assert await theirs.receive() == (Hello(node=1, boot="a"), [])


async def test_the_end_of_the_other_side_is_an_error():
    with channels() as (ours, theirs):
        ours.close()
        with pytest.raises(ConnectionError):
            await theirs.receive()


async def test_a_message_without_its_descriptors_is_refused():
    with channels() as (ours, theirs):
        await ours.send(offer(2))
        with pytest.raises(RemoteProtocolError):
            await theirs.receive()


async def test_too_many_descriptors_are_not_sent():
    with channels() as (ours, _), pytest.raises(RemoteProtocolError):
        await ours.send(offer(MAX_DESCRIPTORS + 1), [0] * (MAX_DESCRIPTORS + 1))


async def test_descriptors_of_half_a_message_are_closed():
    before = set(os.listdir("/proc/self/fd"))
    with channels() as (ours, theirs):
        end, other = os.pipe()
        await ours.send_bytes(serialize(offer(1))[:20], [end])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await theirs.receive()
        close_all([end, other])
    assert set(os.listdir("/proc/self/fd")) <= before


def test_a_claim_is_taken_once_whoever_has_its_pipe():
    ours = Claim.make()
    theirs = Claim(os.dup(ours.descriptor))
    assert [theirs.take(), ours.take(), theirs.take()] == [True, False, True]
    ours.close()
    theirs.close()
    assert not Claim(-1).take()
