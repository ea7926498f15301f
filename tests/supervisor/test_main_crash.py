"""Nodes that are killed while their calls go on, with processes: the parties notice a silence, and nothing else."""

import asyncio
import os
import signal
from collections import Counter
from contextlib import AsyncExitStack

import aiohttp
import pytest

from tests.supervisor.test_main import end_reason, node_of, until
from tests.supervisor.test_main_handover import Callers, check_media, events_of
from tests.supervisor.test_main_upgrade import KEY, supervised, talk
from tests.support.machine import free_port
from tests.support.peers.light_peer import patient_peers
from tests.support.peers.moved import Indexes
from tests.support.server import Server

CALLS = 6
KILLS = 3

pytestmark = [pytest.mark.full, pytest.mark.real_time]


def spare_of(server: Server) -> int:
    """Return the last process that was ready to become a node."""
    return int(lines(server, "spare.ready")[-1].split("pid=")[1].split()[0])


def lines(server: Server, event: str) -> list[str]:
    return [line for line in server.log().splitlines() if f" {event} " in line]


async def state(server: Server, condition, what: str) -> None:
    """Wait for a state; show the log if it does not come."""
    try:
        await asyncio.to_thread(until, condition, what)
    except AssertionError:
        raise AssertionError(f"{what}\n{server.log()}") from None


async def kill_node(server: Server) -> int:
    """Kill the node, and return its process."""
    process = node_of(server, 0)
    os.kill(process, signal.SIGKILL)
    return process


async def succeeded(server: Server, process: int) -> None:
    """Wait until another process is the node, and ready."""
    await state(server, lambda: node_of(server, 0) != process, "another process is the node")


def check_diagnosis(server: Server, call_id: str) -> None:
    """Check that each death is told in the diagnosis of a call, as something that is over."""
    problems = server.get(f"/call/{call_id}/diagnosis")["problems"]
    told = [one for one in problems if one["code"] == "interrupted"]
    assert [one["evidence"]["cause"] for one in told] == ["crash"] * KILLS
    assert all(one["hop"] == "bridge" and one["until"] for one in told)


async def test_calls_go_on_after_each_death_and_no_index_is_used_twice():
    with supervised() as server:
        async with AsyncExitStack() as stack:
            # However long the machine takes to start a process, these peers do not give up.
            stack.enter_context(patient_peers())
            http = await stack.enter_async_context(aiohttp.ClientSession(headers=KEY))
            callers = Callers(server, http, stack)
            for _ in range(CALLS):
                await callers.call()
            noted = [Indexes.of(peer) for peer in callers.peers]
            busy = [asyncio.create_task(talk(peer)) for peer in callers.peers]
            await state(server, lambda: lines(server, "spare.ready"), "there is a spare")
            spare = spare_of(server)
            for kill in range(1, KILLS + 1):
                await asyncio.sleep(3)  # every leg is connected for two seconds, and reports
                killed = await kill_node(server)
                await state(
                    server,
                    lambda kill=kill: len(lines(server, "call.recovered")) == kill * CALLS,
                    "all calls go on",
                )
                await succeeded(server, killed)
                if kill == 1:
                    assert node_of(server, 0) == spare
                heard = callers.heard()
                await state(
                    server,
                    lambda heard=heard: (
                        min(
                            after - before
                            for before, after in zip(heard, callers.heard(), strict=True)
                        )
                        > 30
                    ),
                    "all are heard again",
                )
                check_media(callers)
            for one in noted:
                assert len({*one.packets}) == len(one.packets)
                assert one.reports == sorted({*one.reports})
            for task in busy:
                task.cancel()
            check_diagnosis(server, callers.calls[0])
            await callers.hang_up()
        for call_id in callers.calls:
            types = Counter(events_of(server, call_id))
            assert (types["call.ended"], types["call.recovered"]) == (1, KILLS)
            assert types["leg.left"] == 2
        for unwanted in ("node_lost", "Traceback", "call.not_recovered"):
            assert unwanted not in server.log()
        server.end_calls()


async def test_without_recovery_calls_end_with_their_node():
    with supervised(RECOVERY__ENABLED="false") as server:
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(aiohttp.ClientSession(headers=KEY))
            callers = Callers(server, http, stack)
            await callers.call()
            await kill_node(server)
            await state(server, lambda: lines(server, "call.lost"), "the call ends")
        assert events_of(server, callers.calls[0])[-1] == "call.ended"
        assert not lines(server, "call.recovered")
        assert not lines(server, "spare.ready")


@pytest.mark.postgresql
async def test_calls_go_on_after_a_death_where_the_database_is_postgresql(postgres_url):
    url = f"http://127.0.0.1:{free_port()}"
    with supervised(DATA__URL=postgres_url, CLUSTER__URL=url, CLUSTER__SECRET="s" * 32) as server:
        async with AsyncExitStack() as stack:
            stack.enter_context(patient_peers())
            http = await stack.enter_async_context(aiohttp.ClientSession(headers=KEY))
            callers = Callers(server, http, stack)
            for _ in range(2):
                await callers.call()
            busy = [asyncio.create_task(talk(peer)) for peer in callers.peers]
            await asyncio.sleep(3)
            await kill_node(server)
            await state(server, lambda: len(lines(server, "call.recovered")) == 2, "both go on")
            heard = callers.heard()
            await state(
                server,
                lambda: all(
                    now > one + 30 for now, one in zip(callers.heard(), heard, strict=True)
                ),
                "both are heard again",
            )
            check_media(callers)
            for task in busy:
                task.cancel()
            for call_id in callers.calls:
                async with http.post(f"{server.url}/call/hangup", json={"callId": call_id}) as end:
                    assert end.status == 200
                await state(
                    server,
                    lambda one=call_id: end_reason(server, one) == "hangup",
                    "it has its end",
                )
        for unwanted in ("node_lost", "Traceback", "call.not_recovered", "call.lost"):
            assert unwanted not in server.log()
