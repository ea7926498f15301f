"""A node that is killed beneath calls of many kinds at once: all go on with all that they have, and each event is told once."""

import asyncio
import base64
import json
import time
from collections import Counter
from contextlib import AsyncExitStack, suppress

import aiohttp
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bridge.audio.file.wav import parse_wav
from tests.bench.generators.all_calls import Scene, far_parties
from tests.bench.studies.recoveries.events import BUSY_MACHINE, events_of
from tests.supervisor.test_main import until
from tests.supervisor.test_main_crash import kill_node, lines, state, succeeded
from tests.supervisor.test_main_handover_sockets import Listener, heard, three_calls
from tests.supervisor.test_main_upgrade import KEY, supervised
from tests.support.peers.light_peer import patient_peers
from tests.support.server import Server
from tests.support.servers.stream_customer import customer_server
from tests.support.sound.speech_compare import tone
from tests.support.sound.wav import wav_file

FAR_KINDS = 10
KILLS = 2
TALKS = "15550100002"
RECOVERED = "call.recovered"
OF_EACH_LEG = frozenset({"leg.joined", "leg.connected", "leg.left"})
OF_EACH_OVERLAP = frozenset({"overlap.started", "overlap.ended"})

pytestmark = [pytest.mark.full, pytest.mark.real_time]


async def kill(server: Server, calls: int) -> None:
    """Kill the node, and wait until so many calls go on."""
    before = len(lines(server, "call.recovered"))
    killed = await kill_node(server)
    recovered = before + calls
    await state(server, lambda: len(lines(server, "call.recovered")) == recovered, "all go on")
    await succeeded(server, killed)


async def ended(server: Server, calls: list[str]) -> None:
    wanted = set(calls)
    await state(
        server,
        lambda: wanted <= {one.call_id for one in events_of(server) if one.kind == "call.ended"},
        "all ends are written",
    )


def check_told(server: Server, call_id: str, *, twice: frozenset[str], kills: int) -> None:
    """Check that each event of a call was told as often as it is to be."""
    types = Counter(one.kind for one in events_of(server) if one.call_id == call_id)
    assert types.pop("call.recovered") == kills
    assert types["call.ended"] == 1
    once = {
        kind: count
        for kind, count in types.items()
        if kind not in twice | OF_EACH_OVERLAP | BUSY_MACHINE
    }
    assert max(once.values()) == 1, types


def check_log(server: Server) -> None:
    ends = [one.data["reason"] for one in events_of(server) if one.kind == "call.ended"]
    assert set(ends) == {"hangup"}
    for unwanted in ("Traceback", "call.not_recovered", "leg.not_recovered"):
        assert unwanted not in server.log()


async def test_calls_over_all_providers_go_on_after_each_death():
    async with AsyncExitStack() as stack:
        stack.enter_context(patient_peers())
        config, parties = await stack.enter_async_context(far_parties())
        server = stack.enter_context(supervised(config))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        scene = Scene(server, http, stack, **parties)
        speaking = asyncio.create_task(scene.speak())
        await scene.fill(FAR_KINDS)
        hears = [ear for ear in scene.ears if not ear.name.endswith(("held", "muted"))]
        for _ in range(KILLS):
            await asyncio.sleep(3)
            await kill(server, FAR_KINDS)
            before = [len(ear.times()) for ear in hears]
            await state(
                server,
                lambda before=before: all(
                    len(ear.times()) > count + 15 for ear, count in zip(hears, before, strict=True)
                ),
                "all hear each other",
            )
        await scene.loosen()
        for ear in scene.ears:
            assert (ear.name, ear.connected(), ear.states) == (ear.name, True, [])
            assert ear.handshakes == 0
            assert max(Counter(ear.numbers()).values(), default=1) == 1
        await scene.hang_up()
        await ended(server, [call.call_id for call in scene.calls])
        speaking.cancel()
        for call in scene.calls:
            check_told(server, call.call_id, twice=OF_EACH_LEG | {"call.muted"}, kills=KILLS)
        check_log(server)


