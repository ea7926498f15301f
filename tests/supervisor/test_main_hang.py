"""Nodes that stand still, with processes: one that hangs is succeeded, all of them together are left alone."""

import asyncio
import os
import signal
import time
from contextlib import AsyncExitStack

import aiohttp
import pytest

from tests.supervisor.test_main import node_of
from tests.supervisor.test_main_crash import lines, state
from tests.supervisor.test_main_handover import Callers, check_media, events_of
from tests.supervisor.test_main_upgrade import KEY, supervised, talk
from tests.support.peers.light_peer import patient_peers

CALLS = 3
HANG_SECONDS = 1.0

pytestmark = [pytest.mark.full, pytest.mark.real_time]


async def test_calls_of_a_node_that_is_stopped_go_on_in_its_successor():
    with supervised() as server:
        async with AsyncExitStack() as stack:
            stack.enter_context(patient_peers())
            http = await stack.enter_async_context(aiohttp.ClientSession(headers=KEY))
            callers = Callers(server, http, stack)
            for _ in range(CALLS):
                await callers.call()
            async with asyncio.TaskGroup() as group:
                busy = [group.create_task(talk(peer)) for peer in callers.peers]
                await asyncio.sleep(3)
                node = node_of(server, 0)
                stopped = time.monotonic()
                os.kill(node, signal.SIGSTOP)
                await state(server, lambda: lines(server, "node.stuck"), "it is noticed")
                noticed = time.monotonic() - stopped
                await state(
                    server, lambda: len(lines(server, "call.recovered")) == CALLS, "they go on"
                )
                heard = callers.heard()
                await asyncio.sleep(2)
                more = [now - then for then, now in zip(heard, callers.heard(), strict=True)]
                assert min(more) > 30, more
                check_media(callers)
                for task in busy:
                    task.cancel()
            await callers.hang_up()
        assert noticed < 12, "as long as if it was busy"
        assert all("cause=hang" in line for line in lines(server, "call.recovered"))
        for call_id in callers.calls:
            assert events_of(server, call_id).count("call.ended") == 1
        for unwanted in ("node_lost", "Traceback", "call.not_recovered"):
            assert unwanted not in server.log()
        server.end_calls()


async def test_a_bridge_that_is_stopped_as_a_whole_and_goes_on_has_killed_nothing():
    with supervised(RECOVERY__HANG_SECONDS=str(HANG_SECONDS)) as server:
        async with AsyncExitStack() as stack:
            stack.enter_context(patient_peers())
            http = await stack.enter_async_context(aiohttp.ClientSession(headers=KEY))
            callers = Callers(server, http, stack)
            await callers.call()
            node = node_of(server, 0)
            everyone = [server.process.pid, node]
            for number in (signal.SIGSTOP, signal.SIGCONT):
                for pid in everyone:
                    os.kill(pid, number)
                await asyncio.sleep(4 * HANG_SECONDS)
            assert node_of(server, 0) == node
            [call_id] = callers.calls
            async with http.get(f"{server.url}/call/{call_id}/quality") as quality:
                assert (await quality.json())["data"]["endReason"] is None
            await callers.hang_up()
        assert not lines(server, "node.stuck")
        assert not lines(server, "call.recovered")
        server.end_calls()
