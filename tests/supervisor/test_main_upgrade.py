"""Upgrades of a running bridge, with processes: live calls go on, no request fails, a bad version changes nothing."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import pytest
from aiortc import RTCCertificate

from tests.supervisor.test_main import PATIENCE, ready, until
from tests.support.peers.bridge_peer import speech
from tests.support.peers.light_peer import LightPeer
from tests.support.peers.signalling import HttpExchange
from tests.support.server import Server, free_media_ports, running

ECHO, NEVER = "15550100001", "15550100003"
KEY = {"token": "demo"}
CALLS = 20

pytestmark = [pytest.mark.full, pytest.mark.real_time]


@contextmanager
def supervised(config: str = "", **settings: str) -> Iterator[Server]:
    """Run a bridge under a supervisor with these settings (TOML), and these by names in the environment."""
    wanted = {"SIMULATOR__RING_SECONDS": "0", "RTC__PORTS": free_media_ports(100)} | settings
    # Not pytest's folder: its path is too long for a socket.
    with TemporaryDirectory(prefix="bridge-") as folder:
        (Path(folder) / "bridge.toml").write_text(config)
        with running(
            Path(folder), command=("--supervised", "--config", f"{folder}/bridge.toml"), **wanted
        ) as server:
            until(lambda: ready(server), "the nodes take calls")
            yield server


def order(server: Server, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the command line against the bridge."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("BRIDGE_")}
    environment |= {"BRIDGE_DATA__DIR": str(server.folder / "data")}
    return subprocess.run(
        [sys.executable, "-m", "bridge", *command],
        env=environment | settings,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


async def talk(peer: LightPeer) -> None:
    while True:
        await peer.speak(speech())


async def ask(http: aiohttp.ClientSession, server: Server, calls: list[str]) -> None:
    """Go on beginning and ending calls, and asking for those that there are; none of it may fail."""
    turn = 0
    while True:
        turn += 1
        async with http.post(f"{server.url}/call/dial", json={"phone": NEVER}) as dialled:
            assert dialled.status == 200, await dialled.text()
            call_id = (await dialled.json())["data"]["callId"]
        async with http.post(f"{server.url}/call/hangup", json={"callId": call_id}) as ended:
            assert ended.status == 200, await ended.text()
        async with http.get(f"{server.url}/call/{calls[turn % len(calls)]}/quality") as quality:
            assert quality.status == 200, await quality.text()
            assert (await quality.json())["data"]["endReason"] is None


async def test_an_upgrade_cuts_no_call_and_fails_no_request():
    with supervised(NODES="2") as server:
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(aiohttp.ClientSession(headers=KEY))
            certificate = RTCCertificate.generateCertificate()
            calls, peers = [], []
            for _ in range(CALLS):
                async with http.post(f"{server.url}/call/dial", json={"phone": ECHO}) as dialled:
                    calls.append(str((await dialled.json())["data"]["callId"]))
                peer = await stack.enter_async_context(LightPeer(certificate=certificate))
                await peer.call(HttpExchange(http.post, server.url, call_id=calls[-1]), timeout=30)
                peers.append(peer)
            assert {call_id[:2] for call_id in calls} <= {"00", "01"}
            async with asyncio.TaskGroup() as group:
                busy = [group.create_task(talk(peer)) for peer in peers]
                busy += [group.create_task(ask(http, server, calls)) for _ in range(3)]
                await asyncio.sleep(0.5)
                upgraded = await asyncio.to_thread(order, server, "upgrade")
                assert (upgraded.returncode, upgraded.stderr) == (0, "")
                heard = [len(peer.arrivals) for peer in peers]
                await asyncio.sleep(3)
                assert [peer.closed for peer in peers] == [False] * CALLS
                more = [len(peer.arrivals) - one for peer, one in zip(peers, heard, strict=True)]
                assert min(more) > 50, more
                async with http.post(f"{server.url}/call/dial", json={"phone": NEVER}) as dialled:
                    assert (await dialled.json())["data"]["callId"][:2] in ("02", "03")
                for task in busy:
                    task.cancel()
            for call_id in calls:
                async with http.post(f"{server.url}/call/hangup", json={"callId": call_id}) as end:
                    assert end.status == 200
        until(lambda: server.log().count("node.drained") == 2, "the old nodes have ended")
        for unwanted in ("node.lost", "Traceback", "reason=drained"):
            assert unwanted not in server.log()
        server.end_calls()


@pytest.mark.full
def test_a_version_that_cannot_start_leaves_the_old_one_in_place():
    with supervised() as server:
        call_id = server.post("/call/dial", {"phone": NEVER})["callId"]
        config = server.folder / "bridge.toml"
        config.write_text("[limits]\ncals = 3\n")
        refused = order(server, "upgrade")
        assert refused.returncode == 1
        assert "the old nodes go on: bridge: " in refused.stderr
        assert "cals" in refused.stderr
        config.write_text("[http]\ntls_cert = 'none.pem'\ntls_key = 'none.pem'\n")
        refused = order(server, "upgrade")
        assert refused.returncode == 1
        assert "a new node ended before it was ready" in refused.stderr
        config.write_text("")
        assert server.get(f"/call/{call_id}/quality")["endReason"] is None
        assert order(server, "upgrade").returncode == 0
        assert server.post("/call/dial", {"phone": NEVER})["callId"].startswith("01")
        drained = order(server, "drain", "--seconds", "1.5", "--wait")
        assert (drained.returncode, "2 calls left" in drained.stdout) == (0, True)
        assert server.process.wait(PATIENCE) == 0


def test_a_single_process_drains_by_command_and_cannot_be_upgraded(tmp_path):
    with TemporaryDirectory(prefix="bridge-") as folder, running(Path(folder)) as server:
        refused = order(server, "upgrade")
        assert refused.returncode == 1
        assert "--supervised" in refused.stderr
        server.post("/call/dial", {"phone": NEVER})
        begun = order(server, "drain")
        assert (begun.returncode, begun.stdout) == (0, "1 call left\n")
        assert server.get("/call/status")["calls"]
        drained = order(server, "drain", "--seconds", "0", "--wait")
        assert (drained.returncode, server.process.wait(PATIENCE)) == (0, 0)
    nobody = order(server, "drain")
    assert nobody.returncode == 2
    assert "no bridge answers" in nobody.stderr
