"""Upgrades that pass live calls to the new nodes, with processes: nobody notices, but for a moment of silence."""

import asyncio
import json
import sqlite3
import time
from collections import Counter
from contextlib import AsyncExitStack
from itertools import pairwise

import aiohttp
import pytest
from aiortc import RTCCertificate

from bridge.audio.file.wav import parse_wav
from bridge.db.sqlite import FILE
from tests.supervisor.test_main import until
from tests.supervisor.test_main_upgrade import ECHO, KEY, NEVER, ask, order, supervised, talk
from tests.support.peers.light_peer import LightPeer, patient_peers
from tests.support.peers.signalling import HttpExchange
from tests.support.server import Server

TALKS = "15550100002"
CALLS = 10
UPGRADES = 2
MAX_SILENCE = 3.0
"""Seconds; what is usual is a twentieth, but other tests may keep the machine busy."""

pytestmark = [pytest.mark.full, pytest.mark.real_time]


def events_of(server: Server, call_id: str) -> list[str]:
    """Return the types of a call's events, in their order."""
    with sqlite3.connect(server.folder / "data" / FILE) as database:
        rows = database.execute(
            "SELECT body FROM events WHERE call_id = ? ORDER BY seq", (call_id,)
        ).fetchall()
    database.close()
    return [json.loads(body)["type"] for (body,) in rows]


class Callers:
    """Browsers that talk to the echo."""

    def __init__(self, server: Server, http: aiohttp.ClientSession, stack: AsyncExitStack) -> None:
        self._server, self._http, self._stack = server, http, stack
        self._certificate = RTCCertificate.generateCertificate()
        self.calls: list[str] = []
        self.peers: list[LightPeer] = []
        self.states: list[list[str]] = []

    async def call(self) -> None:
        async with self._http.post(
            f"{self._server.url}/call/dial", json={"phone": ECHO}
        ) as dialled:
            call_id = str((await dialled.json())["data"]["callId"])
        peer = await self._stack.enter_async_context(LightPeer(certificate=self._certificate))
        exchange = HttpExchange(self._http.post, self._server.url, call_id=call_id)
        await peer.call(exchange, timeout=30)
        states: list[str] = []
        peer.dtls.on("statechange", lambda: states.append(peer.dtls.state))
        self.calls.append(call_id)
        self.peers.append(peer)
        self.states.append(states)

    async def hang_up(self) -> None:
        """End the calls, and wait until all ends are written."""
        for call_id in self.calls:
            async with self._http.post(
                f"{self._server.url}/call/hangup", json={"callId": call_id}
            ) as end:
                assert end.status == 200
        for peer in self.peers:
            await peer.wait_closed()
        await asyncio.to_thread(
            until,
            lambda: all(events_of(self._server, one)[-1] == "call.ended" for one in self.calls),
            "all ends are written",
        )

    def heard(self) -> list[int]:
        return [len(peer.arrivals) for peer in self.peers]

    def silences(self) -> list[float]:
        """Return the longest silence of each peer, in seconds."""
        return [
            max(after.time - before.time for before, after in pairwise(peer.arrivals))
            for peer in self.peers
        ]


def check_media(callers: Callers) -> None:
    """Check that no packet came twice, that one stream went on, and that nobody's state changed."""
    for peer, states in zip(callers.peers, callers.states, strict=True):
        assert (peer.closed, states, peer.unreadable) == (False, [], 0)
        [ssrc] = {arrival.ssrc for arrival in peer.arrivals}
        assert ssrc
        numbers = Counter(arrival.sequence for arrival in peer.arrivals)
        assert max(numbers.values()) == 1


