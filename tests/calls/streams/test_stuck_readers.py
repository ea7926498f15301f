"""Readers that stop reading: how old what they get then is, and when they are let go of.

By hand, without a library: nothing is read for them, and no ping is answered meanwhile.
"""

import asyncio
import base64
import json
from collections.abc import Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from statistics import median

import numpy as np
import pytest

from bridge.settings.model import Net
from tests.support.clients.pcm_client import PcmClient, pcm_client, url_of
from tests.support.clients.raw_socket import BINARY, TEXT, RawSocket, raw_client, raw_server
from tests.support.inprocess import running, settings
from tests.support.virtual_time import monotonic
from tests.support.waiting import until

ECHO = "15550100001"
STUCK_SECONDS = 6.5

pytestmark = pytest.mark.call


class Reader:
    """A raw socket, and how old the sound is that comes from it."""

    def __init__(self, name: str, ws: RawSocket, sample: Callable[[bytes], int], step: float):
        self.name = name
        self.ws = ws
        self._sample = sample
        self.step = step
        """Seconds of a message."""

    async def age(self, said_at: list[float]) -> float:
        """How long ago what comes next was said."""
        while True:
            opcode, payload = await self.ws.message()
            number = self._number(opcode, payload)
            if number:
                return monotonic() - said_at[number]

    def _number(self, opcode: int, payload: bytes) -> int:
        if opcode == TEXT:
            message = json.loads(payload)
            if "media" not in message or message.get("event") != "media":
                return 0
            payload = base64.b64decode(message["media"]["payload"])
        return self._sample(payload)


def whole(pcm: bytes) -> int:
    return int(np.frombuffer(pcm, "<i2")[-1])


def floating(pcm: bytes) -> int:
    return round(float(np.frombuffer(pcm, "<f4")[-1]) * 32768)


@asynccontextmanager
async def everybody():
    """A call, somebody who speaks in it, and a reader at each kind of socket."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(running(settings(net=Net(allow=["127.0.0.0/8"]))))
        call_id = await client.dial(ECHO)
        native = f"/call/{call_id}/stream?token=demo"
        speaker = await stack.enter_async_context(pcm_client(client.http, native))
        await until(lambda: speaker.sound)
        server = await stack.enter_async_context(raw_server())
        body = {
            "stream_url": server.url,
            "stream_type": "oneway",
            "stream_channel": "inbound",
            "stream_sample_rate": 16_000,
        }
        started = await client.http.post(f"/v1/call/{call_id}/streams?appid=demo", json=body)
        assert started.status == 200, await started.text()
        wadial = f"/api/v1/sessions/demo/calls/{call_id}/media?token=demo"
        first, second = [
            await stack.enter_async_context(raw_client(url_of(client.http, path)))
            for path in (native, wadial)
        ]
        readers = [
            Reader("zuckzapgo", first, whole, 0.06),
            Reader("wadial", second, floating, 0.02),
            Reader("wavix", await server.accept(), whole, 0.02),
        ]
        yield client, speaker, readers


async def count_up(speaker: PcmClient, said_at: list[float]) -> None:
    """Say the numbers from 1 on, one every 60 ms, a little ahead of their time, and note when."""
    began = monotonic() - 0.12
    while True:
        said_at.append(monotonic())
        number = len(said_at) - 1
        await speaker.send(np.full(960, number, "<i2").tobytes())
        await asyncio.sleep(max(0.0, began + 0.06 * number - monotonic()))


async def test_a_stuck_reader_of_any_socket_gets_at_most_two_seconds_and_then_what_is_new():
    async with everybody() as (_client, speaker, readers):
        said_at = [0.0]
        counting = asyncio.create_task(count_up(speaker, said_at))
        try:
            async with asyncio.timeout(20):
                for reader in readers:
                    await reader.age(said_at)
                await asyncio.sleep(STUCK_SECONDS)
                read = await asyncio.gather(*(four_seconds(one, said_at) for one in readers))
        finally:
            counting.cancel()
    for reader, ages in zip(readers, read, strict=True):
        assert max(ages) > STUCK_SECONDS - 0.5, reader.name
        # What was under way when it stopped, and what waited: no more than two seconds.
        old = [age for age in ages if age > 0.5]
        assert len(old) * reader.step <= 2.2, reader.name
        # Then it is up to date again.
        assert median(ages[-round(0.5 / reader.step) :]) < 0.5, reader.name


async def four_seconds(reader: Reader, said_at: list[float]) -> list[float]:
    return [await reader.age(said_at) for _ in range(round(4.0 / reader.step))]


async def test_a_reader_that_answers_no_pings_is_given_little_more_than_a_second_at_once():
    async with everybody() as (_client, _speaker, readers):
        await asyncio.sleep(3.0)
        for reader in readers:
            assert 0.9 < await waiting_messages(reader) * reader.step <= 1.21, reader.name


async def waiting_messages(reader: Reader) -> int:
    """Read what is there, answering nothing; gives how many messages of sound it was."""
    count = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            while True:
                opcode, payload = await reader.ws.frame()
                count += opcode == BINARY or b'"event":"media"' in payload
    return count


async def test_readers_that_never_read_are_cut_off_and_counted():
    async with everybody() as (client, _speaker, readers):
        async with asyncio.timeout(30):
            while await client.total("bridge_socket_cut_offs_total") < len(readers):
                await asyncio.sleep(0.5)
        for reader in readers:
            await reader.ws.ended()
        assert await client.total("bridge_socket_cut_offs_total") == len(readers)