async def test_what_else_is_in_calls_goes_on_after_the_death_of_their_node():
    allowed = json.dumps(["127.0.0.0/8"])
    with supervised(NET__ALLOW=allowed, RECORDING__MIN_FREE_MB="0") as server:
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(aiohttp.ClientSession(headers=KEY))
            customers = await stack.enter_async_context(customer_server())
            streamed, joined, agents = await three_calls(http, server, customers.url)
            socket = Listener(f"{server.url}/call/{joined}/stream?token=demo&resume=mine")
            listening = asyncio.create_task(listen(socket))
            recorded = server.post("/call/dial", {"phone": TALKS})["callId"]
            message = server.post("/simulator/incoming", {"from": TALKS})["callId"]
            server.post("/call/voicemail", {"callId": message})
            played = server.post("/call/dial", {"phone": TALKS})["callId"]
            until(lambda: server.get(f"/call/{played}/quality")["state"] == "active", "it talks")
            before = time.monotonic()
            server.post("/call/record/start", {"callId": recorded})
            begun = before, time.monotonic()
            server.post("/call/transcribe", {"callId": recorded, "live": True})
            vendor = {"streamUrl": customers.url, "streamProtocol": "twilio"}
            server.post(f"/call/{played}/streams", vendor)
            server.post("/call/play", {"callId": played, "audioBase64": music(8.0)})
            await asyncio.sleep(4)
            calls = [streamed, joined, agents, recorded, message, played]
            await kill(server, len(calls))
            stopped = heard(customers), list(socket.times)
            await state(
                server,
                lambda: (
                    len(heard(customers)) > len(stopped[0]) + 20
                    and len(socket.times) > len(stopped[1]) + 20
                ),
                "stream and socket are connected again",
            )
            [again] = [one for one in customers.customers if one.of("start")[0].get("resumed")]
            assert again.of("media")
            least = time.monotonic() - begun[1]
            tracks = server.post("/call/record/stop", {"callId": recorded})["recordings"]
            most = time.monotonic() - begun[0]
            for track in tracks:
                assert (track["status"], len(track["gaps"])) == ("completed", 1)
                assert least - 0.1 < track["durationMs"] / 1000 < most + 0.1
                content = (server.folder / "data" / track["mediaKey"]).read_bytes()
                assert len(parse_wav(content).pcm) == 32 * track["durationMs"]
            await state(
                server, lambda: "playback.completed" in kinds(server, played), "it is played out"
            )
            for call_id in calls:
                server.post("/call/hangup", {"callId": call_id})
            listening.cancel()
            await ended(server, calls)
            await state(server, lambda: "voicemail.received" in kinds(server, message), "kept")
        lost = {
            one.call_id: one.data["legs"]["lost"]
            for one in events_of(server)
            if one.kind == RECOVERED
        }
        assert lost == dict.fromkeys(calls, 0) | {played: 1}
        often = OF_EACH_LEG | {"recording.ready", "transcript", "agent.replied"}
        for call_id in calls:
            check_told(server, call_id, twice=often, kills=1)
        assert kinds(server, recorded).count("recording.ready") == 3
        assert kinds(server, agents).count("leg.joined") == 2
        check_log(server)


async def test_a_call_goes_on_whose_provider_only_the_database_knows():
    allowed = json.dumps(["127.0.0.0/8"])
    with supervised('[lines.shop]\nkeys = ["demo"]', NET__ALLOW=allowed) as server:
        async with aiohttp.ClientSession(headers=KEY) as http:
            config = {"callSttUrl": "http://127.0.0.1:9/none"}
            async with http.put(f"{server.url}/call/config", json=config) as put:
                assert put.status == 200
        for action in ("disconnect", "connect"):
            server.post(f"/session/{action}", {})
        call_id = server.post("/call/dial", {"phone": TALKS})["callId"]
        until(lambda: server.get(f"/call/{call_id}/quality")["state"] == "active", "it talks")
        server.post("/call/transcribe", {"callId": call_id, "live": True})
        await asyncio.sleep(1)
        await kill(server, 1)
        server.post("/call/hangup", {"callId": call_id})
        await ended(server, [call_id])
        check_told(server, call_id, twice=OF_EACH_LEG, kills=1)
        check_log(server)


def kinds(server: Server, call_id: str) -> list[str]:
    return [one.kind for one in events_of(server) if one.call_id == call_id]


def music(seconds: float) -> str:
    """Return a file for a request."""
    sound = np.asarray(tone(seconds), "<i2").tobytes()
    return base64.b64encode(wav_file(sound)).decode()


async def listen(socket: Listener) -> None:
    """Connect a client of a media socket again and again."""
    while True:
        socket.codes.clear()
        with suppress(OSError, InvalidStatus, ConnectionClosed):
            await socket.listen()
        await asyncio.sleep(0.2)
