"""Meta's webhook, to which anybody may post: what is read of strangers, and for how long."""

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from bridge.api.lines import cloud
from bridge.api.server import reads
from bridge.settings.model import Limits
from bridge.wire.cloud import SIGNATURE_HEADER, signature
from tests.calls.whatsapp.test_cloud import world
from tests.support.waiting import until
from tests.support.whatsapp.graph_double import SECRET

PATH = "/whatsapp/webhook"
SIGNED = {SIGNATURE_HEADER: "sha256=" + "0" * 64}
EMPTY = b'{"entry":[]}'


@asynccontextmanager
async def posting(client, length, headers):
    """Begin a request whose body does not come; gives where its answer comes from."""
    server = client.http.server
    reader, writer = await asyncio.open_connection(server.host, server.port)
    lines = [f"POST {PATH} HTTP/1.1", "Host: localhost", f"Content-Length: {length}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write(("\r\n".join(lines) + "\r\n\r\n{").encode())
    try:
        yield reader
    finally:
        writer.close()


async def status(reader):
    async with asyncio.timeout(15):
        return int((await reader.readuntil(b"\r\n")).split()[1])


async def test_without_a_signature_nothing_of_the_body_is_waited_for():
    async with world() as meta, posting(meta.client, 4_000_000, {}) as reader:
        assert await status(reader) == 401


async def test_a_body_that_says_it_is_too_large_is_not_waited_for():
    async with world() as meta, posting(meta.client, 2**40, SIGNED) as reader:
        assert await status(reader) == 413


@pytest.mark.virtual_time
async def test_a_body_that_does_not_come_is_given_up():
    async with world() as meta, posting(meta.client, 1000, SIGNED) as reader:
        assert await status(reader) == 408


async def test_slow_strangers_give_way_to_meta():
    async with world() as meta, AsyncExitStack() as stack:
        room = cloud.MAX_WEBHOOKS_BYTES // cloud.MAX_WEBHOOK_BYTES
        slow = [
            await stack.enter_async_context(posting(meta.client, cloud.MAX_WEBHOOK_BYTES, SIGNED))
            for _ in range(room + 4)
        ]
        answer = await meta.client.http.post(
            PATH, data=EMPTY, headers={SIGNATURE_HEADER: signature(EMPTY, SECRET)}
        )
        assert answer.status == 200
        assert [await status(reader) for reader in slow[:5]] == [408] * 5


async def test_all_that_meta_sends_at_once_from_one_address_is_taken():
    async with world() as meta, AsyncExitStack() as stack:
        for _ in range(Limits().unauthenticated_requests + 1):
            await stack.enter_async_context(posting(meta.client, 1000, SIGNED))
        answer = await meta.client.http.post(
            PATH, data=EMPTY, headers={SIGNATURE_HEADER: signature(EMPTY, SECRET)}
        )
        assert answer.status == 200


@pytest.mark.virtual_time
async def test_the_memory_of_a_body_that_nobody_signed_is_given_back(monkeypatch):
    trimmed: list[bool] = []
    monkeypatch.setattr(reads, "WORTH_BYTES", len(EMPTY))
    monkeypatch.setattr(reads, "trim", lambda: trimmed.append(True))
    async with world() as meta:
        answer = await meta.client.http.post(PATH, data=EMPTY, headers=SIGNED)
        assert answer.status == 401
        await until(lambda: trimmed, timeout=2 * reads.CHECK_SECONDS)


@pytest.mark.parametrize("headers", [{}, SIGNED])
async def test_the_log_has_a_line_an_address_and_minute(headers, caplog):
    async with world() as meta:
        for _ in range(10):
            answer = await meta.client.http.post(PATH, data=EMPTY, headers=headers)
            assert answer.status == 401
    lines = [r for r in caplog.records if r.getMessage() == "whatsapp.bad_signature"]
    assert [line.__dict__["address"] for line in lines] == ["127.0.0.1"]


async def test_the_verify_token_cannot_be_guessed_at_any_rate():
    query = {"hub.mode": "subscribe", "hub.challenge": "1", "hub.verify_token": "guess"}
    async with world() as meta:
        answers = [await meta.client.http.get(PATH, params=query) for _ in range(25)]
        assert [answer.status for answer in answers] == [403] * 20 + [429] * 5
        assert json.loads(await answers[-1].text())["success"] is False