async def test_live_calls_move_to_the_nodes_of_each_upgrade():
    with supervised(NODES="2") as server:
        async with AsyncExitStack() as stack:
            stack.enter_context(patient_peers())
            http = await stack.enter_async_context(aiohttp.ClientSession(headers=KEY))
            callers = Callers(server, http, stack)
            for _ in range(CALLS):
                await callers.call()
            async with asyncio.TaskGroup() as group:
                busy = [group.create_task(talk(peer)) for peer in callers.peers]
                busy.append(group.create_task(ask(http, server, callers.calls)))
                await asyncio.sleep(1)
                for number in range(1, UPGRADES + 1):
                    upgraded = await asyncio.to_thread(order, server, "upgrade", "--wait")
                    assert (upgraded.returncode, upgraded.stderr) == (0, "")
                    assert f"{CALLS} calls handed over, 0 left" in upgraded.stdout
                    assert server.log().count("node.drained") == 2 * number
                    heard = callers.heard()
                    await asyncio.sleep(2)
                    more = [
                        after - before for before, after in zip(heard, callers.heard(), strict=True)
                    ]
                    assert min(more) > 30, more
                    check_media(callers)
                for task in busy:
                    task.cancel()
            assert max(callers.silences()) < MAX_SILENCE
            await callers.hang_up()
        for call_id in callers.calls:
            types = Counter(events_of(server, call_id))
            for of_a_busy_machine in ("call.problem", "call.problem_cleared"):
                types.pop(of_a_busy_machine, None)
            assert types.pop("call.recovered") == UPGRADES
            for of_each_leg in ("leg.joined", "leg.connected", "leg.left"):
                assert types.pop(of_each_leg) == 2
            assert max(types.values()) == 1, types
            assert "leg.restarted" not in types
        for unwanted in ("node.lost", "Traceback", "reason=drained", "handover.refused"):
            assert unwanted not in server.log()
        assert "warning node.taken_over" not in server.log()
        counted = [
            row for row in server.text("/metrics").splitlines() if "nodes_lost_total{" in row
        ]
        assert sum(float(row.split()[-1]) for row in counted) == 0, counted
        server.end_calls()


async def test_a_recording_and_a_live_transcript_go_on_in_the_nodes_of_each_upgrade():
    with supervised(NODES="2", RECORDING__MIN_FREE_MB="0") as server:
        calls = [server.post("/call/dial", {"phone": TALKS})["callId"] for _ in range(2)]
        begun = {}
        for call_id in calls:
            until(lambda: server.get(f"/call/{call_id}/quality")["state"] == "active", "it talks")  # noqa: B023
            before = time.monotonic()
            server.post("/call/record/start", {"callId": call_id})
            begun[call_id] = before, time.monotonic()
            server.post("/call/transcribe", {"callId": call_id, "live": True})
        for _ in range(2):
            upgraded = await asyncio.to_thread(order, server, "upgrade", "--wait")
            assert (upgraded.returncode, upgraded.stderr) == (0, "")
            assert "2 calls handed over, 0 left" in upgraded.stdout
        for call_id in calls:
            least = time.monotonic() - begun[call_id][1]
            tracks = server.post("/call/record/stop", {"callId": call_id})["recordings"]
            most = time.monotonic() - begun[call_id][0]
            assert {track["status"] for track in tracks} == {"completed"}
            [milliseconds] = {track["durationMs"] for track in tracks}
            assert least - 0.1 < milliseconds / 1000 < most + 0.1
            assert [len(track["gaps"]) for track in tracks] == [2, 2, 2]
            for track in tracks:
                content = (server.folder / "data" / track["mediaKey"]).read_bytes()
                assert len(parse_wav(content).pcm) == 32 * milliseconds
            server.post("/call/hangup", {"callId": call_id})
            until(lambda: "transcript.ready" in events_of(server, call_id), "it is transcribed")  # noqa: B023
            types = Counter(events_of(server, call_id))
            assert (types["recording.started"], types["recording.ready"]) == (1, 3)
            assert (types["transcript.ready"], types["call.recovered"]) == (1, 2)
        for unwanted in ("node.lost", "Traceback", "handover.refused"):
            assert unwanted not in server.log()
        server.end_calls()


async def test_without_recovery_calls_stay_where_they_are():
    with supervised(RECOVERY__ENABLED="false") as server:
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(aiohttp.ClientSession(headers=KEY))
            callers = Callers(server, http, stack)
            await callers.call()
            upgraded = await asyncio.to_thread(order, server, "upgrade")
            assert (upgraded.returncode, upgraded.stderr) == (0, "")
            heard = callers.heard()
            talking = asyncio.create_task(talk(callers.peers[0]))
            await asyncio.sleep(1)
            talking.cancel()
            assert callers.heard()[0] > heard[0]
            assert "handed over" not in server.log()
            [call_id] = callers.calls
            async with http.post(f"{server.url}/call/hangup", json={"callId": call_id}) as end:
                assert end.status == 200
        until(lambda: "node.drained" in server.log(), "the old node has ended")
        assert "call.recovered" not in events_of(server, call_id)
        server.end_calls()


async def test_a_call_that_still_rings_waits_until_it_is_answered_or_ends():
    with supervised() as server:
        call_id = server.post("/call/dial", {"phone": NEVER})["callId"]
        upgraded = order(server, "upgrade")
        assert (upgraded.returncode, upgraded.stderr) == (0, "")
        assert server.get(f"/call/{call_id}/quality")["state"] == "ringing"
        server.post("/call/hangup", {"callId": call_id})
        until(lambda: "node.drained" in server.log(), "the old node has ended")
