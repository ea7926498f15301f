"""Calls that their process dies of, with processes: such a call ends after two deaths, and the others go on."""

import asyncio
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import aiohttp
import pytest

from tests.supervisor.test_main import ready, until
from tests.supervisor.test_main_crash import lines, state
from tests.supervisor.test_main_handover import Callers, check_media, events_of
from tests.supervisor.test_main_upgrade import KEY, talk
from tests.support.peers.light_peer import patient_peers
from tests.support.poisoned_bridge import PLAIN, POISON, PROGRAM
from tests.support.server import PROJECT, Server, free_media_ports, running_command

CALLS = 4
SILENCE = b"\xf8\xff\xfe"

Poison: TypeAlias = Callable[[Callers, int], Awaitable[None]]
"""Kills the process by the first call, for the first time (0) or the second."""

pytestmark = [pytest.mark.full, pytest.mark.real_time]


@contextmanager
def poisoned(**settings: str) -> Iterator[Server]:
    """Run a supervised bridge whose nodes die of what is poison."""
    wanted = {"SIMULATOR__RING_SECONDS": "0", "RTC__PORTS": free_media_ports(100)} | settings
    command = (sys.executable, *PROGRAM, "--supervised")
    with (
        TemporaryDirectory(prefix="bridge-") as folder,
        running_command(command, PROJECT, Path(folder), wanted) as server,
    ):
        until(lambda: ready(server), "the node takes calls")
        yield server


async def dies_twice(server: Server, poison: Poison) -> None:
    """Give a call poison twice; check what becomes of it and of the others."""
    async with AsyncExitStack() as stack:
        stack.enter_context(patient_peers())
        stack.enter_context(shown(server))
        http = await stack.enter_async_context(aiohttp.ClientSession(headers=KEY))
        await _die_twice(server, Callers(server, http, stack), poison)
    server.end_calls()


async def _die_twice(server: Server, callers: Callers, poison: Poison) -> None:
    for _ in range(CALLS):
        await callers.call()
    bad, *good = callers.calls
    [sender, *others] = callers.peers
    busy = [asyncio.create_task(talk(peer)) for peer in others]
    await asyncio.sleep(3)
    for turn in range(2):
        await poison(callers, turn)
        deaths = turn + 1
        wanted = CALLS + turn * len(good)
        await state(server, lambda n=deaths: len(lines(server, "node.lost")) == n, "it dies")
        await state(
            server,
            lambda n=wanted: len(lines(server, "call.recovered")) == n,
            "those that are to go on do",
        )
        await asyncio.sleep(3)  # each is copied again
    order = [line for line in lines(server, "call.recovered")[:CALLS] if f"call={bad}" in line]
    assert order == [lines(server, "call.recovered")[CALLS - 1]], "the bad one goes on last"
    heard = callers.heard()
    await asyncio.sleep(2)
    more = [now - then for then, now in zip(heard, callers.heard(), strict=True)]
    assert min(more[1:]) > 30, more
    for task in busy:
        task.cancel()
    callers.calls, callers.peers, callers.states = good, others, callers.states[1:]
    check_media(callers)
    assert events_of(server, bad)[-1] == "call.ended"
    diagnosis = server.get(f"/call/{bad}/diagnosis")
    assert [one["code"] for one in diagnosis["problems"]] == ["call.crashed_node"]
    assert server.get(f"/call/{bad}/quality")["endReason"] == "failed"
    assert [f"call={bad}" in line for line in lines(server, "call.crashed_node")] == [True]
    await callers.hang_up()
    for call_id in good:
        types = Counter(events_of(server, call_id))
        assert (types["call.ended"], types["call.recovered"]) == (1, 2)
    for unwanted in ("node_lost", "Traceback", "call.not_recovered", "node.crash_loop"):
        assert unwanted not in server.log()
    await sender.close()


@contextmanager
def shown(server: Server) -> Iterator[None]:
    """Show the log of what fails."""
    try:
        yield
    except Exception as error:
        error.add_note(server.log()[-8000:])
        raise


async def test_of_a_datagram_that_python_takes():
    async def poison(callers: Callers, _turn: int) -> None:
        callers.peers[0].send_datagram(PLAIN)

    with poisoned() as server:
        await dies_twice(server, poison)


async def test_of_a_packet_that_is_to_be_decrypted():
    async def poison(callers: Callers, _turn: int) -> None:
        peer = callers.peers[0]
        for _ in range(50):  # from then on it is expected, by the media thread
            peer.send(SILENCE)
            await asyncio.sleep(0.02)
        header = peer.header(peer.OPUS, peer.timestamp, marker=False)
        peer.send_datagram(header + bytes(30) + POISON)

    with poisoned() as server:
        await dies_twice(server, poison)
        assert server.log().count("poison reached media") == 2


async def test_of_a_request_that_hangs_and_one_that_crashes():
    async def poison(callers: Callers, turn: int) -> None:
        body = {"callId": callers.calls[0], "muted": not turn}
        with pytest.raises(OSError, match=r"disconnect|closed|reset|timed out"):
            await asyncio.to_thread(server.post, "/call/mute", body)

    with poisoned() as server:
        await dies_twice(server, poison)
        assert server.log().count("node.stuck") == 1
