"""The example for nginx in front of several machines, which chooses the machine by the call's id."""

import asyncio
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge.settings.model import Admin, Http, Line
from bridge.wire.call_id import chirp, wavix
from tests.support.inprocess import settings
from tests.support.servers.nginx import CLUSTER, NAME, running_cluster_nginx
from tests.support.two_nodes import Node, two_nodes

pytestmark = pytest.mark.nginx

KEY = {"token": "the-long-key-of-the-line-main"}
BEHIND = Http(public_url=f"https://{NAME}", trusted_proxies=["127.0.0.1/32"])
NEVER, ECHO = "15550100003", "15550100001"
MAP = "00 node1;\n01 node2;\n"
ADMIN = "operators-own-credential"
NODES_MAP = CLUSTER.with_name("nodes_map.py")


@dataclass
class Front:
    """nginx and the two machines behind it."""

    http: aiohttp.ClientSession
    machines: tuple[Node, Node]

    async def count(self, machine: int) -> float:
        """Return how many clients' requests about a call have come to a machine."""
        text = await self.machines[machine].metrics()
        rows = [row for row in text.splitlines() if row.startswith("bridge_http_requests_total")]
        own = [row for row in rows if "{callId}" in row and f'node="{machine}"' in row]
        return sum(float(row.split()[-1]) for row in own)

    async def dial(self, machine: int, number: str = NEVER) -> str:
        """Begin a call on a machine."""
        answer = await self.machines[machine].http.post(
            "/call/dial", json={"phone": number}, headers=KEY
        )
        return str((await answer.json())["data"]["callId"])


@asynccontextmanager
async def fronted(folder: Path, text: str = MAP) -> Any:
    (folder / "bridge-nodes.map").write_text(text)
    chosen = settings(http=BEHIND, lines={"main": Line(keys=[KEY["token"]])})
    async with two_nodes(chosen, machines=True) as machines:
        ports = tuple(machine.http.port for machine in machines)
        with running_cluster_nginx(folder, ports) as port:  # type: ignore[arg-type]
            connector = aiohttp.TCPConnector(ssl=False)
            url = f"https://127.0.0.1:{port}"
            named = {"Host": NAME}
            async with aiohttp.ClientSession(url, connector=connector, headers=named) as http:
                yield Front(http, machines)


@pytest.mark.parametrize("form", [str, str.lower, wavix])
async def test_a_request_goes_to_the_machine_that_has_the_call(tmp_path, form):
    async with fronted(tmp_path) as front:
        call_id = await front.dial(1)
        before = [await front.count(machine) for machine in (0, 1)]
        for _ in range(4):
            answer = await front.http.get(f"/call/{form(call_id)}/quality", headers=KEY)
            assert (await answer.json())["data"]["state"] == "ringing"
        after = [await front.count(machine) for machine in (0, 1)]
        assert [b - a for a, b in zip(before, after, strict=True)] == [0, 4]


@pytest.mark.parametrize("text", ["", "00 node2;\n01 node1;\n"])
async def test_an_empty_or_wrong_map_costs_a_hop_and_nothing_else(tmp_path, text):
    async with fronted(tmp_path, text) as front:
        for machine in (0, 1):
            call_id = await front.dial(machine)
            for form in (str, chirp, wavix):
                path = f"/call/{form(call_id)}/quality"
                assert (await front.http.get(path, headers=KEY)).status == 200


async def test_sockets_and_events_pass_to_the_machine_that_has_the_call(tmp_path):
    async with fronted(tmp_path) as front, asyncio.timeout(10):
        call_id = await front.dial(1, ECHO)
        async with front.http.ws_connect(f"/call/{call_id}/stream", headers=KEY) as socket:
            await socket.send_bytes(b"\1\1" * 960)
            assert len(await socket.receive_bytes()) == 1920
        async with front.http.get("/events", headers=KEY) as stream:
            later = await front.dial(1)
            while later.encode() not in await stream.content.readline():
                pass


def test_the_map_is_written_from_the_list_of_nodes(tmp_path):
    module: dict[str, Any] = {"__name__": "nodes_map"}
    exec(NODES_MAP.read_text(), module)
    nodes = [
        {"id": 10, "machine": "node1", "state": "draining"},
        {"id": 0, "machine": "node2", "state": "ready"},
        {"id": 1, "machine": "other", "state": "ready"},
        {"id": 2, "machine": "node1", "state": "lost"},
    ]
    assert module["lines"](nodes, ["node1", "node2"]) == "00 node2;\n0a node1;\n"


async def test_a_map_that_has_changed_is_put_in_place_and_one_that_has_not_is_left(tmp_path):
    path, said = tmp_path / "map", tmp_path / "reloaded"
    (tmp_path / "nginx").write_text(f"#!/bin/sh\necho $* >> {said}\n")
    (tmp_path / "nginx").chmod(0o755)
    chosen = settings(admin=Admin(keys=[ADMIN]))
    async with two_nodes(chosen, machines=True) as (first, _):
        nodes = (await (await first.http.get("/nodes", headers={"token": ADMIN})).json())["nodes"]
        command = [sys.executable, NODES_MAP, f"http://127.0.0.1:{first.http.port}", path]
        for _ in range(2):
            await asyncio.to_thread(
                subprocess.run,
                [*command, nodes[0]["machine"]],
                env={"BRIDGE_ADMIN_KEY": ADMIN, "PATH": f"{tmp_path}:/usr/bin:/bin"},
                check=True,
            )
    assert path.read_text() == "".join(f"0{n} {nodes[0]['machine']};\n" for n in (0, 1))
    assert said.read_text() == "-s reload\n"
