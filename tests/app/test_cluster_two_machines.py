"""Two machines as their users run them: processes of their own, PostgreSQL, requests between them over TLS."""

import asyncio
import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.machines.wrong_clock import environment
from tests.support.machine import free_port
from tests.support.server import Server, running, stop
from tests.support.servers.authority import Authority

pytestmark = [pytest.mark.postgresql, pytest.mark.full]

SECRET = "the secret of two machines, made for this test"
ADMIN = "operators-own-credential"
KEY = {"token": "demo"}
NEVER, ECHO = "15550100003", "15550100001"


@dataclass
class Machines:
    """Two machines; the second has two processes."""

    first: Server
    second: Server
    urls: tuple[str, str]
    http: aiohttp.ClientSession
    authority: Path

    async def ask(self, at: Server, method: str, path: str, body: object = None) -> tuple[int, str]:
        headers = KEY if not path.startswith("/nodes") else {"token": ADMIN}
        async with self.http.request(method, at.url + path, json=body, headers=headers) as answer:
            return answer.status, await answer.text()

    async def nodes(self, at: Server) -> list[dict[str, object]]:
        _, text = await self.ask(at, "GET", "/nodes")
        assert SECRET not in text
        found: list[dict[str, object]] = json.loads(text)["nodes"]
        return [node for node in found if node["state"] == "ready"]

    async def dial(self, at: Server, number: str = NEVER) -> str:
        status, text = await self.ask(at, "POST", "/call/dial", {"phone": number})
        assert status == 200, text
        return str(json.loads(text)["data"]["callId"])


@pytest.fixture(params=[0, 3600, -3600])
async def machines(request, tmp_path, postgres_url, monkeypatch):
    """Run the machines; the second one's clock is wrong by so many seconds."""
    authority = Authority(tmp_path)
    certificate = authority.issue(host="127.0.0.1")
    common = {
        "DATA__URL": postgres_url,
        "CLUSTER__SECRET": SECRET,
        "CLUSTER__TLS_CERT": certificate.tls_cert,
        "CLUSTER__TLS_KEY": certificate.tls_key,
        "CLUSTER__TLS_CA": str(authority.path),
        "ADMIN__KEYS": json.dumps([ADMIN]),
    }
    urls = tuple(f"https://127.0.0.1:{free_port()}" for _ in range(2))
    with ExitStack() as stack:
        first = stack.enter_context(running(tmp_path / "0", **common, CLUSTER__URL=urls[0]))
        if request.param:
            for name, value in environment(tmp_path, request.param).items():
                monkeypatch.setenv(name, value)
        own = {"CLUSTER__URL": urls[1], "NODES": "2"}
        second = stack.enter_context(running(tmp_path / "1", **common, **own))
        monkeypatch.undo()
        async with aiohttp.ClientSession() as http:
            made = Machines(first, second, (urls[0], urls[1]), http, authority.path)
            async with asyncio.timeout(30):
                while len(await made.nodes(first)) < 3 or len(await made.nodes(second)) < 3:
                    await asyncio.sleep(0.2)
            yield made
        for server in (first, second):
            stop(server)
            assert SECRET not in server.log()


async def test_calls_requests_and_sockets_reach_each_other_over_tls_whatever_the_clocks_say(
    machines,
):
    assert {node["id"] for node in await machines.nodes(machines.first)} == {0, 1, 2}
    owners = set()
    for number in range(12):
        owner = (machines.first, machines.second)[number % 2]
        call_id = await machines.dial(owner, ECHO)
        owners.add(call_id[:2])
        # On a new connection each time: of two processes either may get it.
        for at in (machines.first, machines.second):
            status, text = await machines.ask(at, "GET", f"/call/{call_id}/quality")
            assert status == 200, text
            url = f"{at.url}/call/{call_id}/stream"
            async with machines.http.ws_connect(url, headers=KEY) as socket:
                await socket.send_bytes(b"\1\1" * 960)
                assert len(await socket.receive_bytes(timeout=10)) == 1920
    assert owners >= {"00", "01"} or owners >= {"00", "02"}
    _, listed = await machines.ask(machines.first, "GET", "/call/status")
    assert len(json.loads(listed)["data"]["calls"]) == 12
    # A stranger shows no certificate, and is not even heard.
    with pytest.raises((aiohttp.ClientError, OSError)):
        await machines.http.get(f"{machines.urls[0]}/healthz", ssl=False)
